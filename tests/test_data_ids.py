"""Ids written by different hands: which are one, and which entries of a list name nothing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenstep.data.ids import is_missing, join_ids, native_text, patient_key, plain_id

KNOWN = ("open-i/CXR1", "open-i/CXR2", "mimic-cxr/s50414267", "csv/mu\u0308ller")


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("1000.0", "1000"),
        ("1000.00", "1000"),
        ("\ufeff1000 ", "1000"),
        ("\u00a0p1\t", "p1"),
        ("p1\u200b", "p1"),
        ("mu\u0308ller", "m\u00fcller"),
        ("0012", "0012"),
        ("1.5", "1.5"),
        ("v1.0", "v1.0"),
    ],
)
def test_an_id_is_one_however_it_is_written(written: str, plain: str) -> None:
    assert plain_id(written) == plain
    assert patient_key(f"csv/{written}") == f"csv/{plain}"


@given(st.text())
def test_a_plain_id_stays_as_it_is(text: str) -> None:
    assert plain_id(plain_id(text)) == plain_id(text)


@pytest.mark.parametrize(
    ("entry", "study"),
    [
        ("open-i/CXR1", "open-i/CXR1"),
        ("\ufeffopen-i/CXR1 ", "open-i/CXR1"),
        ("CXR2", "open-i/CXR2"),
        ("indiana/cxr2", "open-i/CXR2"),
        ("50414267", "mimic-cxr/s50414267"),
        ("50414267.0", "mimic-cxr/s50414267"),
        ("p10/p10000032/s50414267", "mimic-cxr/s50414267"),
        ("m\u00fcller", "csv/mu\u0308ller"),
    ],
)
def test_an_entry_of_a_list_finds_its_study(entry: str, study: str) -> None:
    assert join_ids([entry], KNOWN) == (frozenset({study}), (), 1)


def test_an_exact_id_is_not_looked_for_in_other_ways() -> None:
    assert join_ids(["csv/1"], ["csv/1", "jsonl/1"]).found == {"csv/1"}
    assert join_ids(["1"], ["csv/1", "jsonl/1"]).found == {"csv/1", "jsonl/1"}


def test_entries_that_name_nothing_are_named() -> None:
    assert join_ids(["CXR1", "CXR9", "CXR9"], KNOWN) == (frozenset({"open-i/CXR1"}), ("CXR9",), 2)


def test_numbers_of_json_are_ids_and_holes_are_none() -> None:
    assert [native_text(value) for value in (7, 7.0, " 7.0", None, math.nan, "nan", "")] == ["7", "7", "7", *[None] * 4]
    for bad in (1.5, -1, math.inf, True, ["7"]):
        with pytest.raises(ValueError, match="whole number"):
            native_text(bad)


@pytest.mark.parametrize(("word", "missing"), [("NaN", True), (" null ", True), ("None.", False), ("0", False)])
def test_words_for_a_missing_value_are_known(word: str, missing: bool) -> None:
    assert is_missing(word) is missing


@pytest.mark.parametrize("entry", ["LA001", "hospital-b12", "csv/ab12", "s\u00a0001"])
def test_letters_that_differ_are_two_studies(entry: str) -> None:
    known = ["csv/NY001", "csv/hospital-a12", "csv/b12"]
    assert join_ids([entry], known) == (frozenset(), (entry,), 1)
