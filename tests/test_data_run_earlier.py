"""A run folder of an earlier version: its journal holds `planned` events and no digest, its manifest no identities."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from curation_parts import GOOD, NINE, make_store, scripted
from servers.studies import make_study
from tenstep.__main__ import main
from tenstep.data.journal_file import VERSION
from tenstep.validators.rule import REFERENCE

PARTS = ("prompt_id", "prompt_sha256", "attempt", "sample", "parent")


def to_version_1(run: Path) -> None:
    """Make of a run folder what the first version would have written."""
    manifest = json.loads((run / "manifest.json").read_text())
    identities = manifest.pop("identities")
    manifest["recipe"].pop("shard")
    (run / "manifest.json").write_text(json.dumps(manifest | {"settled": None}))
    with sqlite3.connect(run / "journal.db") as db:
        events = db.execute("SELECT key, state, study_id, at, body, raw FROM events ORDER BY seq").fetchall()
    db.close()
    for file in run.glob("journal.*"):
        file.unlink()
    with sqlite3.connect(run / "journal.db") as db:
        db.execute(
            "CREATE TABLE events (seq INTEGER PRIMARY KEY, key TEXT NOT NULL, "
            "state TEXT NOT NULL, study_id TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL, raw BLOB)"
        )
        db.execute("CREATE INDEX by_key ON events (key, state)")
        db.execute("CREATE INDEX facts ON events (seq, key, json_extract(body, '$.teacher'))")
        db.execute("PRAGMA user_version=1")
        rows = []
        for key, state, study, at, body, raw in events:
            fields = json.loads(body)
            if state == "in_flight":
                teacher = fields.pop("teacher")
                if "identity" in fields:
                    planned = {"teacher": teacher, "identity": identities[fields.pop("identity")]}
                    planned |= {name: fields.pop(name) for name in PARTS}
                    rows.append((key, "planned", study, at, json.dumps(planned), None))
            rows.append((key, state, study, at, json.dumps(fields, separators=(",", ":")), raw))
        db.executemany("INSERT INTO events (key, state, study_id, at, body, raw) VALUES (?, ?, ?, ?, ?, ?)", rows)
    db.close()


def said(words: list[str], folder: Path) -> dict[str, Any]:
    out = folder / f"{words[0]}.json"
    assert main([*words, "--json", str(out)]) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A run of two of three studies; one was repaired, one rejected."""
    make_store(tmp_path / "studies", (make_study(name, REFERENCE, views=("PA",)) for name in "abd"))
    teacher = scripted(tmp_path, {"a": [NINE, GOOD], "b": [NINE, NINE], "d": [GOOD]})
    recipe = {"kind": "curate", "name": "t", "teachers": [teacher], "repair": {"attempts": 1}}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    curate(tmp_path, "--limit", "2")
    return tmp_path


def curate(folder: Path, *more: str, out: str = "run") -> dict[str, Any]:
    words = ["curate", str(folder / "recipe.yaml"), "--studies", str(folder / "studies"), "--out", str(folder / out)]
    return said([*words, *more], folder)


def test_it_opens_says_the_same_is_judged_again_and_goes_on(old: Path) -> None:
    run = old / "run"
    expected = said(["status", str(run)], old)
    to_version_1(run)
    before = (run / "journal.db").read_bytes()
    assert said(["status", str(run)], old) == expected
    assert (run / "journal.db").read_bytes() == before  # looking at it changes nothing
    assert said(["recheck", str(run), "--workers", "1"], old)["changed"] == []
    with sqlite3.connect(run / "journal.db") as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    db.close()
    assert said(["status", str(run)], old) == expected | {"finished": said(["status", str(run)], old)["finished"]}
    found = curate(old, "--limit", "2")
    assert (found["asked"], found["recalled"], found["accepted"], found["rejected"]) == (0, 4, 1, 1)
    assert curate(old)["asked"] == 1
    status = said(["status", str(run)], old)
    assert (status["calls"], status["accepted"], status["by_teacher"][0]["calls"]) == (5, 2, 5)


def test_shards_of_an_earlier_version_are_merged(old: Path) -> None:
    first = curate(old, "--shard", "1/2", out="one")
    second = curate(old, "--shard", "2/2", out="two")
    assert first["asked"] and second["asked"]
    shutil.copytree(old / "one", old / "earlier")
    to_version_1(old / "earlier")
    found = said(["merge-runs", str(old / "merged"), str(old / "one"), str(old / "two")], old)
    (old / "merge-runs.json").unlink()
    # a run that knew no shards holds some of the studies all the same
    again = said(["merge-runs", str(old / "again"), str(old / "earlier"), str(old / "two")], old)
    assert {**again, "run": "", "merged": "", "events": 0} == {**found, "run": "", "merged": "", "events": 0} | {
        "notes": again["notes"]
    }
    assert again["events"] > found["events"]
