"""The traces of a run are kept from one call to the next, and what is found is what one call would have found."""

import asyncio
import json
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from curation_parts import GOOD, make_store, scripted
from servers.studies import make_study
from tenstep.__main__ import main
from tenstep.curation.engine import Engine
from tenstep.curation.kept_traces import FILE
from tenstep.curation.teacher import load
from tenstep.curation.template_trace import Templates
from tenstep.data.run import RunFolder
from tenstep.data.similarity import SIZE
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.run import State
from tenstep.validators.rule import REFERENCE, STEPS, ten
from test_curation_sketch_index import sketches_in_groups
from test_curation_template_trace import OTHER, VARIED

TABLES = ("accepted", "doubted", "rejected")
NAMES = "abcdefghijkl"
TEMPLATES = {"a": GOOD, "e": GOOD, "h": VARIED, "i": VARIED, "l": VARIED}  # h, i and l stand before other references


def text(name: str) -> str:
    """What the teacher says: one of two templates, or words that no other trace has."""
    if (found := TEMPLATES.get(name)) is not None:
        return found if isinstance(found, str) else ten(dict(enumerate(found, 1)), report=None)
    words = " ".join(f"{name}{letter}" for letter in "abcdefgh")
    return ten({number: f"{step[:-1]}, {words} {number}." for number, step in enumerate(STEPS, 1)}, report=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve studies, whose references say the same in two ways; some traces are those of others."""
    references = (REFERENCE, REFERENCE, OTHER)
    make_store(
        tmp_path / "studies",
        (make_study(name, references[at % 3], views=("PA",)) for at, name in enumerate(NAMES)),
    )
    return tmp_path


def curate(folder: Path, out: str, **more: Any) -> dict[str, Any]:
    texts = {name: [text(name)] for name in NAMES}
    recipe = {"kind": "curate", "name": "t", "teachers": [scripted(folder, texts)], "repair": {"attempts": 0}}
    (folder / "recipe.yaml").write_text(json.dumps(recipe | {"concurrency": 1} | more))
    words = ["curate", str(folder / "recipe.yaml"), "--studies", str(folder / "studies"), "--out", str(folder / out)]
    assert main([*words, "--json", str(folder / "said.json")]) == 0
    found: dict[str, Any] = json.loads((folder / "said.json").read_text())
    return found


def table(folder: Path, out: str, name: str) -> list[str]:
    return (folder / out / f"{name}.jsonl").read_text().splitlines()


def left(folder: Path, out: str) -> list[Any]:
    """Tables and last events, but for their times."""
    lines = [json.loads(line) for name in TABLES for line in table(folder, out, name)]
    for line in lines:
        for name in ("started_at", "seconds"):
            line.get("candidate", {}).pop(name, None)
    with RunFolder.read(folder / out) as run:
        last = sorted(
            (event.key, event.body["verdict"]["findings"], event.raw) for event in run.journal.latest(State.JUDGED)
        )
    return [lines, last]


def counts(said: dict[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in ("accepted", "doubted", "rejected", "codes", "notes") if name in said}


@pytest.mark.parametrize("keep", [True, False])
def test_a_run_in_many_calls_is_that_of_one(folder: Path, keep: bool) -> None:
    whole = curate(folder, "whole")
    assert 0 < whole["doubted"] < len(NAMES)
    for limit in (1, 2, 5, 9, None):
        said = curate(folder, "run", limit=limit)
        assert (folder / "run" / FILE).is_file() and not list((folder / "run").glob("*.part"))
        if not keep:
            (folder / "run" / FILE).unlink()
    assert left(folder, "run") == left(folder, "whole")
    assert counts(said) == counts(whole)


def go_on(folder: Path, out: str = "run") -> None:
    """The further studies, and that what comes is what one call makes."""
    curate(folder, out)
    if not (folder / "whole").exists():
        curate(folder, "whole")
    assert left(folder, out) == left(folder, "whole")


def noted(folder: Path) -> list[Any]:
    with sqlite3.connect(folder / "run" / FILE) as database:
        (note,) = database.execute("SELECT note FROM notes ORDER BY rowid DESC").fetchone()
    database.close()
    found: list[Any] = json.loads(note)
    return found


@pytest.mark.parametrize("killed", ["while it was worked on", "before it was put back", "with half a file"])
def test_a_kill_leaves_nothing_that_is_gone_on_with(folder: Path, killed: str) -> None:
    curate(folder, "run", limit=6)
    kept = folder / "run" / FILE
    part = kept.with_name(f"{FILE}.part")
    if killed == "with half a file":
        kept.write_bytes(kept.read_bytes()[:5_000])
    else:
        kept.rename(part)
    if killed == "before it was put back":  # and the call's verdicts are in the journal
        curate(folder, "run", limit=9)
        (folder / "run" / FILE).rename(part)
    go_on(folder)
    assert not part.exists()


def test_a_kept_file_of_before_a_later_call_is_not_taken(folder: Path) -> None:
    curate(folder, "run", limit=6)
    shutil.copy(folder / "run" / FILE, folder / "old")
    curate(folder, "run", limit=9)
    shutil.copy(folder / "old", folder / "run" / FILE)
    go_on(folder)


def test_a_journal_that_went_another_way_is_seen(folder: Path) -> None:
    curate(folder, "run", limit=6)
    shutil.copytree(folder / "run", folder / "copy")
    curate(folder, "run", limit=9)
    kept = folder / "run" / FILE
    for name in ("journal.db", "journal.mark"):
        shutil.copy(folder / "copy" / name, folder / "run" / name)
    shutil.copy(kept, folder / "ahead")
    (folder / "run" / "manifest.json").write_text((folder / "copy" / "manifest.json").read_text())
    curate(folder, "run", limit=8)
    shutil.copy(folder / "ahead", kept)
    go_on(folder)


def test_a_lower_limit_does_not_compare_with_what_is_beyond(folder: Path) -> None:
    curate(folder, "run", limit=9)
    assert noted(folder)[2] == 9
    curate(folder, "run", limit=4)
    assert noted(folder)[2:4] == [4, 4]
    go_on(folder)
    assert noted(folder)[2:4] == [None, len(NAMES)]


@pytest.mark.parametrize("command", [["recheck"], ["recheck", "--severities", "template_trace=off"]])
def test_a_recheck_lets_go_of_them(folder: Path, command: list[str]) -> None:
    curate(folder, "run", limit=6)
    assert main([command[0], str(folder / "run"), *command[1:]]) == 0
    more = {"severities": {"template_trace": "off"}} if command[1:] else {}
    curate(folder, "run", **more)
    curate(folder, "whole", **more)
    assert left(folder, "run")[0] == left(folder, "whole")[0]


def test_a_call_that_fails_keeps_none(folder: Path) -> None:
    curate(folder, "run", limit=6)
    with RunFolder.read(folder / "run") as run:
        recipe, store = CurateRecipe.model_validate(run.manifest.recipe), run.studies
    recipe = recipe.model_copy(update={"limit": 9})

    def fails(tally: Any) -> None:
        raise RuntimeError("a fault")

    with RunFolder.open(folder / "run", kind="curate", recipe=recipe, studies=store) as run:
        teachers = [load(spec) for spec in recipe.teachers]
        with pytest.raises(RuntimeError, match="a fault"):
            asyncio.run(Engine(run, recipe, teachers, on_study=fails, mark="m").work())
    assert not list((folder / "run").glob("sketches*"))
    go_on(folder)


def test_all_is_its_owners_only(folder: Path) -> None:
    curate(folder, "run")
    assert (folder / "run" / FILE).stat().st_mode & 0o077 == 0


def traces(count: int) -> Iterator[tuple[str, str, bytes]]:
    """Sketches of steps in many groups and a large one; few of those of a group stand before another reference."""
    rng = np.random.default_rng(0)
    steps = np.concatenate([sketches_in_groups(count, 150, 13), sketches_in_groups(40, 1, 13, seed=1)])
    rng.shuffle(steps)
    references = rng.integers(0, 2**32, (2, SIZE), dtype=np.uint32)
    for at, ours in enumerate(steps):
        reference = references[int(rng.random() < 0.1)]
        yield str(at), f"s{at * 2 // 3}", bytes(8) + ours.tobytes() + reference.tobytes()


@pytest.mark.parametrize("seed", range(3))
def test_a_database_that_is_gone_on_with_gives_in_parts_what_one_gives_at_once(tmp_path: Path, seed: int) -> None:
    rng, found, place, start = random.Random(seed), set(), tmp_path / "traces", 0
    every = list(traces(240))
    while start < len(every):
        end = start + rng.randrange(1, 60)
        with Templates(place) as parts, Templates() as whole:
            parts.remember(every[max(0, start - 5) : end])  # some are there already
            found |= {twin.key for twin in parts.twins()}
            whole.remember(every[:end])
            assert found == {twin.key for twin in whole.twins()}
            assert parts.counted() == whole.counted()
            parts.commit("so far")
        start = end
    assert 0 < len(found) < len(every)
