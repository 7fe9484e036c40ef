"""The reference is copied byte for byte by teachers, never asked of students, and appended by us otherwise."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenstep.data.source import SourceOptions, load
from tenstep.schemas.candidate import Author, Candidate
from tenstep.schemas.study import ReportForm, Study
from tenstep.validators import report
from tenstep.validators.gate import group
from tenstep.validators.reading import read_candidate
from tenstep.validators.rule import REFERENCE, Case, ten

read_open_i = load("open-i").read

RULES = group("completion", "structure", "report")
AUTHORS: tuple[Author, ...] = ("teacher", "student")
OWN = "Technique: Chest.\nView: AP\nFindings: A small left pleural effusion.\nImpression: Left effusion."


def codes(case: Case) -> tuple[str, ...]:
    """What these rules find; the rest of the gate may think of the steps what it likes."""
    return codes_of(case.study, case.candidate)


def codes_of(study: Study, candidate: Candidate) -> tuple[str, ...]:
    return tuple(found.code for rule in RULES for found in rule.rule(study, candidate))


@given(st.integers(0, len(REFERENCE) - 1), st.characters(codec="utf-8").filter(lambda c: not c.isspace()))
def test_a_copy_with_any_one_character_changed_is_rejected(at: int, character: str) -> None:
    changed = REFERENCE[:at] + character + REFERENCE[at + 1 :]
    found = codes(Case(ten(report=changed)))
    assert (found == ()) == (changed == REFERENCE)


@given(st.integers(0, len(REFERENCE) - 2))
def test_the_message_points_at_the_first_difference(at: int) -> None:
    changed = REFERENCE[:at] + "\u00a4" + REFERENCE[at + 1 :]
    case = Case(ten(report=changed))
    (finding,) = report.rule(case.study, case.candidate)
    assert f"at character {at + 1} " in finding.message
    assert finding.span is not None
    assert case.text[finding.span[0]] == "\u00a4"
    assert finding.evidence is not None
    assert finding.evidence in REFERENCE


def test_line_endings_and_outer_white_space_do_not_count() -> None:
    assert codes(Case(ten(report=REFERENCE.replace("\n", "\r\n") + "\r\n  "))) == ()
    assert codes(Case(ten(), reference=f"\r\n {REFERENCE}\r\n")) == ()


def test_white_space_inside_the_report_counts() -> None:
    assert codes(Case(ten(report=REFERENCE.replace(". The", ".  The")))) == ("report_changed",)


def test_a_student_may_write_its_own_reading() -> None:
    assert codes(Case(ten(report=OWN), author="student")) == ()
    assert codes(Case(ten(report=OWN), author="teacher")) == ("report_changed",)


def test_a_student_must_write_one_report_with_the_four_headers() -> None:
    assert codes(Case(ten(report=None), author="student")) == ("report_missing",)
    assert "report_repeated" in codes(Case(ten(report=f"{OWN}\n{OWN}"), author="student"))
    assert "header_missing" in codes(Case(ten(report="A small left effusion."), author="student"))
    assert codes(Case(ten(report="A small left effusion."), author="student", form="verbatim")) == ()


def test_a_teacher_who_was_asked_for_steps_alone_must_not_write_the_report_even_if_it_is_right() -> None:
    assert codes(Case(ten(), writes_report=False)) == ("report_not_asked",)


def test_text_around_a_right_copy_is_told_from_a_changed_copy() -> None:
    assert codes(Case(ten(report=f"x {REFERENCE}"))) == ("text_before_report", "header_missing")
    assert codes(Case(ten(report=f"{REFERENCE} Signed."))) == ("text_after_report",)
    assert codes(Case(ten(report=f"{REFERENCE}\n\n{REFERENCE}")))[0] == "report_repeated"


def test_a_tagged_report_is_compared_without_its_tags() -> None:
    tagged = f"<<REASONING_10_STEPS>>\n{ten(report=None)}\n<<END_REASONS>>\n\n<<REPORT_VERBATIM>>\n"
    assert codes(Case(f"{tagged}{REFERENCE}\n<<END_REPORT>>")) == ()
    assert codes(Case(f"{tagged}{OWN}\n<<END_REPORT>>")) == ("report_changed",)


@pytest.mark.parametrize("header", ["Technique", "View", "Findings", "Impression"])
def test_each_of_the_four_headers_is_missed(header: str) -> None:
    lines = [line for line in OWN.split("\n") if not line.startswith(header)]
    assert codes(Case(ten(report="\n".join(lines)), author="student")) == ("header_missing",)


@given(st.permutations(OWN.split("\n")))
def test_the_headers_pass_in_one_order_only(lines: list[str]) -> None:
    found = codes(Case(ten(report="\n".join(lines)), author="student"))
    assert found == (() if "\n".join(lines) == OWN else ("header_order",))


def test_a_section_that_the_reference_leaves_empty_may_be_copied_empty() -> None:
    bare = REFERENCE.replace(" PA", "")
    assert codes(Case(ten(report=bare), reference=bare)) == ()
    assert codes(Case(ten(report=bare), author="student")) == ("header_empty",)


def test_a_header_that_the_reference_indents_may_be_copied_so() -> None:
    indented = REFERENCE.replace("\nFindings:", "\n  Findings:")
    assert codes(Case(ten(report=indented), reference=indented)) == ()
    assert codes(Case(ten(report=indented), author="student")) == ("header_spelling",)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["four-header", "verbatim"])
def test_no_real_report_is_held_against_the_author_who_writes_it(
    form: ReportForm, wheel_file: Callable[[str, str], Path]
) -> None:
    archive = wheel_file("torchxrayvision==1.5.7", "torchxrayvision/data/NLMCXR_reports.tgz")
    rows = read_open_i(archive, SourceOptions(text_only=True, form=form))
    studies = [row for row in rows if isinstance(row, Study)]
    assert len(studies) > 3_000
    for study in studies:
        for author in AUTHORS:
            candidate = read_candidate(ten(report=study.report), study.id, author=author)
            assert codes_of(study, candidate) == (), study.id
