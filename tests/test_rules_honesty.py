"""Honesty and form beyond the rules' own cases: what real readers write passes, what nobody foresaw does not raise."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenstep.schemas.trace import Step, Trace
from tenstep.validators.gate import RULES, judge
from tenstep.validators.rule import Case, ten


def codes(step: str, number: int = 5, has_prior: bool = False) -> set[str]:
    case = Case(ten({number: step}), has_prior=has_prior)
    return {found.code for found in judge(case.study, case.candidate).findings if found.severity != "warning"}


@pytest.mark.parametrize(
    "step",
    [
        "Nothing here has to be reported to anybody, and the lungs are clear.",
        "This is best described as a clear lung.",
        "As noted above, both lungs are clear.",
        "The overall impression is that of a clear lung.",
        "The lungs are clear, consistent with the normal pattern of the vessels.",
        "Compared with the left lung, the right one is equally clear.",
        "No change in caliber interrupts the vessels.",
        "T8 and ribs 4 to 6 are covered by the lungs, which are clear.",
    ],
)
def test_a_readers_own_words_pass(step: str) -> None:
    assert codes(step) == set()


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("Clear lungs, exactly as the impression says.", "reference_leak"),
        ("Clear lungs, matching what is stated.", "reference_leak"),
        ("The known diagnosis is a normal chest.", "reference_leak"),
        ("The lungs are clear in the findings.", "reference_leak"),
        ("The lungs have cleared since the last radiograph.", "prior_comparison"),
        ("The lungs look similar to those on the earlier study.", "prior_comparison"),
        ("I cannot see the image, so clear lungs are assumed.", "refusal"),
        ("As requested, the lungs are examined and clear.", "assistant_talk"),
        ("The lungs of <patient> are clear.", "placeholder"),
        ("Clear lungs on 2019-04-03.", "date"),
        ("Clear lungs in a 45 yo man.", "patient_detail"),
        ("Clear lungs, see patient@example.org.", "identifier"),
    ],
)
def test_other_words_of_the_same_kind_are_found(step: str, code: str) -> None:
    assert code in codes(step)


def test_a_supplied_prior_may_be_compared_with() -> None:
    assert codes("The lungs are clear, unchanged from the prior study.", has_prior=True) == set()


def test_parallel_steps_are_no_repeats() -> None:
    case = Case(
        ten({5: "The right lung is clear in all of its zones.", 6: "The left lung is clear in all of its zones."})
    )
    assert judge(case.study, case.candidate).accepted


@settings(deadline=None)  # the first example reads the lexicon
@given(st.lists(st.text(max_size=200), min_size=10, max_size=10))
def test_no_rule_raises_on_any_text(texts: list[str]) -> None:
    case = Case(ten())
    trace = Trace(steps=tuple(Step(number=number, text=text) for number, text in enumerate(texts, 1)), report=texts[0])
    candidate = case.candidate.model_copy(update={"trace": trace, "text": "\n".join(texts)})
    for rule in RULES:
        for found in rule.rule(case.study, candidate):
            assert found.code in rule.CODES
            if found.step is not None and found.span is not None:
                start, end = found.span
                assert 0 <= start < end <= len(texts[found.step - 1])


@pytest.mark.parametrize(
    "unit", ["1. ", " ", "no ", "(", "effusion and ", "_", "<", "\\", "1/1/", "heart is enlarged, "]
)
def test_a_hostile_megabyte_is_judged_and_rejected(unit: str) -> None:
    case = Case(ten({5: unit * (1_000_000 // len(unit)) + "x"}))
    assert not judge(case.study, case.candidate).accepted
