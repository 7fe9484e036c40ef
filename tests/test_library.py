"""tenstep as a library: what `from tenstep import ...` gives, in scripts and notebooks."""

import asyncio
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tenstep
from distill_parts import accepted_run, filmed
from tenstep.data.loading import Run
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.errors import InputError, RecipeError, RunError, TenstepError
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
    with pytest.raises(InputError, match="no accepted example is left"):
        tenstep.select(run.path, 1, out=tmp_path / "none", held_out=[store.root], studies=store.root)
    with pytest.raises(RecipeError, match=r"none\.yaml"):
        tenstep.select(run.path, 1, out=tmp_path / "none", splits=tmp_path / "none.yaml")


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


def test_rows_in_memory_are_audited_as_a_file_of_them_is(tmp_path: Path) -> None:
    import pandas as pd
    from datasets import Dataset

    rows = [{"id": "a", "text": ten(), "reference_report": REFERENCE}, {"id": "b", "text": ten()}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with tenstep.audit(tmp_path / "rows.jsonl") as found:
        of_file = (list(found.rows), found.notes)
    for given in (rows, iter(rows), pd.DataFrame(rows), Dataset.from_list(rows)):
        with tenstep.audit(given) as found:
            assert (list(found.rows), found.notes) == of_file
            assert found.path == Path("rows")


def test_columns_layout_and_steps_are_given_as_to_the_command() -> None:
    row = {
        "uid": "a",
        "cot": "- The heart is normal.\n- The **lungs** are clear.",
        "final": REFERENCE,
        "ref": REFERENCE,
    }
    columns = {"id": "uid", "reasoning": "cot", "answer": "final", "reference_report": "ref"}
    found = {}
    for steps in ("10", "any"):
        with tenstep.audit([row], columns=columns, steps=steps) as one:
            found[steps] = [(each["id"], each["outcome"]) for each in one.rows]
    assert found == {"10": [("a", "reject")], "any": [("a", "accept")]}
    with tenstep.audit([row], columns=columns, layout="prose", steps="any") as one:
        assert dict(one.totals.layouts) == {"prose": 1}


def test_what_a_data_frame_calls_missing_is_a_value_that_is_not_there() -> None:
    import pandas as pd

    row: dict[str, Any] = {"id": "a", "text": ten(), "reference_report": REFERENCE, "patient_id": "p"}
    frame = pd.DataFrame([row, row | {"id": "b", "reference_report": math.nan, "patient_id": math.nan}])
    frame["patient_id"] = frame["patient_id"].astype("string")  # whose missing values are pd.NA
    for given in (frame, [row, row | {"id": "b", "patient_id": math.nan}]):
        with tenstep.audit(given) as found:
            assert (found.totals.rows, len(found.problems)) == (2, 0)
            assert [one["accepted"] for one in found.rows] == [True, True]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: tenstep.check(None), "field 'text': a text is wanted, not NoneType"),
        (lambda: tenstep.check("1. x", float("nan")), "field 'reference': a text is wanted, not float"),
        (lambda: tenstep.findings(float("nan")), "field 'text': a text is wanted, not float"),
        (lambda: tenstep.audit(None), "a path or rows are wanted, not NoneType"),
        (lambda: tenstep.audit({"id": "a"}), "a path or rows are wanted, not dict"),
        (lambda: tenstep.audit(""), "field 'data': is empty; name a file or folder"),
        (lambda: tenstep.audit([], columns={"mood": "x"}), "field 'columns': 'mood' is none of answer, "),
        (lambda: tenstep.audit([], layout="odd"), "field 'layout': 'odd' is none of auto, ours, think, "),
        (lambda: tenstep.audit([], steps="9"), "field 'steps': '9' is none of 10, any"),
        (lambda: tenstep.audit(["a"]), "row 1: field 'data': a row is a mapping of columns, not str"),
        (lambda: tenstep.audit([]), "rows: holds no rows; one JSON object a line is wanted"),
        (lambda: tenstep.select([], 3, out="small"), "names no run to choose from"),
        (lambda: tenstep.select("run", 0, out="small"), "field 'n': must be greater than or equal to 1"),
        (lambda: tenstep.select("run", 3, out="small", quality=7), "field 'quality': must be less than or equal to 1"),
        (lambda: tenstep.select("run", 3, out="small", mood=1), "field 'mood': no such key"),
        (lambda: tenstep.curate({"name": "x", "teachers": 3}, out="run"), "field 'teachers': must be a list"),
        (
            lambda: tenstep.curate({"name": "x", "teachers": [{"kind": "checklist"}], "mood": 3}, out="run"),
            "field 'mood'",
        ),
    ],
)
def test_what_no_function_takes_is_one_clear_line(call: Callable[[], object], told: str) -> None:
    with pytest.raises(TenstepError) as caught:
        call()
    assert told in str(caught.value)


def test_a_run_is_curated_inside_a_running_event_loop(store: StudyStore, tmp_path: Path) -> None:
    """As in a notebook, whose cells run inside one."""

    async def cell() -> Run:
        recipe = {"name": "lib", "teachers": [{"kind": "scripted"}]}
        return tenstep.curate(recipe, studies=store.root, out=tmp_path / "run", limit=2)

    run = asyncio.run(cell())
    assert len(run.accepted) + len(run.rejected) + len(run.doubted) == 2


def test_studies_are_read_and_what_is_none_is_said(store: StudyStore, tmp_path: Path) -> None:
    assert len(tenstep.load_studies(store.root)) == 4
    with pytest.raises(InputError):
        tenstep.load_studies(tmp_path / "nothing")
    with pytest.raises(RunError):
        tenstep.load_run(tmp_path)
