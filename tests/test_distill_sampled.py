"""What samples are worth: shares with intervals, several temperatures, reports alone, failures sent back."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from distill_parts import accepted_run, filmed, ingested, steps, untrained
from hypothesis import given
from hypothesis import strategies as st
from tenstep.__main__ import main
from tenstep.data.demo.folders import write_folders
from tenstep.data.judged import Judged
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.distill.sample import count, plan, sample
from tenstep.distill.sampled import Share, figures, share
from tenstep.distill.train.train import distill
from tenstep.schemas.errors import InputError, RecipeError
from tenstep.schemas.learning import Lora
from tenstep.schemas.study import Study
from tenstep.schemas.trace import Trace
from tenstep.validators.gate import judge
from tenstep.validators.reading import read_candidate

STUDIES = 4


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StudyStore:
    return filmed(tmp_path_factory.mktemp("sampled"), STUDIES)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory, store: StudyStore) -> Path:
    folder = tmp_path_factory.mktemp("student")
    recipe = untrained(
        folder / "tiny",
        [study.report for study in store],
        steps=1,
        max_new_tokens=600,
        lora=Lora(r=4),
        report_to=(),
    )
    distill(recipe, accepted_run(store, folder / "run"), folder / "out")
    return folder / "out"


@given(st.integers(0, 300), st.integers(1, 300), st.integers(1, 300))
def test_an_interval_holds_its_share_and_narrows_with_patients(hits: int, of: int, patients: int) -> None:
    hits = min(hits, of)
    found, wider = share(hits, of, patients + 1), share(hits, of, patients)
    assert isinstance(found, Share) and isinstance(wider, Share)
    assert 0 <= found.low <= found.value + 1e-12 and found.value - 1e-12 <= found.high <= 1
    assert found.high - found.low < wider.high - wider.low


def test_wilsons_interval_is_the_published_one() -> None:
    found = share(81, 263, 263)  # Newcombe 1998, table I: 0.2553 to 0.3662
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert share(0, 0, 0) is None


def answers(store: StudyStore, texts: Sequence[str]) -> tuple[list[Judged], dict[str, Study]]:
    studies = list(store)
    judged = []
    for study, text in zip(studies, texts, strict=True):
        candidate = read_candidate(text, study.id, author="student", stop_reason="stop")
        judged.append(Judged(candidate, judge(study, candidate)))
    return judged, {study.id: study for study in studies}


def test_a_copy_of_the_truth_is_grounded_and_whole_and_a_contradiction_is_not(store: StudyStore) -> None:
    good = [f"{steps(study)}\n\n{study.report}" for study in store]
    judged, studies = answers(store, good)
    found = figures(judged, studies, steps=True)
    assert (found.answers, found.well_formed, found.grounded) == (
        STUDIES,
        share(STUDIES, STUDIES, STUDIES),
        share(STUDIES, STUDIES, STUDIES),
    )
    assert found.coverage is not None and found.coverage.value == 1.0

    wrong = "6. No pleural effusion and no pneumothorax is seen."
    lies = [text if at else text.replace(text.splitlines()[5], wrong) for at, text in enumerate(good)]
    judged, studies = answers(store, lies)
    assert figures(judged, studies, steps=True).grounded == share(STUDIES - 1, STUDIES, STUDIES)

    judged, studies = answers(store, ["{", *good[1:]])
    found = figures(judged, studies, steps=True)
    assert found.well_formed == share(STUDIES - 1, STUDIES, STUDIES)
    assert found.grounded == share(STUDIES - 1, STUDIES - 1, STUDIES - 1)


def test_sentences_of_a_report_alone_are_read_like_steps(store: StudyStore) -> None:
    judged, studies = answers(store, [study.report for study in store])
    alone = [
        Judged(one.candidate.model_copy(update={"trace": Trace(report=one.candidate.text)}), one.verdict)
        for one in judged
    ]
    found = figures(alone, studies, steps=False)
    assert found.grounded is not None and found.grounded.value == 1.0
    assert found.coverage is not None and found.coverage.value == 1.0


def test_temperatures_are_asked_and_counted_apart(student: Path, store: StudyStore, tmp_path: Path) -> None:
    recipe = plan(student, name="s", temperatures=[0.0, 1.0], n=2, max_new_tokens=20, limit=None, seed=0)
    manifest = sample(recipe, store, tmp_path / "run", batch=5)
    assert manifest.counts["attempts"] == 2 * 2 * STUDIES
    with RunFolder.read(tmp_path / "run") as run:
        texts = {(one.candidate.study_id, one.candidate.sample): one.candidate.text for one in run.judged()}
    for study in store:
        assert texts[study.id, 0] == texts[study.id, 1]  # greedy
        assert texts[study.id, 2] != texts[study.id, 3]
    by = count(tmp_path / "run")
    assert {temperature: found.answers for temperature, found in by.items()} == {0.0: 8, 1.0: 8}


def test_a_report_alone_is_judged_without_the_rules_about_steps(
    student: Path, store: StudyStore, tmp_path: Path
) -> None:
    fields = {"name": "s", "temperatures": [0.0], "n": 1, "max_new_tokens": 20, "limit": 1, "seed": 0}
    recipe = plan(student, prompt="report-only", **fields)
    assert recipe.prompt_sha256 != plan(student, **fields).prompt_sha256
    sample(recipe, store, tmp_path / "run", batch=1)
    with RunFolder.read(tmp_path / "run") as run:
        (one,) = run.judged()
    assert one.candidate.prompt_id == "report-only@1"
    assert one.candidate.trace is not None and one.candidate.trace.report == one.candidate.text
    assert "cut_off" in one.verdict.codes and "step_count" not in one.verdict.codes
    with pytest.raises(RecipeError, match="there is no prompt 'haiku'"):
        plan(student, prompt="haiku", **fields)


@pytest.mark.parametrize("films", [{"first_seed": 50, "size": 64}, {"size": 48}], ids=["names", "images"])
def test_another_store_than_the_runs_is_refused_before_anything_changes(
    films: dict[str, int], student: Path, store: StudyStore, tmp_path: Path
) -> None:
    recipe = plan(student, name="s", temperatures=[0.0], n=1, max_new_tokens=5, limit=2, seed=0)
    sample(recipe, store, tmp_path / "run", batch=2)
    before = (tmp_path / "run" / "manifest.json").read_bytes()
    other = ingested(tmp_path / "other", write_folders(tmp_path / "films", STUDIES, defects=False, **films))
    with pytest.raises(InputError, match="not the store of this run, which has answers about"):
        sample(recipe, other, tmp_path / "run", batch=2)
    assert (tmp_path / "run" / "manifest.json").read_bytes() == before
    assert sample(recipe, store, tmp_path / "run", batch=2).counts["sampled"] == 0
    with RunFolder.read(tmp_path / "run") as run:
        assert len(list(run.judged())) == 2


def test_an_image_that_changed_is_a_failure_and_a_copy_is_read_again(
    student: Path, store: StudyStore, tmp_path: Path
) -> None:
    own = filmed(tmp_path, 3)
    first, second, _ = (own.path_of(study.images[0]) for study in own)
    first.write_bytes(second.read_bytes())
    second.touch()
    recipe = plan(student, name="s", temperatures=[0.0], n=1, max_new_tokens=5, limit=None, seed=0)
    manifest = sample(recipe, own, tmp_path / "run", batch=2)
    assert (manifest.counts["attempts"], manifest.counts["failed"]) == (2, 1)


def test_failed_studies_go_back_to_curation(student: Path, store: StudyStore, tmp_path: Path) -> None:
    words = ["sample", student, "--studies", store.root, "--out", tmp_path / "run", "--max-new-tokens", "10"]
    assert main([*map(str, words), "--limit", "3", "--redo", str(tmp_path / "failed")]) == 0
    failed = StudyStore.open(tmp_path / "failed")
    assert [study.id for study in failed] == [study.id for study in store][:3]
    assert all(failed.path_of(image).is_file() for study in failed for image in study.images)
    recipe = tmp_path / "curate.yaml"
    recipe.write_text("kind: curate\nname: again\nteachers:\n  - kind: checklist\n")
    again = ["curate", recipe, "--studies", tmp_path / "failed", "--out", tmp_path / "again"]
    assert main(list(map(str, again))) == 0
    with RunFolder.read(tmp_path / "again") as run:
        assert run.manifest.counts["accepted"] == 3
    assert main([*map(str, words), "--limit", "3", "--redo", str(tmp_path / "failed")]) == 2
