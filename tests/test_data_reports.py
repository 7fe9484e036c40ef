"""Report text: what is kept byte for byte, what is composed, and what is never made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenstep.data.intake.reports import (
    MAX_REPORT,
    Refusal,
    compose,
    decode,
    describe_views,
    find_sections,
    has_four_headers,
    reference,
    split_steps,
    usable,
    views_in,
)
from tenstep.schemas.layout import write
from tenstep.schemas.study import Sections

FOUR = "Technique: Portable chest.\nView: AP\nFindings: Clear lungs.\nImpression: Normal."
words = st.from_regex(r"[a-z]{1,8}( [a-z]{1,8}){0,5}\.", fullmatch=True)


def reason(result: object) -> str:
    assert isinstance(result, Refusal), result
    return result.reason


@given(st.binary(max_size=60))
def test_any_bytes_are_text_or_a_reason(data: bytes) -> None:
    text = decode(data)
    if isinstance(text, Refusal):
        assert text.reason == "bad_encoding"
    else:
        assert text.encode() == data.removeprefix(b"\xef\xbb\xbf")


@given(words, words, words, words)
def test_a_composed_report_has_the_four_headers_and_gives_its_sections_back(
    technique: str, view: str, findings: str, impression: str
) -> None:
    sections = Sections(technique=technique, view=view, findings=findings, impression=impression)
    text = compose(sections, ())
    assert isinstance(text, str)
    assert has_four_headers(text)
    assert find_sections(text) == sections
    assert reference(text, sections, (), "four-header") == text


def test_composing_says_no_more_than_is_known() -> None:
    sections = Sections(findings="Clear\n  lungs.", impression="1. Normal.\n2. Stable.")
    expected = "Technique: Chest radiograph.\nView: {}\nFindings: Clear lungs.\nImpression: 1. Normal. 2. Stable."
    assert compose(sections, ()) == expected.format("unknown")
    assert compose(sections, ("PA", "lateral")) == expected.format("PA and lateral")


@pytest.mark.parametrize("missing", ["findings", "impression"])
def test_findings_and_impression_are_never_made_up(missing: str) -> None:
    sections = Sections(findings="Clear.", impression="Normal.").model_copy(update={missing: None})
    assert reason(compose(sections, ())) == f"no_{missing}"
    text = "Findings: Clear." if missing == "impression" else "Impression: Normal."
    assert reference(text, sections, (), "verbatim") == text


@pytest.mark.parametrize(
    "text", [FOUR, FOUR.replace("\n", "\r\n") + "\r\n", FOUR.replace(": Normal.", ":\n1. A\n\n2. B")]
)
def test_a_report_in_the_four_header_form_is_kept_byte_for_byte(text: str) -> None:
    assert reference(text, find_sections(text), (), "four-header") == text


@pytest.mark.parametrize(
    "text",
    [
        FOUR.replace("View: AP\n", ""),
        "History: cough.\n" + FOUR,
        "Dr. X\n" + FOUR,
        FOUR.replace("AP", " "),
        FOUR.upper(),
        FOUR + "\nFindings: again.",
        "\n".join(reversed(FOUR.split("\n"))),
    ],
)
def test_another_order_or_set_of_headers_is_composed_anew(text: str) -> None:
    assert not has_four_headers(text)
    composed = reference(text, find_sections(text), (), "four-header")
    assert isinstance(composed, str)
    assert has_four_headers(composed)


def test_sections_are_found_by_their_common_names() -> None:
    text = "EXAMINATION: chest\nCLINICAL INFORMATION: cough\nVIEWS: PA\nFINDINGS:\n One.\n\n Two.\nCONCLUSION: Three.\n"
    assert find_sections(text) == Sections(history="cough", view="PA", findings="One.\n\n Two.", impression="Three.")
    assert find_sections("Findings: first\nFindings: second") == Sections(findings="second")
    assert find_sections("The findings: clear.") == Sections()


def test_text_that_cannot_be_a_reference_is_refused() -> None:
    assert usable(FOUR) is None
    assert usable("Ödem.\r\n\tKein Erguß.\f") is None
    for text, expected in (
        ("", "empty_report"),
        (" \n\t", "empty_report"),
        ("a" * (MAX_REPORT + 1), "long_report"),
        ("clear\0", "bad_characters"),
        ("clear\x1b[31m", "bad_characters"),
        ("half \ud800", "bad_characters"),
    ):
        assert reason(usable(text)) == expected


@pytest.mark.parametrize(
    ("caption", "views", "described"),
    [
        ("Xray Chest PA and Lateral", ("PA", "lateral"), "PA and lateral"),
        ("CHEST 2V FRONTAL/LATERAL", ("frontal", "lateral"), "frontal and lateral"),
        ("AP chest, frontal view", ("AP",), "AP"),
        ("2 views chest", (), "unknown"),
        ("spatial and lateralised", (), "unknown"),
    ],
)
def test_views_are_read_from_captions(caption: str, views: tuple[str, ...], described: str) -> None:
    assert views_in(caption) == views
    assert describe_views(views) == described


def test_views_are_listed_once() -> None:
    assert describe_views(["PA", "lateral", "PA", "unknown", "LL"]) == "PA, lateral and LL"


@given(st.lists(words, min_size=10, max_size=10), st.sampled_from(["plain", "tagged"]))
def test_steps_before_a_report_are_taken_off_it(steps: list[str], layout: str) -> None:
    text = write(steps, FOUR, "plain" if layout == "plain" else "tagged")
    assert split_steps(text) == (FOUR, True)


@pytest.mark.parametrize(
    "text",
    [
        FOUR,
        "1. Heart normal.\n2. Lungs clear.\n\nImpression: normal.",
        "Findings:\n" + "\n".join(f"{n}. Finding." for n in range(1, 11)) + "\n\nImpression: many.",
        "\n".join(f"{n}. Step." for n in range(1, 11)),
        '{"step_01": "not a report layout"}',
        "{not even JSON",
    ],
)
def test_a_report_that_only_looks_like_steps_stays_whole(text: str) -> None:
    assert split_steps(text) == (text, False)
