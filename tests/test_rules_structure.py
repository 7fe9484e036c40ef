"""The gate, every rule's own cases, and the structure of texts that nobody foresaw."""

from collections.abc import Iterator
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenstep.schemas.candidate import Candidate
from tenstep.schemas.layout import write
from tenstep.schemas.study import Study
from tenstep.schemas.verdict import Finding
from tenstep.validators.gate import ALIASES, CODES, FAILED, RULES, findings, group, judge
from tenstep.validators.rule import REFERENCE, STEPS, Case, Rule, ten

OF_FORM = group("completion", "structure", "report")
PASSING = [pytest.param(rule, case, id=f"{rule.__name__}-{i}") for rule in RULES for i, case in enumerate(rule.PASSES)]
FAILING = [
    pytest.param(rule, case, id=f"{rule.__name__}-{case.code}-{i}")
    for rule in RULES
    for i, case in enumerate(rule.FAILS)
]


@pytest.mark.parametrize(("rule", "case"), PASSING)
def test_every_passing_case_passes_its_rule(rule: Rule, case: Case) -> None:
    assert list(rule.rule(case.study, case.candidate)) == []


@pytest.mark.parametrize(("rule", "case"), FAILING)
def test_every_failing_case_is_found_under_its_code(rule: Rule, case: Case) -> None:
    findings = list(rule.rule(case.study, case.candidate))
    assert case.code in {finding.code for finding in findings}
    assert {finding.rule for finding in findings} == {rule.__name__.rpartition(".")[2]}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_code_of_a_rule_has_a_failing_case_and_the_rule_says_what_it_protects(rule: Rule) -> None:
    assert {case.code for case in rule.FAILS} == set(rule.CODES)
    assert rule.PASSES
    assert rule.rule.__doc__


def test_every_code_belongs_to_one_rule() -> None:
    assert (
        sum(len(rule.CODES) for rule in RULES) == len(CODES) - len(ALIASES) - 1
    )  # and `rule_failed`, of the gate itself


def test_every_rule_is_in_the_group_that_the_gates_order_gives_it() -> None:
    groups = [rule.GROUP for rule in RULES]
    assert groups == sorted(groups, key=("completion", "structure", "report", "form", "honesty", "grounding").index)


def test_a_rule_that_raises_is_an_error_that_names_it_and_the_others_go_on() -> None:
    class Broken:
        __name__ = "tenstep.validators.broken"
        GROUP, CODES, PASSES, FAILS = "form", {}, (), ()

        @staticmethod
        def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
            yield from ()
            raise IndexError("list index out of range")

    case = Case(ten({5: "Fine."}))
    found = list(findings((cast(Rule, Broken()), *RULES), case.study, case.candidate))
    assert (found[0].rule, found[0].code, found[0].severity) == ("broken", FAILED, "error")
    assert "IndexError (test_rules_structure.py:" in found[0].message
    assert "step_too_short" in {one.code for one in found[1:]}


def codes(case: Case) -> tuple[str, ...]:
    """What the rules of form find; the rest of the gate may think of the text what it likes."""
    return tuple(found.code for rule in OF_FORM for found in rule.rule(case.study, case.candidate))


def steps_of(count: int) -> str:
    return "\n".join(f"{number}. Region {number} is normal." for number in range(1, count + 1))


def test_ten_steps_and_the_report_are_accepted() -> None:
    case = Case(ten())
    assert judge(case.study, case.candidate).findings == ()


@given(st.integers(0, 30).filter(lambda count: count != 10))
def test_any_other_number_of_steps_is_rejected(count: int) -> None:
    assert "step_count" in codes(Case(steps_of(count), writes_report=False))


@given(st.lists(st.integers(0, 99), min_size=10, max_size=10).filter(lambda n: n != list(range(1, 11))))
def test_ten_steps_with_any_other_numbers_are_rejected(numbers: list[int]) -> None:
    text = "\n".join(f"{number}. Region is normal." for number in numbers)
    assert "step_order" in codes(Case(text, writes_report=False))


@pytest.mark.parametrize("position", range(1, 11))
def test_one_wrong_number_is_found_once_wherever_it_stands(position: int) -> None:
    text = ten(report=None).replace(f"{position}. ", f"{position + 20}. ", 1)
    assert codes(Case(text, writes_report=False)) == ("step_order",)


def test_numbers_that_are_all_off_by_one_are_one_finding() -> None:
    text = "\n".join(f"{number}. Region is normal." for number in range(2, 12))
    assert codes(Case(text, writes_report=False)) == ("step_order",)


def test_the_message_on_a_wrong_number_names_the_step() -> None:
    case = Case(ten().replace("\n4. ", "\n5. "))
    order = next(f for f in judge(case.study, case.candidate).findings if f.code == "step_order")
    assert order.step == 4
    assert "Step 4 is numbered 5" in order.message


def test_the_message_on_another_style_shows_the_line_and_the_form_wanted() -> None:
    case = Case("\n".join(f"{number}) {text}" for number, text in enumerate(STEPS, 1)), writes_report=False)
    style = next(f for f in judge(case.study, case.candidate).findings if f.code == "numbering_style")
    assert "'1) Technique" in style.message
    assert '"1. "' in style.message
    assert style.span is not None
    assert case.text[slice(*style.span)] == "1)"


def test_a_measurement_at_a_wrapped_line_start_is_not_a_step() -> None:
    wrapped = {5: "Lungs: in the right upper lobe there is a nodule of about\n4.2 cm, well defined."}
    assert codes(Case(ten(wrapped))) == ()


def test_a_numbered_impression_is_not_steps() -> None:
    numbered = REFERENCE.replace("Impression: ", "Impression:\n1. No effusion.\n2. ")
    assert codes(Case(ten(report=numbered), reference=numbered)) == ()


@pytest.mark.parametrize("layout", ["plain", "tagged"])
@pytest.mark.parametrize("author", ["teacher", "student"])
def test_both_layouts_pass_for_both_authors(layout: str, author: str) -> None:
    text = write(STEPS, REFERENCE, layout)  # type: ignore[arg-type]  # the literal's two values
    assert codes(Case(text, author=author)) == ()  # type: ignore[arg-type]  # likewise


def test_a_json_answer_of_ten_steps_passes() -> None:
    text = "{" + ", ".join(f'"step_{number:02}": "{step}"' for number, step in enumerate(STEPS, 1)) + "}"
    assert codes(Case(text, writes_report=False)) == ()


@pytest.mark.parametrize("severity", ["warning", "off"])
def test_a_recipe_can_soften_a_code_or_drop_it(severity: str) -> None:
    case = Case(ten({4: "..."}))
    assert "step_empty" in judge(case.study, case.candidate).codes
    verdict = judge(case.study, case.candidate, {"step_empty": severity})  # type: ignore[dict-item]  # literal values
    assert "step_empty" not in verdict.codes
    kept = [finding.severity for finding in verdict.findings if finding.code == "step_empty"]
    assert kept == (["warning"] if severity == "warning" else [])


def test_an_unreadable_candidate_is_asked_for_nothing_else_and_cannot_be_accepted() -> None:
    case = Case('{"step_01": "cut')
    verdict = judge(case.study, case.candidate, {"unreadable": "off"})
    assert verdict.codes == ("unreadable",)
    assert len(verdict.findings) == 1


def test_half_a_character_makes_a_text_unreadable_and_nothing_else() -> None:
    case = Case(ten({3: "Heart: \ud800 normal."}))
    assert judge(case.study, case.candidate).codes == ("unreadable",)
    assert "surrogate" in judge(case.study, case.candidate).findings[0].message


LINES = st.one_of(st.sampled_from(ten().split("\n")), st.text(max_size=30), st.sampled_from(["<think>", "```", "1) x"]))


@settings(deadline=None)  # the first example reads the lexicon
@given(st.lists(LINES, max_size=30).map("\n".join), st.booleans(), st.sampled_from(["teacher", "student"]))
def test_no_text_makes_a_rule_raise_and_the_same_text_gets_the_same_verdict(
    text: str, writes_report: bool, author: str
) -> None:
    case = Case(text, writes_report=writes_report, author=author)  # type: ignore[arg-type]  # the literal's two values
    verdict = judge(case.study, case.candidate)
    assert verdict == judge(case.study, case.candidate)
    for finding in verdict.findings:
        assert finding.code in CODES
        assert finding.span is None or 0 <= finding.span[0] <= finding.span[1] <= len(text)
