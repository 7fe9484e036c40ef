"""Studies that have come to an end are passed over by a later call, which says and writes what going through would."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from curation_parts import GOOD, NINE, asked, make_store, scripted
from servers.studies import make_study
from tenstep.__main__ import main
from tenstep.curation.curating import Curated, curate_run, resolve
from tenstep.validators.rule import REFERENCE
from test_curation_template_trace import OTHER
from verify_parts import answer_all, calibration

NAMES = ("a", "b", "c", "d", "e")
TEXTS = {"a": [GOOD], "b": [NINE, GOOD], "c": [NINE, NINE], "d": [], "e": [GOOD]}  # the script has nothing to say of d
TABLES = ("accepted", "doubted", "rejected")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_store(tmp_path / "studies", (make_study(name, REFERENCE, views=("PA",)) for name in NAMES))
    return tmp_path


def curate(folder: Path, workers: int = 0, **more: Any) -> Curated:
    teachers = more.pop("teachers", None) or [scripted(folder, TEXTS)]
    recipe = {"name": "t", "teachers": teachers, "repair": {"attempts": 1}, "concurrency": 2} | more
    return curate_run(resolve(recipe, folder / "studies"), folder / "run", workers=workers)


def counts(found: Curated) -> dict[str, Any]:
    """What was found, but for how."""
    return {name: value for name, value in vars(found.tally).items() if name != "passed_over"}


def forget(folder: Path) -> None:
    """As in a run of an earlier version."""
    with sqlite3.connect(folder / "run" / "journal.db") as journal:
        journal.execute("DROP TABLE ends")
    journal.close()


def tables(folder: Path) -> list[str]:
    return [(folder / "run" / f"{name}.jsonl").read_text() for name in TABLES]


@pytest.mark.parametrize("workers", [0, 1])
def test_studies_that_have_their_end_are_passed_over_and_counted(folder: Path, workers: int) -> None:
    first = curate(folder, limit=4)
    assert first.tally.passed_over == 0
    found = curate(folder, workers)
    assert (found.tally.passed_over, found.tally.studies, found.tally.asked, found.tally.recalled) == (3, 5, 1, 5)
    assert (found.tally.accepted, found.tally.rejected, found.tally.repaired, found.tally.refused) == (3, 1, 1, 1)
    assert [study for study, _ in asked(folder)].count("t/a") == 1
    written = tables(folder)
    again = curate(folder, limit=5)
    forget(folder)
    gone_through = curate(folder)
    assert (again.tally.passed_over, gone_through.tally.passed_over) == (4, 0)
    assert counts(again) == counts(gone_through)
    assert tables(folder) == written


def test_a_lower_limit_counts_those_before_it_only(folder: Path) -> None:
    curate(folder)
    found = curate(folder, limit=2)
    assert (found.tally.passed_over, found.tally.studies, found.tally.accepted) == (2, 2, 2)


def test_a_goal_that_is_met_by_them_asks_nothing(folder: Path) -> None:
    curate(folder, limit=2)
    found = curate(folder, goal={"accepted": 2})
    assert (found.tally.ended, found.tally.asked, found.tally.accepted) == ("goal", 0, 2)


def test_a_study_that_was_judged_again_is_gone_through(folder: Path) -> None:
    curate(folder)
    with sqlite3.connect(folder / "run" / "journal.db") as journal:
        row = journal.execute("SELECT * FROM events WHERE state = 'judged' AND study_id = 't/a'").fetchone()
        last = journal.execute("SELECT MAX(seq) FROM events").fetchone()[0]
        journal.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", (last + 1, *row[1:]))
        digest = journal.execute("SELECT * FROM digest WHERE seq = ?", row[:1]).fetchone()
        journal.execute(f"INSERT INTO digest VALUES ({', '.join('?' * len(digest))})", (last + 1, *digest[1:]))
    journal.close()
    found = curate(folder)
    assert (found.tally.passed_over, found.tally.recalled, found.tally.accepted) == (3, 6, 3)
    assert curate(folder, limit=3).tally.passed_over == 3  # its end was noted anew


def test_their_traces_are_compared_with_those_that_come(tmp_path: Path) -> None:
    reports = {"a": REFERENCE, "b": OTHER}
    make_store(tmp_path / "studies", (make_study(name, text, views=("PA",)) for name, text in reports.items()))
    more = {"teachers": [scripted(tmp_path, {"a": [GOOD], "b": [GOOD]})], "repair": {"attempts": 0}}
    assert curate(tmp_path, limit=1, **more).tally.accepted == 1
    found = curate(tmp_path, **more).tally
    assert (found.passed_over, found.accepted, found.doubted) == (1, 0, 2)
    assert found.codes == {"template_trace": 2}


def test_what_a_verifier_said_is_counted(tmp_path: Path) -> None:
    make_store(tmp_path / "studies", (make_study(name, REFERENCE, views=("PA",)) for name in ("a", "b")))
    verifier = {"kind": "file", "calibration": calibration(tmp_path), "options": {"model": "reader-1"}}
    teachers = [scripted(tmp_path, {"a": [GOOD], "b": [GOOD]})]
    recipe = {"teachers": teachers, "repair": {"attempts": 0}, "verifier": verifier, "verify": "all", "limit": 1}
    waiting = curate(tmp_path, **recipe).tally
    assert waiting.verified == {"waiting": 1}
    answer_all(tmp_path / "run" / "handover" / "verifier")
    read = curate(tmp_path, **recipe).tally
    assert (read.passed_over, sum(read.verified.values())) == (0, 1)  # it waited, so it had no end
    curate(tmp_path, **recipe | {"limit": 2})
    both = curate(tmp_path, **recipe | {"limit": 2}).tally
    assert both.passed_over == 1
    forget(tmp_path)
    gone_through = curate(tmp_path, **recipe | {"limit": 2}).tally
    assert (gone_through.verified, gone_through.recalled) == (both.verified, both.recalled)
    assert both.verified == read.verified | {"waiting": 1}


def test_json_says_nothing_of_it(folder: Path) -> None:
    (folder / "recipe.yaml").write_text(
        json.dumps({"kind": "curate", "name": "t", "teachers": [{"kind": "checklist"}]})
    )
    words = ["curate", str(folder / "recipe.yaml"), "--studies", str(folder / "studies"), "--out", str(folder / "run")]
    assert main([*words, "--limit", "3", "--json", str(folder / "one.json")]) == 0
    assert main([*words, "--json", str(folder / "two.json")]) == 0
    found = json.loads((folder / "two.json").read_text())
    assert (found["asked"], found["recalled"], found["studies"]) == (2, 3, 5)
