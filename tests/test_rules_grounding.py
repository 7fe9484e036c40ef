"""Grounding on our corpus and on real reports: good traces pass, corruptions do not, no report contradicts itself."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tenstep.schemas.study import Study
from tenstep.schemas.trace import Step, Trace
from tenstep.schemas.verdict import Finding
from tenstep.validators import check, coverage, gate, substance
from tenstep.validators.findings import sentences
from tenstep.validators.reading import read_candidate

CORPUS = Path(__file__).parent / "corpus"
# what a single sentence can be asked: not what the whole trace leaves out
GROUNDING = tuple(rule for rule in gate.group("grounding") if rule not in (coverage, substance))


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CORPUS / name).read_text("utf-8").splitlines()]


REPORTS = {row["id"]: row for row in rows("reports.jsonl")}
TRACES = rows("traces.jsonl")
SENTENCES = rows("sentences.jsonl")  # single steps about two of the reports, right and wrong


def text_of(steps: list[str], report: str) -> str:
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1)) + "\n\n" + report


def found_in(trace: dict[str, Any], steps: list[str]) -> set[tuple[int | None, str, str]]:
    """Errors and doubts."""
    report = REPORTS[trace["study"]]
    verdict = check(text_of(steps, report["report"]), report["report"], views=report["views"])
    return {(found.step, found.code, found.message) for found in verdict.findings if found.severity != "warning"}


def test_good_traces_of_many_styles_are_rarely_doubted_and_never_rejected() -> None:
    doubted = 0
    for trace in TRACES:
        report = REPORTS[trace["study"]]
        outcome = check(text_of(trace["steps"], report["report"]), report["report"], views=report["views"]).outcome
        assert outcome != "reject", f"{trace['study']} ({trace['style']})"
        doubted += outcome == "doubt"
    assert doubted <= 0.45 * len(TRACES)


def test_nine_of_ten_changed_meanings_are_found_in_their_own_step() -> None:
    found, cases = 0, 0
    for trace in TRACES:
        known = found_in(trace, trace["steps"])
        for bad in trace["bad"]:
            steps = [*trace["steps"]]
            steps[bad["step"] - 1] = bad["text"]
            cases += 1
            found += bad["step"] in {step for step, _, _ in found_in(trace, steps) - known}
    assert cases > 100
    assert found >= 0.9 * cases


def test_a_step_of_its_study_is_rarely_an_error_and_one_of_another_is_found() -> None:
    rejected = doubted = missed = 0
    for row in SENTENCES:
        found = findings_of(REPORTS[row["study"]]["report"], row["text"])
        if row["good"]:
            rejected += "error" in {one.severity for one in found}
            doubted += found != []
        else:
            missed += found == []
    right = sum(row["good"] for row in SENTENCES)
    assert rejected <= 0.04 * right
    assert doubted <= 0.25 * right
    assert missed <= 0.1 * (len(SENTENCES) - right)


def findings_of(report: str, step: str, number: int = 5) -> list[Finding]:
    """Errors and doubts about one step."""
    steps = [f"Region {n} was inspected." for n in range(1, 11)]
    steps[number - 1] = step
    found = check(text_of(steps, report), report).findings
    return [one for one in found if one.step == number and one.severity != "warning"]


def codes(report: str, step: str, number: int = 5) -> set[str]:
    return {found.code for found in findings_of(report, step, number)}


TUBED = """\
Technique: Portable radiograph.
View: AP
Findings: Endotracheal tube tip is 4 cm above the carina. Small left pleural effusion. No pneumothorax.
Impression: Small left effusion, possible left lower lobe pneumonia."""


def test_a_tip_that_the_report_gives_is_not_called_unknown() -> None:  # D3
    assert "tip_contradiction" in codes(TUBED, "The endotracheal tube is seen, its tip position is not confirmed.")


def test_a_finding_that_the_report_does_not_have_is_unsupported() -> None:  # D4
    assert "unsupported_finding" in codes(TUBED, "There is scoliosis of the spine.")


def test_a_view_that_was_not_shown_is_not_spoken_of() -> None:  # D5
    assert "view_not_shown" in codes(TUBED, "On the lateral view the effusion is small.")


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("The effusion lies on the right.", "wrong_side"),
        ("There is no pleural effusion.", "denies_reference"),
        ("A small pneumothorax is present.", "asserts_denied"),
        ("A large left effusion is present.", "wrong_size"),
        ("The tube ends 2 cm above the carina.", "unsupported_measurement"),
        ("A chest tube is present.", "unsupported_device"),
        ("Pneumonia is definitely present in the left lower lobe.", "overstated"),
    ],
)
def test_each_kind_of_disagreement_has_its_code(step: str, code: str) -> None:
    assert code in codes(TUBED, step)


@pytest.mark.parametrize(
    "step",
    [
        "On the left a small amount of pleural fluid is present.",
        "The tube stops 40 mm above the carina.",
        "No large effusion is seen.",
        "Left lower lobe pneumonia cannot be excluded.",
        "Fractures were looked for, and none is seen.",
        "A mass would displace the trachea, which is not the case.",
    ],
)
def test_a_paraphrase_or_a_denied_extra_passes(step: str) -> None:
    assert codes(TUBED, step) == set()


@pytest.mark.parametrize(
    ("first", "then", "code"),
    [
        ("An effusion is seen.", "It lies on the right.", "wrong_side"),
        ("A pleural effusion is present.", "Its size is large.", "wrong_size"),
        ("The endotracheal tube is in place.", "It ends in the stomach.", "wrong_tip"),
        ("An effusion is seen.", "It lies on the left, and it is small.", None),
        ("An effusion is seen.", "It is not on the right.", None),
    ],
)
def test_what_a_pronoun_stands_for_keeps_its_side_size_and_end(first: str, then: str, code: str | None) -> None:
    assert codes(TUBED, f"{first} {then}") == ({code} if code else set())


def test_the_message_can_be_acted_on_and_the_evidence_is_the_sentence() -> None:
    text = "\n".join(f"{n}. Region {n} was inspected." for n in range(1, 10)) + "\n10. No pleural effusion.\n\n" + TUBED
    (found,) = [found for found in check(text, TUBED).findings if found.code == "denies_reference"]
    assert found.evidence == "Small left pleural effusion."
    assert found.step == 10
    assert found.span is not None
    assert "No pleural effusion."[slice(*found.span)] == "pleural effusion"


def test_a_label_before_a_colon_asserts_nothing() -> None:
    assert codes(TUBED, "Pneumothorax: lung markings reach the chest wall.") == set()


@pytest.mark.slow
def test_real_reports_hardly_ever_contradict_themselves(wheel_file: Callable[[str, str], Path]) -> None:
    archive = wheel_file("torchxrayvision==1.5.7", "torchxrayvision/data/NLMCXR_reports.tgz")
    blank = read_candidate("1. x", "s")
    wrong = total = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.name.endswith(".xml") else None
            if stream is None:
                continue
            parts = {part.get("Label"): part.text or "" for part in ElementTree.parse(stream).iter("AbstractText")}
            if not parts.get("FINDINGS", "").strip():
                continue
            findings, impression = parts["FINDINGS"], parts.get("IMPRESSION", "")
            report = f"Technique: Chest radiograph.\nView: Unspecified\nFindings: {findings}\nImpression: {impression}"
            study = Study(
                id="s", patient_id="p", source="s", data_class="public", report=report, report_form="four-header"
            )
            for part in (findings, impression):
                for start, end in sentences(part):
                    trace = Trace(steps=(Step(number=1, text=part[start:end]),))
                    candidate = blank.model_copy(update={"trace": trace})
                    total += 1
                    wrong += any(f.severity != "warning" for f in gate.findings(GROUNDING, study, candidate))
    assert total > 20_000
    assert wrong <= 0.01 * total
