"""The run folder: who may open it, what a kill or a disk can do to it, and what is never begun anew in silence."""

import asyncio
import json
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
from curation_parts import GOOD, make_store, scripted
from servers.studies import make_study
from tenstep.curation.engine import Engine
from tenstep.curation.teacher import load
from tenstep.data.run import RunFolder, relocate
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import InputError, RunError
from tenstep.validators.rule import REFERENCE


def recipe_of(tmp_path: Path, texts: dict[str, list[str]]) -> CurateRecipe:
    return CurateRecipe.model_validate({"kind": "curate", "name": "t", "teachers": [scripted(tmp_path, texts)]})


def curate(path: Path, recipe: CurateRecipe, store: StudyStore) -> None:
    with RunFolder.open(path, kind="curate", recipe=recipe, studies=store) as run:
        tally = asyncio.run(Engine(run, recipe, [load(spec) for spec in recipe.teachers]).work())
        run.finish(spend_usd=tally.spend_usd, studies=len(store))


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return make_store(tmp_path / "studies", (make_study(name, REFERENCE) for name in "abcd"))


@pytest.fixture
def restricted(tmp_path: Path) -> StudyStore:
    study = make_study("a", REFERENCE).model_copy(update={"data_class": "restricted"})
    return make_store(tmp_path / "restricted", [study])


@pytest.fixture
def run(tmp_path: Path, store: StudyStore) -> Path:
    curate(tmp_path / "run", recipe_of(tmp_path, {name: [GOOD] for name in "abcd"}), store)
    return tmp_path / "run"


def again(tmp_path: Path, store: StudyStore) -> RunFolder:
    recipe = recipe_of(tmp_path, {name: [GOOD] for name in "abcd"})
    return RunFolder.open(tmp_path / "run", kind="curate", recipe=recipe, studies=store)


@pytest.mark.parametrize("lost", [("journal.db",), ("journal.db", "journal.mark")])
def test_a_manifest_without_its_journal_is_refused(
    tmp_path: Path, store: StudyStore, run: Path, lost: tuple[str, ...]
) -> None:
    for name in lost:
        (run / name).unlink()
    with pytest.raises(RunError, match="journal is missing"):
        again(tmp_path, store)
    assert not (run / "journal.db").exists()


def test_a_journal_that_was_emptied_is_refused_also_in_a_run_of_an_earlier_version(
    tmp_path: Path, store: StudyStore, run: Path
) -> None:
    (run / "journal.mark").unlink()
    with sqlite3.connect(run / "journal.db") as connection:
        connection.execute("DELETE FROM events")
    connection.close()
    with pytest.raises(RunError, match="the manifest knows of 4 judged answers"):
        again(tmp_path, store)


def test_a_manifest_that_is_nested_without_end_is_refused(run: Path) -> None:
    (run / "manifest.json").write_text("[" * 200_000)
    with pytest.raises(RunError, match="the manifest cannot be read"):
        RunFolder.read(run)


def test_a_journal_without_its_manifest_is_refused(tmp_path: Path, store: StudyStore, run: Path) -> None:
    for file in run.iterdir():
        if file.name not in ("journal.db", "journal.mark", "run.lock"):
            file.unlink()
    with pytest.raises(RunError, match=r"manifest\.json is missing"):
        again(tmp_path, store)


@pytest.mark.parametrize("left", [(), ("run.lock",), ("run.lock", "journal.db"), ("run.lock", "manifest.json.part")])
def test_what_a_kill_at_the_very_start_leaves_can_be_gone_on_with(
    tmp_path: Path, store: StudyStore, left: tuple[str, ...]
) -> None:
    (tmp_path / "run").mkdir()
    for name in left:
        (tmp_path / "run" / name).touch()
    with again(tmp_path, store) as run:
        assert run.journal.held == 0
    assert not (tmp_path / "run" / "manifest.json.part").exists()


def test_a_place_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path, store: StudyStore) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        RunFolder.open(
            tmp_path / "file" / "run", kind="curate", recipe=recipe_of(tmp_path, {"a": [GOOD]}), studies=store
        )


def test_a_folder_that_is_removed_meanwhile_is_an_error_of_ours(tmp_path: Path, store: StudyStore, run: Path) -> None:
    with again(tmp_path, store) as opened:
        shutil.rmtree(run)
        with pytest.raises(RunError, match="cannot be written"):
            opened.finish()


def test_a_table_is_whole_or_what_it_was(tmp_path: Path, run: Path) -> None:
    before = (run / "accepted.jsonl").read_bytes()
    half = make_store(tmp_path / "half", (make_study(name, REFERENCE) for name in "ab"))
    with again(tmp_path, half) as opened, pytest.raises(InputError, match="t/c"):
        opened.write_tables()
    assert (run / "accepted.jsonl").read_bytes() == before
    assert not list(run.glob("*.part"))


def test_all_that_a_restricted_run_writes_is_its_owners_only(tmp_path: Path, restricted: StudyStore) -> None:
    curate(tmp_path / "run", recipe_of(tmp_path, {"a": [GOOD]}), restricted)
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "run").iterdir()}
    assert {name: mode for name, mode in modes.items() if mode & 0o077 and name != "run.lock"} == {}
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["finished"]


def test_a_folder_that_others_can_read_is_refused_for_restricted_data(tmp_path: Path, restricted: StudyStore) -> None:
    run = tmp_path / "run"
    run.mkdir(mode=0o755)
    curate(run, recipe_of(tmp_path, {"a": [GOOD]}), restricted)
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    run.chmod(0o755)
    with pytest.raises(RunError, match="others can read this folder"):
        curate(run, recipe_of(tmp_path, {"a": [GOOD]}), restricted)


def test_a_run_and_its_studies_can_be_moved_together(tmp_path: Path, store: StudyStore, run: Path) -> None:
    (tmp_path / "moved").mkdir()
    shutil.move(run, tmp_path / "moved" / "run")
    shutil.move(store.root, tmp_path / "moved" / store.root.name)
    with RunFolder.read(tmp_path / "moved" / "run") as moved:
        assert len(list(moved.accepted())) == 4


def test_a_store_that_moved_alone_is_said_once(tmp_path: Path, store: StudyStore, run: Path) -> None:
    shutil.move(store.root, tmp_path / "elsewhere")
    with RunFolder.read(run) as opened, pytest.raises(RunError, match=r"tenstep recheck .* --studies STORE"):
        list(opened.accepted())
    other = make_store(tmp_path / "other", [make_study("z", REFERENCE)])
    with pytest.raises(InputError, match="t/"):
        relocate(run, other.root)
    relocate(run, tmp_path / "elsewhere")
    with RunFolder.read(run) as opened:
        assert len(list(opened.accepted())) == 4


def test_a_run_of_an_earlier_version_names_the_whole_path_of_its_studies(run: Path, store: StudyStore) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert not Path(manifest["studies"]).is_absolute()
    (run / "manifest.json").write_text(json.dumps(manifest | {"studies": str(store.root.resolve())}))
    with RunFolder.read(run) as opened:
        assert len(list(opened.accepted())) == 4
