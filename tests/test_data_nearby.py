"""Reading ahead gives the same studies, in whatever order they are asked for; tables say what the nouns say."""

import random
from pathlib import Path

import pytest
from tenstep.data.nearby import Nearby
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.errors import InputError
from tenstep.schemas.sample_recipe import SampleRecipe
from tenstep.schemas.study import Study
from tenstep.schemas.verdict import Finding, Verdict
from tenstep.validators.reading import read_candidate
from tenstep.validators.rule import REFERENCE, ten

STUDIES = 1_500


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StudyStore:
    folder = tmp_path_factory.mktemp("nearby") / "studies"
    with StudyStore.create(folder, "t") as writer:
        for number in range(STUDIES):
            study = Study(
                id=f"t/{number}", patient_id=str(number), source="t", data_class="public",
                report=f"{REFERENCE} Film {number}.", report_form="verbatim", views=("PA",),
            )  # fmt: skip
            writer.add(study)
    return StudyStore.open(folder)


@pytest.mark.parametrize("spread", [0, 40, STUDIES])
def test_studies_are_the_same_in_about_the_stores_order_and_in_any_other(store: StudyStore, spread: int) -> None:
    dice = random.Random(spread)
    order = sorted(range(STUDIES), key=lambda number: number + dice.uniform(0, spread))
    nearby = Nearby(store)
    for number in order:
        assert nearby.get(f"t/{number}").report == f"{REFERENCE} Film {number}."


def test_a_study_that_is_not_there_is_an_error(store: StudyStore) -> None:
    with pytest.raises(InputError, match="no study"):
        Nearby(store).get("t/none")


@pytest.mark.parametrize("text", [ten(report=None), ten(report=None).replace("lungs", "l\u00fcngs \U0001fac1")])
def test_a_line_of_a_table_is_what_its_noun_writes(tmp_path: Path, store: StudyStore, text: str) -> None:
    recipe = SampleRecipe(name="t", model="m", model_sha256="0" * 64, prompt_sha256="0" * 64)
    warned = Verdict(findings=(Finding(rule="r", code="c", severity="warning", message="m"),))
    with RunFolder.open(tmp_path / "run", kind="sample", recipe=recipe, studies=store) as run:
        for number, verdict in ((3, Verdict()), (1, warned), (2, Verdict())):
            run.record(read_candidate(text, f"t/{number}", writes_report=False), verdict, raw=b"x")
        run.write_tables()
        examples = [example.model_dump_json() for example in run.accepted()]
    assert (tmp_path / "run" / "accepted.jsonl").read_text("utf-8").splitlines() == examples
    assert len(examples) == 3


def test_tables_are_in_the_order_of_the_store_whichever_answer_came_first(tmp_path: Path, store: StudyStore) -> None:
    recipe = SampleRecipe(name="t", model="m", model_sha256="0" * 64, prompt_sha256="0" * 64)
    arrived = [700, 3, 1_499, 0, 31, 30]
    with RunFolder.open(tmp_path / "run", kind="sample", recipe=recipe, studies=store) as run:
        for number in arrived:
            run.record(read_candidate(ten(report=None), f"t/{number}", writes_report=False), Verdict(), raw=b"x")
        run.write_tables()
        assert [one.candidate.study_id for one in run.judged()] == [f"t/{number}" for number in arrived]
        stored = [f"t/{number}" for number in sorted(arrived)]
        assert [one.candidate.study_id for one in run.judged(by_study=True)] == stored
        assert [example.study.id for example in run.accepted()] == stored
