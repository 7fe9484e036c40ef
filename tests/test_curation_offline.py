"""The offline teachers: honest about what they are, and right about what the reference says."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tenstep.curation.prompt import Prompts
from tenstep.curation.teacher import Question, Teacher, load
from tenstep.curation.teachers import checklist, scripted
from tenstep.data.demo.phantom import phantom
from tenstep.data.demo.words import report as demo_report
from tenstep.data.demo.words import sections as demo_sections
from tenstep.schemas.errors import InputError
from tenstep.schemas.recipe import TeacherSpec
from tenstep.schemas.study import Sections, Study
from tenstep.validators.findings import claims
from tenstep.validators.gate import judge
from tenstep.validators.reading import read_candidate


def study(findings: str, impression: str = "No acute disease.", name: str = "s/1") -> Study:
    sections = Sections(findings=findings, impression=impression)
    report = f"Technique: Chest radiograph.\nView: PA\nFindings: {findings}\nImpression: {impression}"
    return Study(
        id=name, patient_id=name, source="s", data_class="public", views=("PA",),
        report=report, report_form="four-header", sections=sections,
    )  # fmt: skip


def answer(teacher: Teacher, about: Study, attempt: int = 1) -> str:
    question = Question(about, Prompts("informed").fill(about), attempt=attempt)
    return teacher.read(asyncio.run(teacher.ask(question))).text


def steps(findings: str, impression: str = "No acute disease.") -> list[str]:
    return checklist.steps(study(findings, impression))


def test_ten_steps_in_reading_order() -> None:
    ten = steps(
        "A pacemaker is in place. The heart is enlarged. The trachea is midline. The lungs are clear. There is a small "
        "left pleural effusion. No pneumothorax. No vascular congestion. No acute fracture."
    )
    assert len(ten) == 10
    words = ["view", "pacemaker", "heart", "trachea", "lungs", "effusion", "pneumothorax", "vascular", "fracture"]
    for word, text in zip(words, ten, strict=False):
        assert word in text.lower()
    assert ten[9].startswith("Synthesis: ")


def test_a_view_that_is_unknown_is_not_named() -> None:
    about = study("The heart is enlarged.")
    assert "View: PA." in checklist.steps(about)[0]
    for views in ((), ("unknown",)):
        unknown = about.model_copy(update={"views": views, "sections": Sections(findings="The heart is enlarged.")})
        assert "View" not in checklist.steps(unknown)[0]


def test_a_silent_region_claims_nothing_and_nobody_speaks_of_a_report() -> None:
    ten = steps("The heart is enlarged.")
    for position, text in enumerate(ten, 1):
        if position not in (3, 10):
            assert claims(text) == (), (position, text)
        assert not re.search(r"report|reference|mention|stated", text, re.I)


def test_a_sentence_about_several_regions_is_told_in_each() -> None:
    ten = steps("No focal consolidation, pleural effusion, or pneumothorax.")
    assert "consolidation" in ten[4] and "effusion" not in ten[4]
    assert "pleural effusion" in ten[5]
    assert "pneumothorax" in ten[6]
    assert all(claim.status == "absent" for text in ten[4:7] for claim in claims(text))


def test_a_comparison_is_not_repeated_but_what_it_asserts_is() -> None:
    ten = steps("The left pleural effusion has increased since the prior study.")
    assert "prior" not in " ".join(ten) and "increased" not in " ".join(ten)
    (claim,) = claims(ten[5])
    assert (claim.finding, claim.status, claim.side) == ("pleural_effusion", "present", "left")


def test_words_that_were_removed_are_not_repeated() -> None:
    assert "XXXX" not in " ".join(steps("There is XXXX cardiomegaly. XXXX pleural effusion.", "XXXX. Cardiomegaly."))


@pytest.mark.parametrize(
    ("second", "part"),
    [({"id": "b", "texts": "abc"}, "must be one JSON object"), ({"id": "a", "texts": []}, "a study of its own")],
)
def test_a_script_of_which_a_line_would_be_lost_or_taken_apart_is_refused(
    second: dict[str, Any], part: str, tmp_path: Path
) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text("".join(json.dumps(line) + "\n" for line in ({"id": "a", "texts": ["t"]}, second)))
    with pytest.raises(InputError, match=part) as caught:
        load(TeacherSpec(kind="scripted", options={"script": str(script)}))
    assert caught.value.row == 2


@pytest.mark.parametrize("seed", range(0, 60))
def test_the_demos_reports_become_traces_that_the_rules_accept(seed: int) -> None:
    _, truth = phantom(seed, 64)
    parts = Sections(**demo_sections(truth))
    about = study("x").model_copy(update={"report": demo_report(truth), "sections": parts, "views": (truth.view,)})
    text = answer(load(TeacherSpec(kind="checklist")), about)
    verdict = judge(about, read_candidate(text, about.id, writes_report=False))
    assert verdict.accepted, verdict


EXPECTED = {
    "nine_steps": "step_count",
    "eleven_steps": "step_count",
    "empty_step": "step_empty",
    "out_of_order": "step_order",
    "trailing_report": "report_not_asked",
    "added_finding": "unsupported_finding",
}


@pytest.mark.parametrize("mistake", list(scripted._MAKE))
def test_each_scripted_mistake_is_rejected_under_its_label_and_mended(mistake: str) -> None:
    teacher = load(TeacherSpec(kind="scripted", options={"mistakes": [mistake], "share": 1.0}))
    about = study("The heart is enlarged. The lungs are clear.")
    question = Question(about, Prompts("informed").fill(about))
    reply = teacher.read(asyncio.run(teacher.ask(question)))
    assert reply.label == mistake
    verdict = judge(about, read_candidate(reply.text, about.id, writes_report=False))
    assert not verdict.accepted
    if mistake in EXPECTED:
        assert EXPECTED[mistake] in verdict.codes
    mended = answer(teacher, about, attempt=2)
    assert judge(about, read_candidate(mended, about.id, writes_report=False)).accepted


def test_a_stubborn_mistake_is_made_again() -> None:
    teacher = load(TeacherSpec(kind="scripted", options={"mistakes": ["nine_steps"], "share": 1, "stubborn": 1}))
    about = study("The heart is enlarged.")
    assert answer(teacher, about, attempt=3).count("\n") == 8


def test_mistakes_fall_on_the_share_of_studies_that_was_asked_for() -> None:
    teacher = load(TeacherSpec(kind="scripted", options={"mistakes": ["nine_steps"], "share": 0.25}))
    wrong = sum(answer(teacher, study("Clear lungs.", name=f"s/{n}")).count("\n") == 8 for n in range(400))
    assert 70 <= wrong <= 130


def test_answers_are_bytes_that_can_be_read_again() -> None:
    teacher = load(TeacherSpec(kind="scripted", options={"mistakes": ["preamble"], "share": 1}))
    about = study("The heart is enlarged.")
    raw = asyncio.run(teacher.ask(Question(about, Prompts("informed").fill(about))))
    assert json.loads(raw)["label"] == "preamble"
    assert teacher.read(raw) == teacher.read(raw)
