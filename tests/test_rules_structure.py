"""The gate, every rule's own cases, and the structure of texts that nobody foresaw."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenstep.schemas.layout import write
from tenstep.validators.gate import CODES, RULES, judge
from tenstep.validators.rule import REFERENCE, STEPS, Case, Rule, ten

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
