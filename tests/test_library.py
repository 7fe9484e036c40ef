"""tenstep as a library: what `from tenstep import ...` gives, in scripts and notebooks."""

import json
from pathlib import Path

import pytest
import tenstep
from distill_parts import accepted_run, filmed
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.errors import InputError, RecipeError, RunError
from tenstep.validators.rule import REFERENCE, ten


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StudyStore:
    return filmed(tmp_path_factory.mktemp("films"), 4)


@pytest.fixture(scope="module")
def run(store: StudyStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return accepted_run(store, tmp_path_factory.mktemp("run") / "run")


def test_one_text_is_judged_and_read() -> None:
    assert tenstep.check(ten(), REFERENCE).accepted
    assert [claim.finding for claim in tenstep.findings("There is a small right pleural effusion.")] == [
        "pleural_effusion"
    ]


def test_a_run_is_a_table_and_a_dataset(run: Path) -> None:
    loaded = tenstep.load_run(run)
    assert len(loaded) == len(loaded.accepted) == 4
    assert (loaded.doubted, loaded.rejected) == ((), ())
    table = loaded.to_pandas()
    assert list(table["outcome"]) == ["accept"] * 4
    assert all(len(steps) == 10 for steps in table["steps"])
    found = loaded.to_dataset()
    assert found.column_names == ["id", "images", "steps", "report", "text", "teacher"]
    assert found[0]["images"][0].size == (64, 64)
    assert found[0]["text"] == loaded.accepted[0].target
    assert "4 accepted" in repr(loaded)


def test_a_run_is_curated_selected_and_exported(store: StudyStore, tmp_path: Path) -> None:
    recipe = {"name": "lib", "teachers": [{"kind": "checklist"}]}
    run = tenstep.curate(recipe, studies=store.root, out=tmp_path / "run")
    assert len(run.accepted) + len(run.rejected) + len(run.doubted) == 4
    again = tenstep.curate(recipe, studies=store.root, out=tmp_path / "run")
    assert [e.provenance.key for e in again] == [e.provenance.key for e in run]
    small = tenstep.select([tmp_path / "run"], 1, out=tmp_path / "small")
    assert len(small.selection.rows) == 1
    chosen = tenstep.load_run(tmp_path / "small")
    assert len(chosen) == len(chosen.to_pandas()) == 1
    told = tenstep.export(tmp_path / "small", "jsonl", tmp_path / "dataset")
    assert told.rows == {"train": 1}


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("severities", {"no_such_code": "off"}, "no rule finds 'no_such_code'"),
        ("verifier", {"kind": "nowhere"}, "there is no teacher 'nowhere'"),
    ],
)
def test_curating_refuses_what_the_command_refuses(
    key: str, value: object, told: str, store: StudyStore, tmp_path: Path
) -> None:
    recipe = {"name": "lib", "teachers": [{"kind": "checklist"}], key: value}
    with pytest.raises(RecipeError, match=told):
        tenstep.curate(recipe, studies=store.root, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_audit_is_a_table(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": ten(), "reference_report": REFERENCE}, {"id": "b", "text": "1. No.", "patient_id": "p"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with tenstep.audit(tmp_path / "rows.jsonl") as found:
        table = found.to_pandas()
    assert list(table["id"]) == ["a", "b"]
    assert list(table["accepted"]) == [True, False]
    assert "step_count" in table["codes"][1]


def test_studies_are_read_and_what_is_none_is_said(store: StudyStore, tmp_path: Path) -> None:
    assert len(tenstep.load_studies(store.root)) == 4
    with pytest.raises(InputError):
        tenstep.load_studies(tmp_path / "nothing")
    with pytest.raises(RunError):
        tenstep.load_run(tmp_path)
