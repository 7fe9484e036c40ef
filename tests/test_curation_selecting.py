"""Selecting a small set: stages with reasons, quotas, and the same set whatever the order."""

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tenstep
from curation_parts import make_store
from tenstep.__main__ import main
from tenstep.curation.selecting.diversity import Space, choose
from tenstep.curation.selecting.pool import PoolExample
from tenstep.curation.selecting.quotas import Quotas, parsed
from tenstep.curation.selecting.select import SelectOptions, select
from tenstep.data.run import RunFolder
from tenstep.data.selection import examples_of, read_selection, runs_of
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import InputError, RunError
from tenstep.schemas.study import Study
from tenstep.schemas.verdict import Finding, Verdict
from tenstep.validators.reading import read_candidate
from tenstep.validators.rule import STEPS

pytest.importorskip("sklearn")

SAID = {
    "": "The heart is normal in size. The lungs are clear.",
    "effusion": "There is a small right pleural effusion.",
    "pneumothorax": "There is a large left pneumothorax.",
    "cardiomegaly": "The heart is enlarged.",
    "nodule": "A nodule is seen in the left upper lobe.",
}
WORDS = [f"word{number}" for number in range(20)]
WARNING = Verdict(findings=(Finding(rule="length", code="step_short", severity="warning", message="m"),))

MakeRun = Callable[..., Path]


def study(name: str, said: str, **more: Any) -> Study:
    report = f"Technique: Chest.\nView: PA\nFindings: {SAID[said]} Film {name}.\nImpression: {SAID[said]}"
    fields = {"patient_id": f"patient-{name}", "views": ("PA",), "report": report, "data_class": "public"}
    return Study(id=f"t/{name}", source="t", report_form="four-header", **(fields | more))


def steps(name: str) -> str:
    """Ten steps that no other study has."""
    chance = random.Random(name)
    written = [f"{step} {' '.join(chance.choices(WORDS, k=12))}." for step in STEPS]
    return "\n".join(f"{number}. {step}" for number, step in enumerate(written, 1))


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(name: str, studies: Sequence[Study], verdict: Callable[[str], Verdict] = lambda _: Verdict()) -> Path:
        store = make_store(tmp_path / f"{name}-studies", studies)
        recipe = CurateRecipe.model_validate({"kind": "curate", "name": name, "teachers": [{"kind": "checklist"}]})
        with RunFolder.open(tmp_path / name, kind="curate", recipe=recipe, studies=store) as run:
            for one in studies:
                candidate = read_candidate(steps(one.id), one.id, author="teacher", writes_report=False)
                key = hashlib.sha256(f"{name} {one.id}".encode()).hexdigest()
                run.record(candidate.model_copy(update={"key": key}), verdict(one.id), raw=b"")
            run.finish()
        return tmp_path / name

    return make


def mixed(count: int, start: int = 0) -> list[Study]:
    """Most are normal, and the rarest finding is in every twentieth."""
    kinds = [*[""] * 10, *["effusion"] * 5, *["cardiomegaly"] * 3, "nodule", "pneumothorax"]
    return [study(f"s{number:03}", kinds[number % len(kinds)]) for number in range(start, start + count)]


def test_a_selection_says_why_each_row_was_taken_and_each_other_one_was_not(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("run", mixed(60))
    found = select([run], SelectOptions(n=12), tmp_path / "small")
    selection = read_selection(tmp_path / "small")
    assert selection == found.selection and len(selection.rows) == 12
    assert [row.rank for row in selection.rows] == list(range(1, 13))
    assert all(row.reason for row in selection.rows)
    left = [json.loads(line) for line in (tmp_path / "small" / "removed.jsonl").read_text().splitlines()]
    assert len(left) == 48 and all(row["stage"] and row["reason"] for row in left)
    assert {row["key"] for row in left} & {row.key for row in selection.rows} == set()
    stages = {stage.name: stage for stage in selection.stages}
    assert list(stages) == ["gates", "one a study", "near-duplicates", "quality", "difficulty", "diversity"]
    assert all(stage.before - stage.after == sum(stage.removed.values()) for stage in stages.values())
    for plot in ("coverage.svg", "stages.svg"):
        assert (tmp_path / "small" / plot).read_text().startswith("<svg")


def test_the_rarest_findings_and_normal_films_are_in_it_by_their_minimums(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("run", mixed(60))
    quotas = {"minimums": {"finding:pneumothorax": 3, "normality:normal": 4}, "maximums": {"finding:cardiomegaly": 1}}
    found = select([run], SelectOptions(n=12, **quotas), tmp_path / "small").selection
    assert found.chosen["finding:pneumothorax"] == 3
    assert found.chosen["normality:normal"] >= 4
    assert found.chosen["finding:cardiomegaly"] == 1
    assert found.short == {}


def test_a_minimum_that_cannot_be_met_is_said(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("run", mixed(20))
    options = SelectOptions(n=10, minimums={"finding:pneumothorax": 5, "view:lateral": 2})
    found = select([run], options, tmp_path / "small")
    assert found.selection.short == {"finding:pneumothorax": 4, "view:lateral": 2}
    assert any("finding:pneumothorax lacks 4" in note for note in found.notes)


def test_order_of_studies_and_runs_does_not_change_the_set(make_run: MakeRun, tmp_path: Path) -> None:
    studies = mixed(80)
    ways = {
        "one": [make_run("a", studies[:40]), make_run("b", studies[40:])],
        "two": [make_run("c", studies[:39:-1]), make_run("d", studies[39::-1])],
    }
    sets = [
        [row.id for row in select(runs, SelectOptions(n=15), tmp_path / way).selection.rows]
        for way, runs in ways.items()
    ]
    assert sets[0] == sets[1]
    hashes = [read_selection(tmp_path / way).input_sha256 for way in ways]
    assert hashes[0] == hashes[1]


def test_better_examples_come_first_and_a_study_is_chosen_once(make_run: MakeRun, tmp_path: Path) -> None:
    studies = mixed(40)
    worse = make_run("worse", studies, lambda _: WARNING)
    good = make_run("good", studies)
    found = select([worse, good], SelectOptions(n=10), tmp_path / "small").selection
    assert {row.run for row in found.rows} == {1}
    removed = next(stage for stage in found.stages if stage.name == "one a study").removed
    assert removed == {"another trace of the study is as good or better": 40}


def test_the_quality_stage_removes_rows_with_warnings(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("run", mixed(60), lambda name: WARNING if int(name[-3:]) % 2 else Verdict())
    found = select([run], SelectOptions(n=5, minimums={"finding:*": 0, "normality:*": 0}), tmp_path / "small").selection
    assert {int(row.study_id[-3:]) % 2 for row in found.rows} == {0}
    assert sum(next(s for s in found.stages if s.name == "quality").removed.values()) == 30


def test_near_duplicates_leave_one(make_run: MakeRun, tmp_path: Path) -> None:
    twins = [study(f"s{n}", "effusion") for n in range(3)]
    store = make_store(tmp_path / "x", twins)
    recipe = CurateRecipe.model_validate({"kind": "curate", "name": "x", "teachers": [{"kind": "checklist"}]})
    with RunFolder.open(tmp_path / "twins", kind="curate", recipe=recipe, studies=store) as run:
        for one in twins:
            candidate = read_candidate(steps("same"), one.id, author="teacher", writes_report=False)
            key = hashlib.sha256(one.id.encode()).hexdigest()
            run.record(candidate.model_copy(update={"key": key}), Verdict(), raw=b"")
    found = select([tmp_path / "twins"], SelectOptions(n=3), tmp_path / "small")
    assert len(found.selection.rows) == 1
    assert found.notes[0].startswith("1 of 3")


def test_held_out_patients_splits_and_tests_are_never_chosen(make_run: MakeRun, tmp_path: Path) -> None:
    studies = [*mixed(20), study("own-test", "nodule", split="test")]
    run = make_run("run", studies)
    copied = study("other", "pneumothorax").model_copy(update={"report": studies[19].report})
    held = [
        study("x", "", patient_id="patient-s000"),
        copied,
        study("y", "").model_copy(update={"report": studies[1].report}),
    ]
    make_store(tmp_path / "held", held)
    found = select([run], SelectOptions(n=21, similarity=0.95), tmp_path / "small", held_out=[tmp_path / "held"])
    chosen = {row.study_id for row in found.selection.rows}
    assert chosen.isdisjoint({"t/own-test", "t/s000", "t/s019"})
    assert "t/s001" in chosen  # a normal report that reads like a held-out one
    reasons = found.selection.stages[0].removed
    assert reasons == {
        "contaminated: shares a patient with a held-out study": 1,
        "held out: of the test split": 1,
        "like a test: its report reads like a held-out one": 1,
    }
    assert any("read like a held-out one and were kept" in note for note in found.notes)


def test_a_students_failures_are_the_difficulty(make_run: MakeRun, tmp_path: Path) -> None:
    studies = mixed(40)
    run = make_run("run", studies)
    hard = {one.id for one in studies[:20]}
    bad = Verdict(findings=(Finding(rule="r", code="c", severity="error", message="m"),))
    store = make_store(tmp_path / "again", studies[:39])
    recipe = CurateRecipe.model_validate({"kind": "curate", "name": "s", "teachers": [{"kind": "checklist"}]})
    with RunFolder.open(tmp_path / "samples", kind="sample", recipe=recipe, studies=store) as samples:
        for one in studies[:39]:
            for k in range(2):
                candidate = read_candidate(steps(one.id), one.id, author="student")
                key = hashlib.sha256(f"{k} {one.id}".encode()).hexdigest()
                samples.record(
                    candidate.model_copy(update={"key": key, "sample": k}),
                    bad if one.id in hard else Verdict(),
                    raw=b"",
                )
    options = SelectOptions(n=6, minimums={"finding:*": 0, "normality:*": 0})
    found = select([run], options, tmp_path / "small", student=tmp_path / "samples")
    assert {row.study_id for row in found.selection.rows} <= hard
    assert {row.difficulty for row in found.selection.rows} == {1.0}
    assert any("1 studies have no sample" in note for note in found.notes)
    with pytest.raises(InputError, match="a run of tenstep sample is wanted"):
        select([run], options, tmp_path / "other", student=run)


def test_baselines_have_the_same_size_and_are_read_like_a_run(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("run", mixed(60))
    select([run], SelectOptions(n=12), tmp_path / "small")
    for name in ("random", "hard-random", "domain"):
        folder = tmp_path / "small" / "baselines" / name
        assert runs_of(folder) == (run.resolve(),)
        examples = [sourced.example.study.id for sourced in examples_of(folder)]
        assert len(set(examples)) == 12
        assert examples == [row.study_id for row in read_selection(folder).rows]
    domains = read_selection(tmp_path / "small" / "baselines" / "domain").chosen
    assert domains["finding:pneumothorax"] >= 2  # one finding in turn, however rare


def test_folders_can_be_moved_together(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("run", mixed(20))
    select([run], SelectOptions(n=5), tmp_path / "small")
    (tmp_path / "there").mkdir()
    for name in ("run", "small", "run-studies"):
        (tmp_path / name).rename(tmp_path / "there" / name)
    moved = tmp_path / "there"
    assert len(list(examples_of(moved / "small", studies=moved / "run-studies"))) == 5


def test_a_chosen_example_that_is_no_longer_accepted_is_said(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("run", mixed(20))
    select([run], SelectOptions(n=5), tmp_path / "small")
    file = tmp_path / "small" / "selection.json"
    told = json.loads(file.read_text())
    told["rows"][0]["key"] = "0" * 64
    file.write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"1 chosen examples are no longer accepted.*select again"):
        list(examples_of(file))
    file.write_text("{}")
    with pytest.raises(InputError, match="is no selection"):
        list(examples_of(file))


def test_a_selection_that_was_edited_loses_no_row_in_silence(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("run", mixed(20))
    select([run], SelectOptions(n=5), tmp_path / "small")
    file = tmp_path / "small" / "selection.json"
    whole = json.loads(file.read_text())
    for field in ("rank", "key"):
        rows = [row | {field: whole["rows"][0][field]} for row in whole["rows"]]
        file.write_text(json.dumps(whole | {"rows": rows}))
        with pytest.raises(InputError, match="twice, or has two of one rank"):
            list(examples_of(file))


def test_a_large_pool_is_shortened_by_strata(make_run: MakeRun, tmp_path: Path) -> None:
    studies = [study(f"s{n:03}", "", views=("PA",) if n % 4 else ("lateral",)) for n in range(80)]
    found = select([make_run("run", studies)], SelectOptions(n=4, pool=20), tmp_path / "small").selection
    assert found.pool["view:lateral"] == 5 and found.pool["view:frontal"] == 15
    assert found.stages[1].removed == {"not in the sample": 60}


def test_the_command_tells_stages_and_refuses_what_it_cannot_do(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run("run", mixed(30))
    small = tmp_path / "small"
    words = ["select", str(run), "--n", "6", "--out", str(small), "--min", "finding:*=1"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n"] == 6 and set(told["coverage"]) == {"selected", "random", "hard-random", "domain"}
    assert main(words) == 2
    assert "choose another --out" in capsys.readouterr().err
    for wrong in (["--min", "pneumothorax=3"], ["--quality", "2"]):
        assert main(["select", str(run), "--n", "6", "--out", str(tmp_path / "x"), *wrong]) == 2
        assert capsys.readouterr().err.startswith("tenstep: ")
    assert main(["select", str(small), "--n", "6", "--out", str(tmp_path / "x")]) == 2
    assert "select from its runs" in capsys.readouterr().err


def test_lazy_choice_is_the_plain_greedy_choice() -> None:
    """Every gain computed anew at every turn, the slow way."""
    chance = random.Random(3)
    texts = [" ".join(chance.choices(WORDS, k=chance.randrange(3, 9))) for _ in range(150)]
    rows = [
        PoolExample(str(n), 0, "", str(n), ("t", str(n)), "t", ("frontal",), (), t, "") for n, t in enumerate(texts)
    ]
    space = Space(texts)
    picks = choose(space, list(range(150)), 20, Quotas(rows, {}, {}))
    alike = space.likeness(list(range(150)))
    covered = np.zeros(space.size)
    for pick in picks:
        gains = np.round(np.maximum(alike - covered[:, None], 0).sum(axis=0), 4)
        taken = [other.number for other in picks[: picks.index(pick)]]
        gains[taken] = -1
        assert pick.number == int(np.argmax(gains))
        assert pick.gain == pytest.approx(float(gains.max()))
        covered = np.maximum(covered, alike[:, pick.number])
    assert picks[-1].coverage == pytest.approx(space.coverage([pick.number for pick in picks]))


def test_a_minimum_asks_for_rows_until_it_is_met_and_a_maximum_refuses_them_from_there_on() -> None:
    rows = [PoolExample(str(n), 0, "", str(n), ("t", str(n)), "t", ("frontal",), (), "", "") for n in range(3)]
    group = rows[0].groups[0]
    quotas = Quotas(rows, {group: 2}, {group: 2})
    for taken in range(2):
        assert quotas.served().all() and quotas.allowed().all() and quotas.short() == {group: 2 - taken}
        assert quotas.take(taken) == (f"{group} ({taken + 1} of 2)",)
    assert not quotas.served().any() and not quotas.allowed().any() and quotas.short() == {}


@pytest.mark.parametrize(
    "word", ["finding:x", "finding=3", "side:left=2", "finding:x=-1", "finding:x=²", "finding:x=" + "9" * 30, ""]
)
def test_what_is_no_quota_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="is no quota"):
        parsed([word])
    for quota in ({"side:left": 2}, {"finding:x": -1}, {"finding:x": 10**30}):
        with pytest.raises(InputError, match="must"):
            tenstep.select(["run"], 3, out="out", maximums=quota)
    with pytest.raises(InputError, match="finding:x gets two quotas"):
        parsed(["finding:x=1", "finding:x=1"])


def test_maximums_that_leave_nothing_or_name_nothing_are_said(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("run", mixed(8))
    with pytest.raises(InputError, match="the maximums leave nothing to choose"):
        select([run], SelectOptions(n=2, maximums={"source:*": 0}), tmp_path / "none")
    found = select([run], SelectOptions(n=2, maximums={"finding:pnuemothorax": 1}), tmp_path / "some")
    assert "the maximum of finding:pnuemothorax caps nothing: the pool holds none" in found.notes


def test_a_folder_with_something_in_it_is_not_overwritten(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("a")
    with pytest.raises(RunError, match="choose another --out"):
        select([make_run("run", mixed(5))], SelectOptions(n=2), tmp_path / "mine")


def test_a_student_learns_from_a_selection_as_from_a_run(make_run: MakeRun, tmp_path: Path) -> None:
    from tenstep.distill import prompt
    from tenstep.distill.train.examples import load_examples
    from tenstep.schemas.distill_recipe import DistillRecipe

    run = make_run("run", mixed(30))
    select([run], SelectOptions(n=8), tmp_path / "small")
    told = {"kind": "distill", "name": "x", "base": "b", "run": "r", "validation": 0.3, "steps": 1}
    recipe = DistillRecipe.model_validate(told)
    found = load_examples(recipe, tmp_path / "small", prompt.read(prompt.path_of("ten-steps")))
    chosen = {row.study_id for row in read_selection(tmp_path / "small").rows}
    assert {example.study.id for example in found.all} == chosen
