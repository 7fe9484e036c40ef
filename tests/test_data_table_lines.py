"""Tables that are written from those that are there are those that are written from nothing, whatever came between."""

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from curation_parts import GOOD, make_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers.studies import make_study
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.data.table_lines import FILE
from tenstep.schemas.candidate import Candidate
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.layout import parse
from tenstep.schemas.verdict import Finding, Severity, Verdict
from tenstep.validators.rule import REFERENCE

NAMES = "abcdefgh"
TABLES = ("accepted.jsonl", "doubted.jsonl", "rejected.jsonl")
Step = tuple[str, int, Severity | None]  # a study, an attempt, and what is found in it


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StudyStore:
    folder = tmp_path_factory.mktemp("store") / "studies"
    return make_store(folder, (make_study(name, REFERENCE) for name in NAMES))


def opened(folder: Path, store: StudyStore, samples: int = 1) -> RunFolder:
    several = {"samples": samples, "strategy": "best"} if samples > 1 else {}
    keys = {"kind": "curate", "name": "t", "teachers": [{"kind": "checklist"}], "several": several}
    return RunFolder.open(folder, kind="curate", recipe=CurateRecipe.model_validate(keys), studies=store)


def judge(run: RunFolder, name: str, attempt: int, severity: Severity | None) -> None:
    candidate = Candidate(
        key=f"{NAMES.index(name):063x}{attempt}", study_id=f"t/{name}", author="teacher", teacher="checklist",
        model="m", attempt=attempt, writes_report=False, prompt_id="p",
        prompt_sha256="0" * 64, saw_image=False, text=GOOD, trace=parse(GOOD),
        started_at=1.0, seconds=0.5,
    )  # fmt: skip
    found = () if severity is None else (Finding(rule="r", code="c", severity=severity, message="Ünusual."),)
    run.record(candidate, Verdict(findings=found), raw=b"")


def written(run: RunFolder) -> tuple[list[bytes], dict[str, int]]:
    counts = run.write_tables()
    return [(run.path / name).read_bytes() for name in TABLES], counts


def from_nothing(run: RunFolder) -> tuple[list[bytes], dict[str, int]]:
    (run.path / FILE).unlink(missing_ok=True)
    return written(run)


STEPS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(1, 2), st.sampled_from((None, "error", "doubt"))), max_size=6
)


@given(rounds=st.lists(STEPS, min_size=1, max_size=4), samples=st.integers(1, 2))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_that_are_copied_make_the_tables_that_all_lines_make(
    store: StudyStore, rounds: Sequence[Sequence[Step]], samples: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "run", store, samples) as run:
        for steps in rounds:
            for step in steps:
                judge(run, *step)
            known = (run.path / FILE).exists()
            found, noted = written(run), (run.path / FILE).read_bytes()
            assert found == from_nothing(run)
            assert noted.rpartition(b"\n")[0] == (run.path / FILE).read_bytes().rpartition(b"\n")[0]
            assert known or steps is rounds[0]


@pytest.fixture
def run(tmp_path: Path, store: StudyStore) -> RunFolder:
    """A run that wrote its tables, and has a new verdict, a further study behind, and one between."""
    with opened(tmp_path / "run", store) as first:
        for name in "abdef":
            judge(first, name, 1, "doubt" if name == "b" else "error" if name == "e" else None)
        first.write_tables()
    shutil.copytree(first.path, tmp_path / "before")  # with the tables' times
    again = opened(tmp_path / "run", store)
    for name in "ach":
        judge(again, name, 1, "error" if name == "a" else None)
    return again


@pytest.mark.parametrize("replaced", range(5))
def test_a_kill_between_two_steps_leaves_nothing_that_is_taken_for_whole(run: RunFolder, replaced: int) -> None:
    new, counts = written(run)
    for name in (*TABLES, FILE)[replaced:]:  # those that still are as they were before
        shutil.copy2(run.path.parent / "before" / name, run.path / name)
    assert written(run) == (new, counts)
    assert from_nothing(run) == (new, counts)
    run.close()


def test_other_lines_are_not_made_again(run: RunFolder) -> None:
    table = run.path / "accepted.jsonl"
    times = table.stat()
    table.write_bytes(table.read_bytes().replace(b'"model":"m"', b'"model":"x"'))
    os.utime(table, ns=(times.st_atime_ns, times.st_mtime_ns))
    lines = {json.loads(line)["study"]["id"]: line for line in written(run)[0][0].splitlines()}
    assert {name: b'"model":"x"' in line for name, line in lines.items()} == {
        "t/c": False, "t/d": True, "t/f": True, "t/h": False,
    }  # fmt: skip
    run.close()


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_was_changed_is_written_whole(run: RunFolder, table: str) -> None:
    (run.path / table).write_bytes((run.path / table).read_bytes() + b"\n")
    assert written(run) == from_nothing(run)
    run.close()


@pytest.mark.parametrize("left", [b"", b"\n", b"\n{}", b"\n[]", b"half\n{", b"\xff\n\xff"])
def test_a_note_that_cannot_be_read_is_none(run: RunFolder, left: bytes) -> None:
    (run.path / FILE).write_bytes(left)
    assert written(run) == from_nothing(run)
    run.close()


def test_a_journal_that_went_another_way_is_seen(tmp_path: Path, store: StudyStore) -> None:
    with opened(tmp_path / "run", store) as run:
        judge(run, "a", 1, None)
    shutil.copytree(run.path, tmp_path / "kept")
    for verdict in ("error", None):
        with opened(tmp_path / "run", store) as run:
            judge(run, "b", 1, verdict)  # type: ignore[arg-type]  # a literal in a tuple
            found = written(run)
            assert found == from_nothing(run)
        for name in ("journal.db", "journal.mark"):
            shutil.copy2(tmp_path / "kept" / name, run.path / name)
    assert found[1]["accepted"] == 2


def test_a_recipe_that_writes_other_lines_is_seen(run: RunFolder) -> None:
    run.write_tables()
    run.manifest = run.manifest.model_copy(update={"recipe": run.manifest.recipe | {"layout": "tagged"}})
    assert b'"layout":"tagged"' in written(run)[0][0].splitlines()[0]
    run.close()


def test_a_study_that_the_store_lacks_is_rejected_as_before_and_nothing_is_noted(run: RunFolder) -> None:
    with sqlite3.connect(run.path / "journal.db") as journal:
        journal.execute("UPDATE events SET study_id = 't/z' WHERE study_id = 't/a'")
    journal.close()
    tables, counts = from_nothing(run)
    assert b'"t/z"' in tables[2] and counts["rejected"] == 2
    assert not (run.path / FILE).exists() and written(run) == (tables, counts)
    run.close()


def test_a_run_without_a_verdict_has_empty_tables(tmp_path: Path, store: StudyStore) -> None:
    with opened(tmp_path / "run", store) as run:
        assert written(run)[0] == written(run)[0] == [b"", b"", b""]
