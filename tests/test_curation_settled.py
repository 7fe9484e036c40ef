"""A run with nothing left to do is known as such: the same command says the same at once; whatever differs is seen."""

import json
from pathlib import Path
from typing import Any

import pytest
from curation_parts import GOOD, NINE, make_store, scripted
from servers.studies import make_study, options_for
from servers.teacher import TeacherServer
from tenstep.__main__ import main
from tenstep.validators.rule import REFERENCE
from test_curation_template_trace import OTHER

NAMES = ("a", "b", "c")
TIMES = {"seconds", "peak_mb", "run"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_store(tmp_path / "studies", (make_study(name, REFERENCE, views=("PA",)) for name in NAMES))
    return tmp_path


TEXTS = {"a": [GOOD], "b": [NINE], "c": [NINE]}


def curate(folder: Path, texts: dict[str, list[str]] = TEXTS, studies: str = "studies", **more: Any) -> dict[str, Any]:
    """What the command says, but for times."""
    teacher = scripted(folder, texts)
    recipe = {"kind": "curate", "name": "t", "teachers": [teacher], "repair": {"attempts": 0}} | more
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    words = ["curate", str(folder / "recipe.yaml"), "--studies", str(folder / studies)]
    assert main([*words, "--out", str(folder / "run"), "--json", str(folder / "told.json")]) == 0
    return {name: value for name, value in json.loads((folder / "told.json").read_text()).items() if name not in TIMES}


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run" / "manifest.json").read_text())
    return found


def went_the_whole_way(folder: Path, **more: Any) -> bool:
    """Whether one more call opened the run: then its manifest is another one."""
    before = manifest(folder)
    curate(folder, **more)
    return manifest(folder)["seconds"] != before["seconds"]


def test_a_settled_run_says_at_once_what_going_through_it_would_say(folder: Path) -> None:
    first = curate(folder)
    assert not went_the_whole_way(folder)
    at_once = curate(folder)
    (folder / "run" / "manifest.json").write_text(json.dumps(manifest(folder) | {"settled": None}))
    assert went_the_whole_way(folder)
    (folder / "run" / "manifest.json").write_text(json.dumps(manifest(folder) | {"settled": None}))
    assert curate(folder) == at_once
    assert (first["asked"], at_once["asked"], at_once["recalled"]) == (3, 0, 3)
    assert {**first, "asked": 0, "recalled": 3} == at_once


def test_a_recipe_that_differs_is_seen(folder: Path) -> None:
    curate(folder, limit=2)
    assert not went_the_whole_way(folder, limit=2)
    assert curate(folder, limit=3)["asked"] == 1


def test_a_table_that_was_changed_or_removed_is_written_again(folder: Path) -> None:
    curate(folder)
    table = folder / "run" / "accepted.jsonl"
    was = table.read_bytes()
    table.write_bytes(was[:-1] + b" ")
    assert went_the_whole_way(folder) and table.read_bytes() == was
    table.unlink()
    assert went_the_whole_way(folder) and table.read_bytes() == was
    assert not went_the_whole_way(folder)


def test_a_store_that_was_made_anew_is_seen(folder: Path) -> None:
    curate(folder)
    for file in (folder / "studies").iterdir():
        file.unlink()
    (folder / "studies").rmdir()
    make_store(folder / "studies", (make_study(name, REFERENCE + " No edema.", views=("PA",)) for name in NAMES))
    assert curate(folder)["asked"] == 3


def test_a_journal_of_another_length_is_seen(folder: Path) -> None:
    curate(folder)
    noted = manifest(folder)["settled"]
    noted["events"] -= 1
    (folder / "run" / "manifest.json").write_text(json.dumps(manifest(folder) | {"settled": noted}))
    assert went_the_whole_way(folder)


def test_a_recheck_settles_nothing(folder: Path) -> None:
    curate(folder)
    assert main(["recheck", str(folder / "run")]) == 0
    assert manifest(folder)["settled"] is None
    assert went_the_whole_way(folder) and not went_the_whole_way(folder)


def test_what_was_refused_is_settled(folder: Path) -> None:
    texts = {"a": [GOOD], "b": [NINE]}  # nothing is said of c
    assert curate(folder, texts)["refused"] == 1
    assert not went_the_whole_way(folder, texts=texts)
    assert curate(folder, texts)["refused"] == 1


@pytest.mark.parametrize(("fault", "state"), [("400", "failed"), ("cut", "unknown")])
def test_what_has_failed_or_is_unknown_is_not(
    folder: Path, fault: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-canary")
    with TeacherServer() as server:
        server.fail("ok", fault)
        teachers = [{"kind": "openai", "options": options_for("openai", server)}]
        found = curate(folder, teachers=teachers, concurrency=1)
        assert found[state] == 1 and manifest(folder)["settled"] is None
        assert went_the_whole_way(folder, teachers=teachers, concurrency=1)


@pytest.mark.parametrize("attempts", [0, 1])
def test_templates_that_came_first_leave_something_to_do_only_where_they_may_be_repaired(
    folder: Path, attempts: int
) -> None:
    reports = {"a": REFERENCE, "b": OTHER}
    make_store(folder / "two", (make_study(name, text, views=("PA",)) for name, text in reports.items()))
    more: dict[str, Any] = {"texts": {"a": [GOOD], "b": [GOOD]}, "studies": "two", "concurrency": 1}
    more |= {"repair": {"attempts": attempts}}
    found = curate(folder, **more)
    assert found["doubted"] == 2 and found["codes"] == {"template_trace": 2}
    assert (manifest(folder)["settled"] is None) == bool(attempts)
    if not attempts:
        at_once = curate(folder, **more)
        (folder / "run" / "manifest.json").write_text(json.dumps(manifest(folder) | {"settled": None}))
        assert curate(folder, **more) == at_once
