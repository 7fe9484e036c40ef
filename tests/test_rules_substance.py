"""A text that says nothing, or the same of every study, is never accepted, whatever the study is."""

import json
from pathlib import Path

import pytest
from tenstep.validators import check
from tenstep.validators.rule import REFERENCE

REPORTS = [json.loads(line) for line in (Path(__file__).parent / "corpus" / "reports.jsonl").read_text().splitlines()]
PARTS = ("film", "heart", "aorta", "trachea", "left lung", "right lung", "pleura", "hila", "spine", "ribs")
EMPTY = {
    "looks": [f"The {part} is looked at with care, from one side to the other." for part in PARTS],
    "lists": [f"Next comes the {part}, which every reader of chest films has to describe." for part in PARTS],
    "supposes": [f"If the {part} were abnormal, this step would say so in plain words." for part in PARTS],
    "asks": [f"Is there anything to see at the {part}?" for part in PARTS],
    "teaches": [f"In general, the {part} can be judged well on a chest film of good quality." for part in PARTS],
    "topics": [f"{part.capitalize()}: considered." for part in PARTS],
    "praises": [f"This excellent radiograph shows the {part} in all its detail." for part in PARTS],
    "wanders": [f"Bananas number {at} are yellow, sweet and good for you." for at in range(10)],
}


def text_of(steps: list[str], report: str) -> str:
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1)) + "\n\n" + report


@pytest.mark.parametrize("kind", EMPTY)
@pytest.mark.parametrize("report", [*(row["report"] for row in REPORTS), REFERENCE], ids=lambda report: report[-30:])
def test_ten_sentences_that_claim_nothing_are_not_accepted(kind: str, report: str) -> None:
    verdict = check(text_of(EMPTY[kind], report), report)
    assert verdict.outcome != "accept"


def test_one_constant_normal_text_is_not_accepted_for_a_study_with_a_finding() -> None:
    normal = check(text_of(REFERENCE_STEPS, REFERENCE), REFERENCE)
    assert normal.outcome == "accept"
    for row in REPORTS:
        if "clear without focal" not in row["report"] and "No acute" not in row["report"].partition("Impression")[2]:
            assert check(text_of(REFERENCE_STEPS, row["report"]), row["report"]).outcome != "accept", row["id"]


REFERENCE_STEPS = [
    "One frontal view of the chest.",
    "No tube or line is seen.",
    "The heart is normal in size.",
    "The trachea is midline.",
    "The lungs are clear.",
    "There is no pleural effusion.",
    "There is no pneumothorax.",
    "The pulmonary vessels are normal.",
    "The bones are intact.",
    "Synthesis: no acute abnormality of the chest.",
]


def test_a_finding_of_the_impression_that_no_step_names_is_a_doubt_even_if_nothing_else_is_named() -> None:
    report = (
        "Technique: Chest radiograph.\nView: PA\nFindings: Right pneumothorax. Scoliosis.\nImpression: Pneumothorax."
    )
    steps = [*REFERENCE_STEPS]
    steps[6] = "The spine is scoliotic."
    codes = {found.code: found.severity for found in check(text_of(steps, report), report).findings}
    assert codes["uncovered_finding"] == "doubt"
    steps[6] = "The apices are looked at."
    codes = {found.code: found.severity for found in check(text_of(steps, report), report).findings}
    assert codes["nothing_covered"] == "error"
