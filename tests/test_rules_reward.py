"""The gate as a reward: bounded parts, better for better texts, and nothing for texts that say nothing."""

import pytest
from tenstep.validators import reward
from tenstep.validators.memory import forget
from tenstep.validators.rule import REFERENCE, STEPS, ten

SICK = """\
Technique: Chest radiograph.
View: PA
Findings: Small left pleural effusion. Scoliosis. No pneumothorax.
Impression: Small left effusion."""
GOOD = ten({6: "A small left pleural effusion is seen.", 9: "The spine is scoliotic.", 10: "Sum: effusion."}, SICK)
WRONG = ten({6: "A large right pleural effusion.", 7: "A pneumothorax is present.", 9: "The spine is straight."}, SICK)
EMPTY = ten({number: f"Region {number} is looked at." for number in range(1, 11)}, SICK)
NINE = "\n".join(GOOD.split("\n")[1:])


def score(*texts: str, reference: str = SICK) -> list[float]:
    return reward.total(list(texts), reference_report=[reference] * len(texts))


def test_a_better_text_is_worth_more() -> None:
    good, wrong, empty, nothing = score(GOOD, WRONG, EMPTY, "I cannot see the image.")
    assert good == 1.0
    assert good > wrong > empty > nothing >= 0.0


def test_a_normal_text_is_worth_less_where_something_is_abnormal() -> None:
    assert score(ten(report=SICK))[0] < score(GOOD)[0]
    assert score(ten(), reference=REFERENCE) == [1.0]


def test_saying_nothing_is_worth_nothing_but_form() -> None:
    assert reward.grounding([EMPTY], reference_report=[SICK]) == [0.0]
    assert reward.coverage([EMPTY], reference_report=[SICK]) == [0.0]


def test_the_parts_are_bounded_and_sum_to_the_total() -> None:
    for text in (GOOD, WRONG, EMPTY, NINE, "", "{", STEPS[0]):
        parts = reward.judged(text, SICK).scores
        assert all(0.0 <= part <= 1.0 for part in parts)
        assert score(text) == [pytest.approx(sum(w * p for w, p in zip(reward.WEIGHTS.values(), parts, strict=True)))]


def test_a_text_is_accepted_or_not() -> None:
    texts = [GOOD, WRONG, EMPTY, NINE, ""]
    assert reward.accepted(texts, reference_report=[SICK] * len(texts)) == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_chats_and_strings_are_read_alike_and_unknown_columns_pass() -> None:
    chat = [{"role": "assistant", "content": GOOD}]
    columns = {"reference_report": [SICK], "views": [["PA"]], "prompts": ["x"], "completion_ids": [[1]]}
    assert reward.structure([chat], **columns) == reward.structure([GOOD], **columns) == [1.0]


def test_a_missing_reference_is_named() -> None:
    with pytest.raises(ValueError, match="reference_report"):
        reward.total([GOOD])


def test_a_completion_is_judged_once_for_all_parts() -> None:
    forget()
    for part in (reward.structure, reward.grounding, reward.coverage, reward.accepted):
        part([GOOD, WRONG], reference_report=[SICK, SICK])
    assert reward.judged.cache_info().misses == 2
