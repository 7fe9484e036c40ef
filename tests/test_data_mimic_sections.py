"""The official section rules of MIMIC-CXR: a table of cases, written by us, whose right sides the official splitter
(MIT-LCP/mimic-cxr at 3190146) gave when it was run on the left ones."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts.mimic import BY_HAND, NOTHING, PARAGRAPHS, TWO_VIEWS
from tenstep.__main__ import main
from tenstep.data.intake.mimic_sections import headers_of, override, sections_of
from tenstep.data.intake.mimic_tables import MISNAMED, RANGES, SECTION_OF, VIEW_PHRASES, WITHIN, WITHOUT_FINDINGS

CASES = {
    "no header at all": ("Clear lungs.\nNo effusion.", {"full report": "Clear lungs.\nNo effusion."}),
    "no blank before the header": ("A\nFINDINGS: clear.", {"full report": "A\nFINDINGS: clear."}),
    "two blanks before the header": ("A\n  FINDINGS: clear.", {"preamble": "A", "findings": "clear."}),
    "a tab before the header": ("A\n\tFINDINGS: clear.", {"full report": "A\n\tFINDINGS: clear."}),
    "a header at the very start": (" FINDINGS: clear.", {"full report": "FINDINGS: clear."}),
    "a header in small letters": ("A\n Findings: clear.", {"full report": "A\n Findings: clear."}),
    "no white space after the colon": ("A\n FINDINGS:clear.", {"full report": "A\n FINDINGS:clear."}),
    "what stands before is the preamble": ("A\n FINDINGS: clear.", {"preamble": "A", "findings": "clear."}),
    "a header on its own line": ("A\n FINDINGS:\n Clear.", {"preamble": "A", "findings": "Clear."}),
    "a header in the next line counts": (
        "A\n FINDINGS: b\n IMPRESSION: c",
        {"preamble": "A", "findings": "b", "impression": "c"},
    ),
    "the line of a header is not searched again": (
        "A\n INDICATION: b\n COMPARISON:\n IMPRESSION: c",
        {"preamble": "A", "indication": "b", "comparison": "IMPRESSION: c"},
    ),
    "the last of two alike counts": (
        "A\n IMPRESSION: b\n FINDINGS: c\n IMPRESSION: d",
        {"preamble": "A", "impression": "d", "findings": "c"},
    ),
    "an empty one of two alike does not": (
        "A\n IMPRESSION: b\n C: d\n IMPRESSION: \n E: f",
        {"preamble": "A", "impression": "b", "c": "d", "e": "f"},
    ),
    "an empty title is dropped": (
        "A\n CHEST, PA LATERAL: \n \n INDICATION: b\n IMPRESSION: c",
        {"preamble": "A", "indication": "b", "impression": "c"},
    ),
    "a comparison may be empty": (
        "A\n COMPARISON: \n IMPRESSION: b",
        {"preamble": "A", "comparison": "", "impression": "b"},
    ),
    "last paragraph": (
        "A\n COMPARISON: b\n \n Clear.\n \n More.",
        {"preamble": "A", "comparison": "b", "last_paragraph": "Clear.\n \n More."},
    ),
    "no last paragraph beside an impression": (
        "A\n IMPRESSION: b\n \n Clear.",
        {"preamble": "A", "impression": "b\n \n Clear."},
    ),
    "a truly empty line makes no paragraph": ("A\n DATE: b\n\nClear.", {"preamble": "A", "date": "b\n\nClear."}),
    "last paragraph of a whole report": ("A.\n \nB.", {"full report": "A.", "last_paragraph": "B."}),
    "no impression, as it says itself": (
        "A\n IMPRESSION: \n \n \n",
        {"preamble": "A"},
    ),
    "Windows line ends": ("A\r\n FINDINGS: b\r\n c\r\n IMPRESSION: d\r\n", {"preamble": "A", "findings": "b\n c",
                                                                         "impression": "d"}),
    "old Macintosh line ends": ("A\r FINDINGS: b\r IMPRESSION: d", {"preamble": "A", "findings": "b",
                                                                   "impression": "d"}),
    "signs in a header": ("A\n RECOMMENDATION(S): b", {"preamble": "A", "recommendations": "b"}),
    "a digit ends a header": ("A\n VIEW 2: b", {"full report": "A\n VIEW 2: b"}),
    "white space around a name": ("A\n FINDINGS : b", {"preamble": "A", "findings": "b"}),
    "a missing letter, as upstream has it": ("A\n NDICATION: b", {"preamble": "A", "impression": "b"}),
    "PFI, as upstream has it": ("A\n PFI: b", {"preamble": "A", "history": "b"}),
    "an examination with views is findings": ("A\n CHEST, TWO VIEWS: b", {"preamble": "A", "findings": "b"}),
    "a portable one too": ("A\n PORTABLE AP: b", {"preamble": "A", "findings": "b"}),
    "bones too": ("A\n LEFT RIBS: b", {"preamble": "A", "findings": "b"}),
    "an impression within a name": ("A\n PRELIMINARY IMPRESSION: b", {"preamble": "A", "impression": "b"}),
    "an impression goes before findings": ("A\n FINDINGS WITH IMPRESSION: b", {"preamble": "A", "impression": "b"}),
    "a comparison within a name": ("A\n CHEST COMPARISON: b", {"preamble": "A", "comparison": "b"}),
    "an unknown name stays": ("A\n WRIST: b", {"preamble": "A", "wrist": "b"}),
    "wet read": ("A\n WETREAD: b", {"preamble": "A", "wet read": "b"}),
    "two names for one": ("A\n HISTORY: b\n CLINICAL INFORMATION: c", {"preamble": "A", "history": "c"}),
    "nothing": ("", {"full report": ""}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sections_are_those_of_the_official_splitter(name: str) -> None:
    text, expected = CASES[name]
    assert sections_of(text) == expected


@pytest.mark.parametrize("spelling", SECTION_OF)
def test_every_known_spelling_is_its_section(spelling: str) -> None:
    found = sections_of(f"A\n {spelling.upper()}: b" if spelling.upper().isupper() else spelling)
    assert found == {"preamble": "b"} if spelling == "preamble" else {"preamble": "A", SECTION_OF[spelling]: "b"}


@pytest.mark.parametrize("phrase", VIEW_PHRASES)
def test_every_view_phrase_is_findings(phrase: str) -> None:
    assert sections_of(f"A\n THE {phrase.upper()} X: b") == {"preamble": "A", "findings": "b"}


@pytest.mark.parametrize("name", WITHIN)
def test_a_main_section_is_found_within_a_name(name: str) -> None:
    assert sections_of(f"A\n SOME {name.upper()} X: b") == {"preamble": "A", name: "b"}


@given(st.text(st.sampled_from("\n\r :ABIMPRESON.x"), max_size=80))
def test_any_text_is_sectioned_and_nothing_is_invented(text: str) -> None:
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    assert all(body in plain for body in sections_of(text).values())


def test_54_studies_are_sectioned_by_hand() -> None:
    assert (len(MISNAMED), len(RANGES), len(WITHOUT_FINDINGS)) == (23, 23, 8)
    assert len({*MISNAMED, *RANGES, *WITHOUT_FINDINGS}) == 54
    found = override("s50913680", BY_HAND)
    assert found is not None
    assert found.conclusion == "The left effusion has grown; follow it up."
    ranged = override("s50196495", "x" * 59 + "The lungs are clear." + " " * 400)
    assert ranged is not None
    assert ranged.conclusion == "The lungs are clear."
    nothing = override("s58235663", NOTHING)
    assert nothing is not None
    assert nothing.conclusion is None
    assert override("s50414267", TWO_VIEWS) is None


def test_headers_are_given_as_written() -> None:
    assert headers_of("A\n CHEST (PA AND LAT): \n \n IMPRESSION: b") == ["CHEST (PA AND LAT)", "IMPRESSION"]


def test_the_command_prints_one_object_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("s1.txt", PARAGRAPHS), ("s50913680.txt", BY_HAND)):
        (tmp_path / name).write_text(text)
    (tmp_path / "s2.txt").write_bytes(b"\xff\xfe")
    names = [str(tmp_path / name) for name in ("s1.txt", "s50913680.txt", "s2.txt", "absent.txt")]
    assert main(["sections", *names, "--json"]) == 2
    first, second, third, fourth = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {
        "file": names[0],
        "sections": {
            "impression": None,
            "findings": None,
            "last_paragraph": "The lungs are clear.  The heart is not enlarged.",
            "comparison": "None.",
            "preamble": "FINAL REPORT",
        },
    }
    assert second["override"]["conclusion"] == "The left effusion has grown; follow it up."
    assert second["sections"]["recommendations"] == "The left effusion has grown; follow it up."
    assert (third["sections"], "not UTF-8" in third["error"]) == (None, True)
    assert "cannot be read" in fourth["error"]
