"""What is trained on, and in which order, does not depend on which answer arrived first."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from distill_parts import changed, recipe_on, steps
from distill_student import PHANTOMS, base, store
from tenstep.data.preferences import rejected_of
from tenstep.data.run import RunFolder
from tenstep.data.selection import examples_of
from tenstep.data.store.studies import StudyStore
from tenstep.distill.prompt import path_of, read
from tenstep.distill.redo import redo
from tenstep.distill.train.examples import load_examples, pool
from tenstep.distill.train.pairs import pair_codes
from tenstep.distill.train.run_card import RunCard
from tenstep.distill.train.train import distill
from tenstep.schemas.curate_recipe import CurateRecipe, Several
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import RunError
from tenstep.schemas.recipe import TeacherSpec
from tenstep.schemas.study import Study
from tenstep.validators.gate import judge
from tenstep.validators.reading import read_candidate

__all__ = ["base", "store"]  # fixtures

SAMPLES = 3
TEN = read(path_of("ten-steps"))
Arrival = tuple[str, int]  # study and sample


def wrong(study: Study, sample: int) -> str:
    """The study's steps with a size that no phantom's reference has."""
    return steps(study).replace("Synthesis:", f"Synthesis: a {31 + sample} mm mass.")


def run_of(store: StudyStore, out: Path, arrivals: Sequence[Arrival], *, mended: bool = True) -> Path:
    """A run with several answers a study, each wrong and then mended, that arrived in this order."""
    teacher = TeacherSpec(kind="checklist")
    recipe = CurateRecipe(kind="curate", name="order", teachers=(teacher,), several=Several(samples=SAMPLES))
    with RunFolder.open(out, kind="curate", recipe=recipe, studies=store) as run:
        for study_id, sample in arrivals:
            study = store.get(study_id)
            good = steps(study).replace("Synthesis:", f"Synthesis {'as read ' * sample}:")
            for attempt, text in enumerate((wrong(study, sample), good)[: 1 + mended], 1):
                candidate = read_candidate(text, study.id, writes_report=False)
                candidate = candidate.model_copy(update={"attempt": attempt, "sample": sample, "teacher": "checklist"})
                run.record(candidate, judge(study, candidate), raw=b"")
        run.finish()
    return out


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, store: StudyStore) -> list[Path]:
    """The same answers, in the order of the store and in two others."""
    asked = [(study.id, sample) for study in store for sample in range(SAMPLES)]
    orders = [asked, asked[::-1], random.Random(3).sample(asked, len(asked))]
    folder = tmp_path_factory.mktemp("runs")
    return [run_of(store, folder / str(at), order) for at, order in enumerate(orders)]


@pytest.fixture(scope="module")
def recipe(base: Path) -> DistillRecipe:
    return recipe_on(base, steps=1, batch=2, max_new_tokens=400, report_to=())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"traces": {"source": "first"}},
        {"traces": {"source": "reports"}, "prompt": "report-only"},
        {"traces": {"source": "first", "n": 4, "seed": 7}},
        {"traces": {"source": "accepted", "n": 8, "balance": True}},
        {"limit": 3},
        {"method": "dpo"},
        {"method": "dpo", "preference": {"pairs": 1}},
    ],
)
def test_answers_that_arrived_in_another_order_make_the_same_examples(
    recipe: DistillRecipe, runs: list[Path], fields: dict[str, object]
) -> None:
    other = changed(recipe, **fields)
    found = [load_examples(other, run, read(path_of(other.prompt))) for run in runs]
    assert len({one.sha256 for one in found}) == 1
    assert found[0].rows == found[1].rows == found[2].rows
    if other.method == "dpo":
        assert all(len(example.rejected) == other.preference.pairs for example in found[0].all)


def test_the_first_of_several_answers_is_the_one_that_was_asked_first(runs: list[Path]) -> None:
    sources: tuple[Literal["first", "first-accepted"], ...] = ("first", "first-accepted")
    for source in sources:
        assert [[one.key for one in pool(run, source)] for run in runs[1:]] == [
            [one.key for one in pool(runs[0], source)]
        ] * 2
    assert all("a 31 mm mass" in one.target for one in pool(runs[1], "first"))


def test_exported_pairs_do_not_depend_on_it_either(runs: list[Path]) -> None:
    found = [rejected_of(examples_of(run), pair_codes(form=False), most=2) for run in runs]
    assert [list(pairs.items()) for pairs, _ in found] == [list(found[0][0].items())] * 3
    assert (found[0][1].made, found[0][1].dropped) == (2 * PHANTOMS, {"more than 2 of a study": PHANTOMS})


def test_studies_to_teach_again_keep_the_order_of_their_store(store: StudyStore, tmp_path: Path) -> None:
    arrivals = [(study.id, 0) for study in reversed(list(store))]
    run = run_of(store, tmp_path / "run", arrivals, mended=False)
    assert redo(run, tmp_path / "again") == PHANTOMS
    assert [study.id for study in StudyStore.open(tmp_path / "again")] == [study.id for study in store]


def test_a_training_goes_on_in_the_order_that_an_earlier_version_began_it_in(
    recipe: DistillRecipe, runs: list[Path], store: StudyStore, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    card = distill(recipe, runs[0], out)
    began = load_examples(recipe, runs[0], TEN)
    began = began.ordered_as(began.rows[::-1])  # as the answers had arrived
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in began.rows))
    old = card.model_copy(update={"data_sha256": began.sha256, "finished": None})
    old.write(out)
    again = distill(recipe, runs[0], out, resume=True)
    assert again.finished and again.data_sha256 == began.sha256 != card.data_sha256
    assert [row["study"] for row in map(json.loads, (out / "rows.jsonl").read_text().splitlines())] == [
        study.id for study in reversed(list(store))
    ]

    old.model_copy(update={"data_sha256": "0" * 64}).write(out)
    for _ in range(2):  # other rows, and then none to compare with
        with pytest.raises(RunError, match=r"cannot go on: data changed since \(rows, texts, images or their order\)"):
            distill(recipe, runs[0], out, resume=True)
        (out / "rows.jsonl").unlink(missing_ok=True)
    assert RunCard.read(out).data_sha256 == "0" * 64
