"""Template traces: the same steps before references that differ are a doubt on each, in curate, recheck and audit."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from curation_parts import GOOD, make_store, scripted
from servers.studies import make_study
from tenstep.__main__ import main
from tenstep.curation.template_trace import SHARE, Count, Templates, kept, packed, sketches
from tenstep.curation.verdict_worker import Worker
from tenstep.data.run import RunFolder
from tenstep.schemas.run import State
from tenstep.validators.rule import REFERENCE, STEPS, ten
from verify_parts import answer_all, calibration

OTHER = """\
Technique: Portable radiograph of the chest in the intensive care unit, semi-erect.
View: AP
Findings: Heart size within normal limits, mediastinum unremarkable. Clear lungs on both sides. Costophrenic angles
are sharp and no pleural line is visible.
Impression: Normal study."""
VARIED = tuple(f"{text[:-1]}, as far as this projection and its exposure allow one to tell." for text in STEPS)


def twins(*traces: tuple[str, Sequence[str], str]) -> dict[str, str]:
    """Which studies have a template, and of whom; traces are (study, steps, reference)."""
    with Templates() as templates:
        for at, (study, steps, report) in enumerate(traces):
            templates.add(str(at), study, *sketches(steps, report))
        return {twin.study_id: twin.of for twin in templates.twins()}


def test_the_same_steps_before_other_references_are_found_on_each() -> None:
    assert twins(("a", STEPS, REFERENCE), ("b", STEPS, OTHER)) == {"a": "b", "b": "a"}


def test_the_same_steps_before_the_same_reference_are_not() -> None:
    assert twins(("a", STEPS, REFERENCE), ("b", STEPS, REFERENCE.replace("Single", "One"))) == {}


def test_other_steps_before_other_references_are_not() -> None:
    assert twins(("a", STEPS, REFERENCE), ("b", VARIED, OTHER)) == {}


def test_attempts_at_one_study_are_no_templates_of_each_other() -> None:
    assert twins(("a", STEPS, REFERENCE), ("a", STEPS, OTHER)) == {}


def test_a_word_or_a_number_that_differs_makes_no_other_trace() -> None:
    changed = (*STEPS[:4], "Lungs: both of the lungs are clear.", *STEPS[5:])
    numbered = (*STEPS[:1], "Devices: no tube, line or implanted device is seen at 4 cm.", *STEPS[2:])
    assert set(twins(("a", STEPS, REFERENCE), ("b", changed, OTHER))) == {"a", "b"}
    assert set(twins(("a", numbered, REFERENCE), ("b", STEPS, OTHER))) == {"a", "b"}


def test_a_group_larger_than_what_is_looked_at_is_found_whole() -> None:
    alike = [(f"a{n}", STEPS, REFERENCE) for n in range(100)]
    assert twins(*alike) == {}
    assert len(twins(*alike, ("b", STEPS, OTHER), *((f"c{n}", STEPS, REFERENCE) for n in range(100)))) == 201


def test_twins_are_found_some_at_a_time_as_all_at_once() -> None:
    with Templates() as templates, Templates() as others:
        for at in range(2_050):
            both = sketches((*STEPS[:9], f"Synthesis number {at % 2}."), REFERENCE)
            templates.add(str(at), f"s{at}", *both)
            others.add(str(at), f"s{at}", *both)
        templates.add("last", "b", *sketches(STEPS, OTHER))
        others.add("last", "b", *sketches(STEPS, OTHER))
        pages, first = [], 1
        while first is not None:
            page, first = templates.some_twins(first)
            pages.append(page)
        assert [len(page) for page in pages] == [1_000, 1_000, 51]
        assert [twin for page in pages for twin in page] == list(others.twins())
        assert list(others.twins()) == []  # each is given once


@pytest.mark.parametrize("at_once", [1, 3, 40, 400])
def test_traces_of_a_journal_have_the_twins_that_they_had_when_they_came(at_once: int) -> None:
    references = (REFERENCE, OTHER, REFERENCE.replace("Single", "One"))
    traces = []
    for at in range(120):
        steps = (*STEPS[:8], f"Summary of the kind {'abcde'[at % 5]}.", "It is as the film shows." * (at % 3))
        both = sketches(steps, references[at % 7 % 3])
        traces.append((str(at), f"s{at // 2}", packed(both, steps, ""), both))
    with Templates() as one_by_one, Templates() as remembered:
        twin_of = [one_by_one.add(key, study, *both) for key, study, _, both in traces]
        for start in range(0, len(traces), at_once):
            remembered.remember([trace[:3] for trace in traces[start : start + at_once]])
        found = list(one_by_one.twins())
        assert list(remembered.twins()) == found
        assert 0 < sum(twin is not None for twin in twin_of) < len(found)
    worker = Worker()
    assert worker.work([("add", trace[:3]) for trace in traces]) == twin_of
    worker.close()


def test_a_run_says_so_loudly_past_a_share_of_its_studies() -> None:
    assert Count(100, round(100 * SHARE)).note is None
    note = Count(100, 11).note
    assert note is not None and note.startswith("TEMPLATES: for 11 of 100 studies")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two studies whose references say the same in other words, and one that is different."""
    reports = {"a": REFERENCE, "b": OTHER, "c": REFERENCE.replace("The heart is normal in size", "No enlarged heart")}
    make_store(tmp_path / "studies", (make_study(name, text, views=("PA",)) for name, text in reports.items()))
    return tmp_path


def curate(folder: Path, texts: dict[str, list[str]], **more: Any) -> dict[str, Any]:
    recipe = {"kind": "curate", "name": "t", "teachers": [scripted(folder, texts)], "repair": {"attempts": 0}}
    (folder / "recipe.yaml").write_text(json.dumps(recipe | more))
    words = ["curate", str(folder / "recipe.yaml"), "--studies", str(folder / "studies"), "--out", str(folder / "run")]
    assert main([*words, "--json", str(folder / "told.json")]) == 0
    found: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return found


def doubted(folder: Path) -> set[str]:
    with RunFolder.read(folder / "run") as run:
        return {c.study_id for c, v in run.judged() if "template_trace" in {f.code for f in v.findings}}


def test_curate_doubts_the_early_ones_as_well_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = curate(folder, {"a": [GOOD], "b": [GOOD], "c": [GOOD]}, concurrency=1)
    assert (found["accepted"], found["doubted"]) == (0, 3)
    assert doubted(folder) == {"t/a", "t/b", "t/c"}
    assert "TEMPLATES: for 3 of 3 studies" in capsys.readouterr().out
    again = curate(folder, {"a": [GOOD], "b": [GOOD], "c": [GOOD]}, concurrency=1)
    assert (again["asked"], again["accepted"], again["doubted"]) == (0, 0, 3)


def test_sketches_are_kept_with_the_verdict_and_are_those_of_its_texts_only() -> None:
    found = sketches(STEPS, REFERENCE)
    blob = packed(found, STEPS, REFERENCE)
    again = kept(blob, STEPS, REFERENCE)
    assert again is not None and all((one == other).all() for one, other in zip(found, again, strict=True))
    assert kept(blob, VARIED, REFERENCE) is kept(blob, STEPS, OTHER) is kept(None, STEPS, REFERENCE) is None


def test_a_resume_takes_sketches_from_the_journal_and_finds_the_same(folder: Path) -> None:
    texts = {"a": [GOOD], "b": [GOOD], "c": [GOOD]}
    curate(folder, texts, limit=1)
    with RunFolder.read(folder / "run") as run:
        (event,) = run.journal.latest(State.JUDGED)
    assert event.raw == packed(sketches(STEPS, REFERENCE), STEPS, REFERENCE)
    found = curate(folder, texts)  # the first is compared with what comes now
    assert (found["recalled"], found["doubted"]) == (1, 3)
    with RunFolder.read(folder / "run") as run:
        assert all(event.raw for event in run.journal.latest(State.JUDGED))


def test_a_template_is_put_back_to_its_author(folder: Path) -> None:
    mended = ten(dict(enumerate(VARIED, 1)), report=None)
    found = curate(folder, {"a": [GOOD], "b": [GOOD, mended]}, limit=2, concurrency=1, repair={"attempts": 1})
    assert (found["asked"], found["repaired"]) == (3, 1)
    assert doubted(folder) >= {"t/b"}


@pytest.mark.parametrize(("weight", "outcome"), [("warning", "accepted"), ("error", "rejected"), ("off", "accepted")])
def test_a_recipe_gives_it_another_severity(folder: Path, weight: str, outcome: str) -> None:
    found = curate(folder, {"a": [GOOD], "b": [GOOD]}, limit=2, severities={"template_trace": weight})
    assert found[outcome] == 2


def test_a_recheck_finds_templates_in_a_run_that_knew_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curate(folder, {"a": [GOOD], "b": [GOOD]}, limit=2, severities={"template_trace": "off"})
    assert doubted(folder) == set()
    assert main(["recheck", str(folder / "run"), "--severities", "template_trace=doubt"]) == 0
    assert doubted(folder) == {"t/a", "t/b"}
    assert "template_trace" in capsys.readouterr().out


def test_a_verifier_cannot_lift_it(folder: Path) -> None:
    verifier = {"kind": "file", "calibration": calibration(folder), "options": {"model": "reader-1"}}
    texts = {"a": [GOOD], "b": [GOOD]}
    curate(folder, texts, limit=2, verifier=verifier)
    answer_all(folder / "run" / "handover" / "verifier")
    curate(folder, texts, limit=2, verifier=verifier)
    found = curate(folder, texts, limit=2, verifier=verifier)
    assert (found["accepted"], found["doubted"]) == (0, 2)


def test_an_audit_doubts_every_row_of_a_template(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def row(name: str, report: str, steps: Sequence[str] = STEPS) -> dict[str, Any]:
        text = ten(dict(enumerate(steps, 1)), report)
        return {"id": name, "text": text, "reference_report": report, "views": ["PA"]}

    rows = [row("a", REFERENCE), row("b", OTHER), row("c", REFERENCE, VARIED)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    page = tmp_path / "page.html"
    words = ["audit", str(tmp_path / "rows.jsonl"), "--html", str(page), "--json", str(tmp_path / "a.json")]
    assert main(words) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    templates = {
        i["id"]: i["outcome"] for i in found["items"] if "template_trace" in {f["code"] for f in i["findings"]}
    }
    assert templates == {"a": "doubt", "b": "doubt"}
    outcomes = [item["outcome"] for item in found["items"]]
    assert (found["accepted"], found["doubted"]) == (outcomes.count("accept"), outcomes.count("doubt"))
    assert found["codes"]["template_trace"] == 2
    assert page.read_text().count("Doubt: template_trace") == 2
    assert "TEMPLATES: for 2 of 3 studies" in capsys.readouterr().out
