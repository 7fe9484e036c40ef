"""Anybody's layout: taken apart into steps or sentences, judged by what they say, with one finding about structure."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenstep.__main__ import main
from tenstep.curation.audit import audit
from tenstep.curation.auditing.judged import AS_IT_IS, LAYOUTS, Reader
from tenstep.curation.auditing.layouts import read_layout
from tenstep.curation.auditing.problems import NAMED, Problems, RowProblem
from tenstep.curation.auditing.rows import read_mapping
from tenstep.data.processes import Processes
from tenstep.schemas.errors import InputError
from tenstep.validators.gate import codes_of
from tenstep.validators.rule import STEPS, ten

REPORT = (
    "Findings: The heart is normal in size. The lungs are clear. No pleural effusion or pneumothorax.\n"
    "Impression: No acute cardiopulmonary abnormality."
)
SAYS = ("The heart is normal in size.", "Both lungs are clear.", "There is no pleural effusion.")
FALSE = "There is a large left pneumothorax."
ALL = (*SAYS, FALSE)
PROSE = " ".join(ALL)


def lines(form: str) -> str:
    return "\n".join(form.format(at, text) for at, text in enumerate(ALL, 1))


THINK = {
    "think prose": {"text": f"<think>\n{PROSE}\n</think>\n{REPORT}"},
    "think numbered": {"text": f"<think>\n{lines('{}. {}')}\n</think>\n\n{REPORT}"},
    "bare end of think": {"text": f"{PROSE}\n</think>\n{REPORT}"},
    "reasoning and answer tags": {"text": f"<reasoning>{PROSE}</reasoning><answer>{REPORT}</answer>"},
    "reasoning_content": {
        "messages": [
            {"role": "user", "content": "?"},
            {"role": "assistant", "reasoning_content": PROSE, "content": REPORT},
        ]
    },
    "LLaVA-CoT": {
        "text": f"<SUMMARY>{SAYS[0]}</SUMMARY>\n<CAPTION>{SAYS[1]}</CAPTION>\n"
        f"<REASONING>{SAYS[2]} {FALSE}</REASONING>\n<CONCLUSION>{REPORT}</CONCLUSION>"
    },
    "columns": {"question": "What is seen?", "reasoning": PROSE, "answer": REPORT},
    "Alpaca": {"instruction": "Describe.", "input": "an image", "output": f"{PROSE}\n\n{REPORT}"},
    "steps as a list": {"steps": list(ALL), "report": REPORT},
    "prose": {"text": f"{PROSE}\n\n{REPORT}"},
    **{
        form: {"text": f"{lines(form)}\n\n{REPORT}"}
        for form in (
            "Step {}: {}", "### Step {}\n{}", "**Step {}:** {}", "- {1}", "* {1}", "({}) {}", "{}) {}", "**{}.** {}",
            "{}.\u00a0{}", "{}\ufe0f\u20e3 {}", "{}/10 {}", "{}/10: {}", "[{}] {}", "\u2022 {1}",
        )
    },
}  # fmt: skip


def judged(tmp_path: Path, reader: Reader = AS_IT_IS, **fields: object) -> dict[str, Any]:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(fields) + "\n", encoding="utf-8")
    with audit(path, reader=reader) as found:
        summary = found.as_dict()
    assert summary["rows"] == 1, summary["unreadable"]
    item: dict[str, Any] = summary["items"][0]
    return item


@pytest.mark.parametrize("name", THINK)
def test_a_hallucination_is_found_whatever_the_layout(name: str, tmp_path: Path) -> None:
    found = judged(tmp_path, **THINK[name], reference_report=REPORT)["findings"]
    structural = [finding for finding in found if finding["code"] in codes_of("structure")]
    assert len(structural) == 1
    assert (
        "It was read as" in structural[0]["message"] or name == "steps as a list"
    )  # which is ours, but for the number
    grounded = [finding for finding in found if finding["code"] in codes_of("grounding")]
    assert [(finding["code"], finding["step"]) for finding in grounded] == [("asserts_denied", 4)]


@pytest.mark.parametrize("name", THINK)
def test_with_any_number_of_steps_the_layout_is_no_fault(name: str, tmp_path: Path) -> None:
    reader = Reader(steps="any")
    found = judged(tmp_path, reader, **THINK[name], reference_report=REPORT)["findings"]
    assert [finding["code"] for finding in found] == ["asserts_denied"]
    fields = json.loads(json.dumps(THINK[name]).replace(FALSE, "There is no pneumothorax."))
    assert judged(tmp_path, reader, **fields, reference_report=REPORT)["findings"] == []


def test_a_step_past_the_tenth_is_read(tmp_path: Path) -> None:
    text = "\n".join(f"{at}. {text}" for at, text in enumerate((*STEPS, FALSE), 1)) + f"\n\n{REPORT}"
    found = judged(tmp_path, text=text, reference_report=REPORT)["findings"]
    assert {(one["code"], one["step"]) for one in found} == {("step_count", None), ("asserts_denied", 11)}


def test_what_some_part_of_a_long_trace_mentions_is_not_missing(tmp_path: Path) -> None:
    report = "Findings: There is a small left pleural effusion.\nImpression: Small left pleural effusion."
    calm = [f"Zone {at}: nothing of note is seen in zone {at}." for at in range(1, 15)]
    steps = [*calm, "There is a small left pleural effusion."]
    text = "\n".join(f"Step {at}: {step}" for at, step in enumerate(steps, 1))
    codes = [one["code"] for one in judged(tmp_path, text=f"{text}\n\n{report}", reference_report=report)["findings"]]
    assert not {"uncovered_finding", "nothing_covered"} & set(codes)
    silent = judged(tmp_path, text=text.replace("pleural effusion", "x"), reference_report=report)
    codes = [one["code"] for one in silent["findings"]]
    assert len([code for code in codes if code in ("uncovered_finding", "nothing_covered")]) == 1


def test_what_stands_before_the_first_step_is_read_too(tmp_path: Path) -> None:
    text = f"{FALSE}\n" + "\n".join(f"Step {at}: {step}" for at, step in enumerate(SAYS, 1)) + f"\n\n{REPORT}"
    found = judged(tmp_path, text=text, reference_report=REPORT)["findings"]
    assert ("asserts_denied", None) in {(one["code"], one["step"]) for one in found}


def test_lists_inside_a_step_belong_to_it() -> None:
    found = read_layout("Step 1: Lungs:\n  - right: clear\n  - left: clear\nStep 2: Heart: normal.")
    assert found.units == ("Lungs: - right: clear - left: clear", "Heart: normal.")


@pytest.mark.parametrize("heading", ["**{}:**", "### {}", "{}:", "__{}__", "  **{}**:  ", "## **{}**"])
def test_a_heading_is_what_the_bullets_below_it_are_about(heading: str) -> None:
    lungs, heart, rest = (heading.format(name) for name in ("Lungs", "Heart and vessels", "Summary"))
    found = read_layout(
        f"{lungs}\n- Both are clear.\n- No nodule.\n\n{heart}\n- Normal.\n  As is the aorta.\n{rest}\n- Clear."
    )
    assert found.units == (
        "Lungs: Both are clear.",
        "Lungs: No nodule.",
        "Heart and vessels: Normal. As is the aorta.",
        "Summary: Clear.",
    )
    assert (found.preamble, found.kind) == ("", "bullets")


def test_a_sentence_between_bullets_is_no_heading() -> None:
    found = read_layout(
        "I look at the lungs first.\n- Clear.\nNothing else is seen: it is all normal.\n- Normal heart."
    )
    assert found.preamble == "I look at the lungs first."
    assert found.units == ("Clear. Nothing else is seen: it is all normal.", "Normal heart.")


def test_what_is_said_of_steps_is_not_said_of_bullets_or_sentences(tmp_path: Path) -> None:
    bullets = "**Heart:**\n- Normal.\n\n**Lungs:**\n- Clear.\n- No **pleural** effusion."
    report = "Findings: The heart is normal. The lungs are clear. No effusion.\nImpression: Normal chest."
    row = {"reasoning": bullets, "answer": report, "reference_report": report}
    loose, strict = (judged(tmp_path, Reader(steps=steps), **row) for steps in ("any", "10"))
    assert ([f["code"] for f in loose["findings"]], loose["outcome"]) == (["markup"], "accept")
    assert [f["code"] for f in strict["findings"]] == ["numbering_style", "markup"]
    prose = "Let me put the pieces in order. The heart is normal. Fine. The lungs are clear, and there is no effusion."
    assert judged(tmp_path, Reader(steps="any"), **row | {"reasoning": prose})["findings"] == []


def test_our_own_layout_with_a_fault_keeps_its_own_findings(tmp_path: Path) -> None:
    nine = ten().replace("10. ", "")
    assert "It was read as" not in json.dumps(judged(tmp_path, text=nine))
    forced = judged(tmp_path, Reader(layout="ours"), text=f"{PROSE}\n\n{REPORT}", reference_report=REPORT)
    assert "asserts_denied" not in json.dumps(forced)


@given(st.text(alphabet="123.) -<>/thinkSTEP:\n\u00a0ab*#(", max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_text_is_taken_apart_without_a_loss_of_words_inside_steps(text: str) -> None:
    found = read_layout(text)
    assert all(unit == " ".join(unit.split()) and unit for unit in found.units)


def test_rows_without_an_id_are_numbered_and_columns_can_be_named(tmp_path: Path) -> None:
    reader = Reader(columns=read_mapping("reasoning=cot,answer=final,reference_report=gt,id=uid"))
    fields = {"uid": 7, "cot": PROSE, "final": REPORT, "gt": REPORT, "text": "not this"}
    found = judged(tmp_path, reader, **fields)
    assert (found["id"], [one["step"] for one in found["findings"] if one["code"] == "asserts_denied"]) == ("7", [4])
    assert judged(tmp_path, text=ten())["id"] == "row 1"


@pytest.mark.parametrize("text", ["cot", "reasoning=", "nothing=x", "id=a,id=b", ""])
def test_a_mapping_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is wanted"):
        read_mapping(text)


def test_a_column_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps({"cot": PROSE, "final": REPORT}) + "\n" for _ in range(30)))
    assert main(["audit", str(path), "--columns", "reasoning=thoughts"]) == 2
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "row 1 was not audited: thoughts: there is no such column; the row has cot, final; so are 29 more rows" in told
    )


def test_problems_are_bounded_and_told_by_kind() -> None:
    problems = Problems()
    for row in range(5_000):
        problems.add(RowProblem(row=row, message="no object"))
        problems.add(RowProblem(row=row, message=f"strange {row}", audited=True))
    assert (len(problems), problems.unread, len(problems.named)) == (10_000, 5_000, NAMED)
    assert problems.lines[0] == "row 0 was not audited: no object; so are 4,999 more rows"
    assert problems.lines[-1].startswith("and ") and len(problems.lines) < 30


def test_several_processes_find_the_same_in_the_same_order(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    texts = [ten(), ten({5: FALSE}), f"<think>{PROSE}</think>{REPORT}", ten().replace("10. ", "")]
    rows = [{"id": f"r{at}", "text": texts[at % 4], "reference_report": REPORT} for at in range(300)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{torn\n")
    with audit(path) as alone, audit(path, executor=Processes(2)) as together:
        assert alone.as_dict() == together.as_dict()
        assert alone.notes == together.notes


def test_nothing_to_count_is_no_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"id": "a", "text": "Nothing to see."}) + "\n")
    assert main(["audit", str(path), "--json", str(tmp_path / "out.json")]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "no claims" in told and "claims that the reference supports │ 0.0%" not in told
    assert json.loads((tmp_path / "out.json").read_text())["grounded"]["share"] is None


@pytest.mark.parametrize("ending", ["", "</analysis>", "</think>"])
def test_a_hundred_thousand_tags_that_nothing_closes_are_read_at_once(ending: str) -> None:
    began = time.perf_counter()
    read_layout("<think><reasoning>" * 50_000 + ending + ten())
    assert time.perf_counter() - began < 5
    assert read_layout(f"<Think>a</THINK> b <think>c</think> d {ten()}").units == ("a", "c")


def test_the_command_offers_every_layout_that_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(tmp_path), "--layout", "none of them"]) == 2
    assert ", ".join(map(repr, LAYOUTS)) in capsys.readouterr().err
