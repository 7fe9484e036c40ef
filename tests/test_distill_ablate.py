"""`tenstep ablate`: arms differ in one thing only, are compared on the same studies, and can be resumed."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from distill_parts import filmed, ingested, untrained
from distill_student import RECIPES, DemoStudent, demo_student, tenstep
from tenstep.__main__ import main
from tenstep.data.demo.folders import write_folders
from tenstep.data.recipes import read_recipe
from tenstep.data.run import RunFolder
from tenstep.data.statistics import mcnemar
from tenstep.demo import worth
from tenstep.distill.ablate.ablation import Ablation
from tenstep.distill.ablate.arms import arms_of
from tenstep.distill.ablate.comparison import rows_of
from tenstep.distill.ablate.outcomes import Outcomes
from tenstep.distill.evaluate.labels import LABELS
from tenstep.distill.prompt import path_of, read
from tenstep.distill.train.drawing import draw, labels_of, raked
from tenstep.distill.train.examples import load_examples, pool
from tenstep.schemas.ablate_recipe import AblateRecipe
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import TrainingError
from tenstep.schemas.learning import Traces
from tenstep.schemas.outcome import Outcome

__all__ = ["demo_student"]  # a fixture

STUDIES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Studies, a biased teacher's run on them, unseen studies, and a student's recipe."""
    folder = tmp_path_factory.mktemp("ablate")
    store = filmed(folder, STUDIES)
    films = write_folders(folder / "unseen-films", 6, first_seed=100_000, size=64, defects=False)
    ingested(folder / "unseen", films)
    teacher = {"kind": "clinical", "options": {"denies_heart": 0.6, "stubborn": 0.3}}
    (folder / "curate.yaml").write_text(yaml.safe_dump({"kind": "curate", "name": "biased", "teachers": [teacher]}))
    words = ["curate", str(folder / "curate.yaml"), "--studies", str(store.root), "--out", str(folder / "run")]
    assert main(words) == 0
    recipe = untrained(folder / "base", [study.report for study in store], steps=1, batch=2, max_new_tokens=300)
    fields = recipe.model_dump(mode="json") | {"lora": {"r": 4, "whole": ["lm_head"]}, "report_to": []}
    (folder / "student.yaml").write_text(yaml.safe_dump(fields))
    return folder


def ablation_recipe(folder: Path, **fields: object) -> Path:
    path = folder / "ablate.yaml"
    given = {"kind": "ablate", "name": "worth", "student": str(folder / "student.yaml"), "seeds": [0], "limit": 4}
    path.write_text(yaml.safe_dump(given | fields, sort_keys=False))
    return path


def denied(folder: Path) -> set[str]:
    with RunFolder.read(folder / "run") as run:
        return {one.candidate.study_id for one in run.judged() if one.candidate.label}


def templates(folder: Path) -> set[str]:
    with RunFolder.read(folder / "run") as run:
        found = [(one.candidate, {finding.code for finding in one.verdict.findings}) for one in run.judged()]
    return {candidate.study_id for candidate, codes in found if candidate.attempt == 1 and codes == {"template_trace"}}


def test_the_pools_are_what_their_names_say(folder: Path) -> None:
    wrong = denied(folder)
    first = {row.study.id: row.target for row in pool(folder / "run", "first")}
    passed = {row.study.id for row in pool(folder / "run", "first-accepted")}
    accepted = {row.study.id: row.target for row in pool(folder / "run", "accepted")}
    assert wrong and len(first) == STUDIES
    # a phantom's trace may be that of a mistaken one, word for word: then both are doubted as templates
    assert passed == first.keys() - wrong - templates(folder)
    assert passed < accepted.keys() < first.keys()  # repaired, but for the stubborn ones
    changed = {study for study in accepted if accepted[study] != first[study]}
    assert changed == wrong & accepted.keys()
    reports = {row.study.id: row.target for row in pool(folder / "run", "reports")}
    assert all(reports[study] == accepted[study].rpartition("\n\n")[2] for study in accepted)


def test_arms_draw_the_same_studies_as_far_as_they_can(folder: Path) -> None:
    traces = Traces(source="first", n=15, seed=3)
    one = draw(list(pool(folder / "run", "first")), traces, list)
    other = draw(list(pool(folder / "run", "accepted")), traces, list)
    shared = {row.study.id for row in one} & {row.study.id for row in other}
    assert len(one) == len(other) == 15 and len(shared) > 8
    with pytest.raises(TrainingError, match=r"41 rows are wanted, and the run has 40 of source 'first'"):
        draw(list(pool(folder / "run", "first")), Traces(source="first", n=41), list)


def test_a_balanced_draw_has_the_mix_of_all_studies(folder: Path) -> None:
    everything = [row.study for row in pool(folder / "run", "first")]
    rows = list(pool(folder / "run", "first-accepted"))

    def hearts(studies: list) -> float:  # type: ignore[type-arg]  # of Study
        return sum(labels_of(study)[1] for study in studies) / len(studies)

    plain = draw(rows, Traces(source="first-accepted", n=20), lambda: everything)
    balanced = draw(rows, Traces(source="first-accepted", n=20, balance=True), lambda: everything)
    assert hearts([row.study for row in plain]) < hearts(everything)
    assert abs(hearts([row.study for row in balanced]) - hearts(everything)) < 0.1
    assert max(Counter(row.key for row in balanced).values()) > 1


def test_raking_gives_every_label_its_share() -> None:
    labels = np.random.default_rng(0).random((300, 3)) < (0.1, 0.5, 0.3)
    weights = raked(labels, np.array([0.3, 0.4, 0.35]))
    assert weights.mean() == pytest.approx(1)
    assert (weights @ labels / len(labels)).tolist() == pytest.approx([0.3, 0.4, 0.35], abs=1e-6)
    assert raked(np.zeros((4, 1), dtype=bool), np.array([0.5])).tolist() == [1, 1, 1, 1]  # nothing to weigh


def test_repeated_rows_have_weights(folder: Path) -> None:
    recipe = DistillRecipe.model_validate(
        yaml.safe_load((folder / "student.yaml").read_text())
        | {"traces": {"source": "first-accepted", "n": 30, "balance": True}},
        strict=False,
    )
    rows = load_examples(recipe, folder / "run", read(path_of("ten-steps"))).rows
    assert sum(int(str(row["weight"])) for row in rows) == 30 and any(row["weight"] != 1 for row in rows)


def test_the_command_compares_arms_and_goes_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = {"unfiltered": {}, "rejected-balanced": {}, "report-only": {}, "hot": {"changes": {"lora": {"r": 8}}}}
    recipe, out = ablation_recipe(folder, arms=arms, n=12), tmp_path / "out"
    words = ["ablate", str(recipe), "--run", str(folder / "run"), "--unseen", str(folder / "unseen"), "--out", str(out)]
    assert main(words) == 0
    found = Ablation.model_validate_json((out / "ablation.json").read_bytes(), strict=False)
    assert (found.n, found.steps, found.studies, found.arms) == (12, 1, 4, tuple(arms))
    accepted = next(row for row in found.rows if row.figure == "accepted")
    assert accepted.arms.keys() == arms.keys() and accepted.against_first.keys() == arms.keys() - {"unfiltered"}
    assert found.case_mix["Cardiomegaly"].keys() == {"all", *arms}
    page = (out / "ablation.html").read_text()
    assert "<svg" in page and "rejected-balanced" in page and "src=" not in page
    card = json.loads((out / "arms" / "hot" / "seed-0" / "student" / "run_card.json").read_text())
    assert card["recipe"]["lora"]["r"] == 8 and card["recipe"]["traces"]["n"] == 12

    before = {file: file.stat().st_mtime_ns for file in out.rglob("adapter/adapter_model.safetensors")}
    assert main(words) == 0  # everything is there, so nothing is trained again
    assert {file: file.stat().st_mtime_ns for file in out.rglob("adapter/adapter_model.safetensors")} == before
    assert len(before) == 4
    ablation_recipe(folder, arms=arms, n=11)
    assert main(words) == 2
    assert "holds another ablation" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"arms": {"unfiltered": {}, "mystery": {}}}, "'mystery' says no changes"),
        ({"n": 41}, "arm 'unfiltered' has 40 rows, and 41 are wanted"),
        ({"arms": {"unfiltered": {}, "curated": {"changes": {"steps": 2}}}}, "arm 'curated' has steps 2"),
        ({"arms": {"unfiltered": {}, "curated": {"changes": {"base": "tiny"}}}}, "arm 'curated' has base tiny"),
        ({"arms": {"unfiltered": {}, "curated": {"changes": {"rank": 2}}}}, "arm 'curated'"),
        ({"arms": {"unfiltered": {}}}, "at least 2"),
    ],
)
def test_arms_that_cannot_be_compared_are_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: dict[str, object], message: str
) -> None:
    recipe = ablation_recipe(folder, **fields)
    words = ["--run", str(folder / "run"), "--unseen", str(folder / "unseen"), "--out", str(tmp_path / "out")]
    assert main(["ablate", str(recipe), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_unseen_studies_must_be_unseen(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = ablation_recipe(folder)
    words = ["--run", str(folder / "run"), "--unseen", str(folder / "studies"), "--out", str(tmp_path / "out")]
    assert main(["ablate", str(recipe), *words]) == 2
    assert "field 'test_sets'" in capsys.readouterr().err


def test_arms_are_compared_study_by_study() -> None:
    def outcomes(*right: int) -> Outcomes:
        stats = np.array([[one, 1] for one in right], dtype=np.float64)
        return Outcomes(tuple("abcdef"), tuple("abcdef"), {"accepted": stats})

    first, second = outcomes(0, 0, 0, 0, 1, 1), outcomes(1, 1, 1, 0, 1, 0)
    (row,) = rows_of({"one": [first, first], "two": [second, second]}, resamples=200)
    pair = row.against_first["two"]
    assert pair.difference == pytest.approx(2 / 6)
    assert (pair.better, pair.worse) == ((3, 3), (1, 1))
    assert pair.mcnemar == (mcnemar(3, 1),) * 2 == (0.625, 0.625)
    assert pair.low is not None and pair.low <= pair.difference <= (pair.high or 0)
    assert row.arms["one"].by_seed == (2 / 6, 2 / 6)


def test_mcnemar_is_the_exact_binomial() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(10, 0) == pytest.approx(2 / 2**10)
    assert mcnemar(5, 5) == 1.0
    assert 0 <= mcnemar(3000, 2000) < 1e-40


@pytest.mark.slow
@pytest.mark.timeout(1800)  # it may be the first that wants the demo's student
def test_curation_is_worth_its_price_where_the_teacher_is_biased(demo_student: DemoStudent, tmp_path: Path) -> None:
    """The demo's ablation with two of its arms, fewer steps and unseen films, and a base that is there already."""
    student = yaml.safe_load((RECIPES / "distill.yaml").read_text()) | {"base": str(demo_student.folder / "base")}
    (tmp_path / "student.yaml").write_text(yaml.safe_dump(student))
    fields = yaml.safe_load((RECIPES / "ablate.yaml").read_text())
    fields |= {
        "student": str(tmp_path / "student.yaml"),
        "arms": {"unfiltered": {}, "curated": {}},
        "steps": 80,
        "limit": 60,
    }
    (tmp_path / "ablate.yaml").write_text(yaml.safe_dump(fields, sort_keys=False))

    def run(words: Sequence[str]) -> Outcome:
        recipe = [str(tmp_path / "ablate.yaml")] if words[0] == "ablate" else [words[1]]
        return Outcome(payload=tenstep(words[0], *recipe, *words[2:]))

    found = worth(tmp_path / "worth", run).payload
    hearts = found["hearts"]
    assert hearts["arms"]["curated"]["value"] > hearts["arms"]["unfiltered"]["value"] + 0.2
    assert hearts["against_first"]["curated"]["low"] > 0
    passed = [labels_of(row.study) for row in pool(tmp_path / "worth" / "runs" / "biased", "first-accepted")]
    share = sum(labels[LABELS.index("Cardiomegaly")] for labels in passed) / len(passed)
    assert share < found["case_mix"]["Cardiomegaly"]["all"]  # rejection alone changes what is trained on


def test_the_arm_of_reports_alone_is_asked_in_the_form_of_the_others(folder: Path, tmp_path: Path) -> None:
    fields = yaml.safe_load((folder / "student.yaml").read_text())
    for prompt, alone in (("ten-steps", "report-only"), ("ten-steps-verbatim", "report-only-verbatim")):
        (tmp_path / "student.yaml").write_text(yaml.safe_dump(fields | {"prompt": prompt}))
        recipe = ablation_recipe(
            folder, arms={"curated": {}, "report-only": {}}, student=str(tmp_path / "student.yaml")
        )
        arms = arms_of(read_recipe(recipe, AblateRecipe), folder / "run")
        assert [arm.prompt for arm in arms.values()] == [prompt, alone]
