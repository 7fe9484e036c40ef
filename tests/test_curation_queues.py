"""Queues of the review application: what a reader is shown, in which order, and who reads what."""

import json
import re
from pathlib import Path

import pytest
from reviewing_parts import STUDIES, key_of, reviewed_run, served
from tenstep.cli.app import main
from tenstep.curation.reviewing.index import TraceIndex
from tenstep.curation.reviewing.queues import Sampling, in_overlap, queue, sampled
from tenstep.data.run import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return reviewed_run(tmp_path)


def test_a_queue_begins_with_doubts_and_its_samples_are_the_same_for_every_order(run: Path) -> None:
    with RunFolder.read(run) as opened:
        index = TraceIndex(opened)
        work = queue("work", index, Sampling(seed=3, share=0.5), {})
        assert [entry.outcome for entry in work[:3]] == ["doubt"] * 3
        assert {entry.outcome for entry in work[3:]} == {"accept", "reject"}
        entries = list(index.entries.values())
        assert sampled(entries, "accept", 0.5, 3) == sampled(reversed(entries), "accept", 0.5, 3)
        assert sampled(entries, "accept", 1.0, 3) != sampled(entries, "accept", 1.0, 4)
        index.close()


def attributed(run: Path, place: Path) -> Path:
    """Losses of every other candidate, the highest for the last."""
    place.mkdir()
    numbers = range(STUDIES - 1, -1, -2)
    rows = [
        {"rank": rank, "study": f"t/{n}", "key": key_of(n), "before": 2.5, "after": n / 10}
        for rank, n in enumerate(numbers, 1)
    ]
    (place / "attribution.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place


def test_what_a_student_knows_least_is_read_first_and_can_be_sorted_by(run: Path) -> None:
    attributed(run, run / "attribution")
    with served(run, "anna", queue="loss") as server:
        cookie = server.enter("anna")
        status, headers, _ = server.ask("/", cookie=cookie)
        assert (status, headers["location"]) == (303, "/read?queue=loss")
        first = server.ask("/read?queue=loss", cookie=cookie)[2]
        assert f"t/{STUDIES - 1}<" in first and "loss 1.100, rank 1<" in first
        listed = server.ask("/list?queue=all&sort=loss", cookie=cookie)[2]
        ids = [int(n) for n in re.findall(r'class="text">t/(\d+)<', listed)]
        assert ids[: STUDIES // 2] == list(range(STUDIES - 1, -1, -2)) and len(ids) == STUDIES
        assert "<td>0.100, 6</td>" in listed


def test_losses_of_another_run_and_a_queue_that_there_is_not_are_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["review", str(run), "--serve", "--no-browser", "--reader", "anna"]
    assert main([*words, "--queue", "loss"]) == 2
    assert "no losses are known; measure them with: tenstep attribute" in capsys.readouterr().err
    assert main([*words, "--queue", "finding:happiness"]) == 2
    assert "names no radiological finding" in capsys.readouterr().err
    other = attributed(run, tmp_path / "other")
    file = other / "attribution.jsonl"
    file.write_text(file.read_text().replace('"key": "0', '"key": "f'))
    assert main([*words, "--attribution", str(other)]) == 2
    assert "is about another run" in capsys.readouterr().err
    file.write_text('{"rank": 1}\n')
    assert main([*words, "--attribution", str(other)]) == 2
    assert "row 1" in capsys.readouterr().err


def test_a_queue_of_a_finding_holds_what_the_reference_says_and_not_what_it_denies(run: Path) -> None:
    with RunFolder.read(run) as opened:
        index = TraceIndex(opened)
        reports = {study.id: study.report for study in opened.studies}
        having = {name for name, text in reports.items() if "effusion" in text.split("Impression:")[1]}
        assert having and having != set(reports)  # all of them speak of effusions, and most deny them
        for spec in ("finding:effusion", "finding:pleural_effusion", "finding:pleural effusion"):
            assert {entry.study_id for entry in queue(spec, index, Sampling(), {})} == having
        index.close()


def test_each_item_is_read_by_one_reader_except_the_overlap(run: Path) -> None:
    sampling = Sampling(overlap=0.5, share=1.0)
    with served(run, "anna", "ben", more=("--min-seconds", "0", "--overlap", "0.5", "--share", "1")) as server:
        anna, ben = server.enter("anna"), server.enter("ben")
        for number in range(STUDIES):
            server.decide(key_of(number), anna)
        seen = set()
        while found := re.search(r'data-key="(\w+)"', server.ask("/read", cookie=ben)[2]):
            seen.add(found[1])
            server.decide(found[1], ben)
    assert seen == {key_of(n) for n in range(STUDIES) if in_overlap(key_of(n), sampling)}
    assert 0 < len(seen) < STUDIES
