"""Ingest and its command: from a source to a store, on made-up input, on the demo, and on real reports and pixels."""

import argparse
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tenstep.cli.ingest import progress, register
from tenstep.data.demo.folders import BROKEN_IMAGE, EMPTY_REPORT, write_folders
from tenstep.data.ingest import ingest
from tenstep.data.source import SourceOptions, kinds, load
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.errors import InputError
from tenstep.schemas.outcome import Outcome
from tenstep.schemas.study import DataClass

WheelFile = Callable[[str, str], Path]
REPORT = "Findings: Clear.\nImpression: Normal."


def run(*words: str | Path) -> Outcome:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    args = parser.parse_args(["ingest", *map(str, words)])
    outcome = args.run(args)
    assert isinstance(outcome, Outcome)
    return outcome


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two studies and two rows that are none."""
    rows = ({"id": 1, "report": REPORT}, {"id": 1, "report": REPORT}, {"id": 2}, {"id": 3, "report": REPORT})
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_every_source_is_found_by_its_file_name() -> None:
    assert {"folders", "jsonl", "open-i"} <= set(kinds())
    for kind in kinds():
        assert callable(load(kind).read)
    with pytest.raises(InputError, match="there is no source 'mimic'; there are: chexpert-plus, "):
        load("mimic")


def test_rows_go_into_the_store_in_their_order(tmp_path: Path, pairs: Path) -> None:
    progress: list[tuple[int, int, int, float | None]] = []
    store = ingest(
        "jsonl", pairs, tmp_path / "store", SourceOptions(text_only=True), lambda *counts: progress.append(counts)
    )
    assert [study.id for study in store] == ["jsonl/1", "jsonl/3"]
    assert [row.reason for row in store.rejected()] == ["duplicate_id", "no_report"]
    assert progress == [(0, 0, 0, None), (4, 2, 2, None)]


def test_the_same_source_gives_the_same_bytes(tmp_path: Path, pairs: Path) -> None:
    first, second = (ingest("jsonl", pairs, tmp_path / name, SourceOptions(text_only=True)) for name in "ab")
    some, others = ({part.name: part.read_bytes() for part in store.root.iterdir()} for store in (first, second))
    assert some == others and "store.json" in some


def test_a_source_that_cannot_be_read_leaves_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        ingest("jsonl", tmp_path / "absent", tmp_path / "store", SourceOptions())
    assert list(tmp_path.iterdir()) == []


def test_the_demo_studies_are_ingested_and_its_two_defects_rejected(tmp_path: Path) -> None:
    source = write_folders(tmp_path / "demo", 3, size=64)
    options = SourceOptions(form="four-header", data_class="public")
    store = ingest("folders", source, tmp_path / "store", options)
    assert len(store) == 3
    assert {row.row.split(" ")[0]: row.reason for row in store.rejected()} == {
        BROKEN_IMAGE: "unreadable_image",
        EMPTY_REPORT: "empty_report",
    }
    for study in store:
        (ref,) = study.images
        with Image.open(store.path_of(ref)) as image:
            assert image.size == (ref.width, ref.height)
        text = (source / study.id.removeprefix("folders/") / "report.txt").read_text()
        assert study.report == text.removesuffix("\n")


@pytest.mark.parametrize("data_class", ["public", "restricted"])
def test_converted_images_are_as_private_as_their_data(tmp_path: Path, data_class: DataClass) -> None:
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"id": 1, "report": REPORT, "images": "a.png"}))
    out = tmp_path / "store"
    out.mkdir()  # by the user, who may have opened it to others
    store = ingest("jsonl", tmp_path / "pairs.jsonl", out, SourceOptions(data_class=data_class))
    (study,) = store
    path = store.path_of(study.images[0])
    assert path.parent == out / "images"
    assert bool(path.parent.stat().st_mode & 0o077) == (data_class == "public")


def test_the_command_says_what_became_of_every_row(tmp_path: Path, pairs: Path) -> None:
    outcome = run("jsonl", pairs, "--text-only", "--out", tmp_path / "store")
    assert outcome.exit_code == 0
    assert outcome.payload["studies"] == 2
    assert outcome.payload["rejected"] == {"duplicate_id": 1, "no_report": 1}
    assert dict(outcome.tables[0].rows) == {
        "rows read": "4",
        "studies": "2",
        "images": "0",
        "rejected: duplicate_id": "1",
        "rejected: no_report": "1",
        "view: unknown": "2",
        "section: findings": "2",
        "section: impression": "2",
        "split: none": "2",
        "tokens (words of references)": "8; 4 a study, longest 4",
    }
    assert "rejected.jsonl" in outcome.notes[1]
    json.dumps(outcome.payload)


def test_no_study_at_all_is_a_failure(tmp_path: Path, pairs: Path) -> None:
    outcome = run("jsonl", pairs, "--out", tmp_path / "store")
    assert outcome.exit_code == 2
    expected = "no row became a study: pairs.jsonl row 1 (1): no image; --text-only takes the report alone"
    assert outcome.notes[-1] == expected
    assert list(StudyStore.open(tmp_path / "store")) == []


def test_the_help_lists_the_sources(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    shown = capsys.readouterr().out
    assert ", ".join(kinds()) in " ".join(shown.split())
    assert "tenstep ingest open-i" in shown


def test_nothing_is_shown_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(3, "curate") as bar:
        bar.advance(accepted=1, rejected=0, spend_usd=0.5)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_rate_counts_spend_and_time_left() -> None:
    code = """
from tenstep.cli.progress import progress
with progress(40, "curate") as bar:
    for n in range(20):
        bar.advance(2, accepted=n, rejected=1, spend_usd=0.5)
"""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"}
    with os.fdopen(ours, "rb", buffering=0) as screen:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, env=environment)
        os.close(theirs)
        shown = b""
        try:
            while chunk := screen.read(65536):
                shown += chunk
        except OSError:  # how Linux says that the other side is closed
            pass
    assert (done.returncode, done.stdout) == (0, b"")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    for part in ("curate", "40/40", "19 accepted", "1 rejected", "$0.50", "/s"):
        assert part in text


@pytest.mark.slow
def test_all_real_open_i_reports_are_ingested_in_constant_memory(tmp_path: Path, wheel_file: WheelFile) -> None:
    archive = wheel_file("torchxrayvision==1.5.7", "torchxrayvision/data/NLMCXR_reports.tgz")
    code = f"""
from pathlib import Path
from tenstep.data.ingest import ingest
from tenstep.data.memory import peak_megabytes
from tenstep.data.source import SourceOptions
ingest("open-i", Path({str(archive)!r}), Path({str(tmp_path / "four")!r}), SourceOptions(text_only=True))
print(peak_megabytes())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 300
    store = StudyStore.open(tmp_path / "four")
    assert len(store) == 3419
    assert store.head.rejected == {"no_findings": 502, "empty_report": 28, "no_impression": 6}
    assert store.data_class == "public"
    for study in store:
        assert study.report.startswith("Technique: Chest radiograph.\nView: ")
        assert study.report.count("\n") == 3
    assert sum("View: unknown\n" not in study.report for study in store) > 2000
    verbatim = ingest("open-i", archive, tmp_path / "verbatim", SourceOptions(text_only=True, form="verbatim"))
    assert (len(verbatim), verbatim.head.rejected) == (3927, {"empty_report": 28})


@pytest.mark.slow
def test_a_real_radiograph_in_monochrome1_shows_white_bones(tmp_path: Path, wheel_file: WheelFile) -> None:
    source = tmp_path / "studies"
    for name in ("RG1_UNCR", "RG3_UNCR"):  # a chest, and a leg
        (source / name).mkdir(parents=True)
        data = wheel_file("pydicom-data==1.0.0", f"data_store/data/{name}.dcm").read_bytes()
        (source / name / "image.dcm").write_bytes(data)
        (source / name / "report.txt").write_text(
            "Technique: Upright chest radiograph.\nView: PA\n"
            "Findings: Multiple rounded masses in both lungs. Heart size is normal. No pleural effusion.\n"
            "Impression: Multiple bilateral pulmonary masses, suspicious for metastases.\n"
        )
    store = ingest("folders", source, tmp_path / "store", SourceOptions(form="four-header", data_class="public"))
    chest, leg = store
    assert (chest.views, chest.images[0].width, chest.images[0].height) == (("PA",), 1841, 1955)
    assert [(row.study_id, row.code) for row in store.warnings()] == [(leg.id, "other_body_part")]
    with Image.open(store.path_of(chest.images[0])) as image:
        grey = np.asarray(image, dtype=float) / 255
    spine, lung, air = grey[1000:1400, 860:980], grey[300:450, 1150:1250], grey[60:150, 10:60]
    assert spine.mean() > 0.85
    assert 0.2 < lung.mean() < spine.mean() - 0.3
    assert air.mean() < 0.3  # by the file's own window, of which the film uses nine tenths


@pytest.mark.slow
def test_a_real_jpeg_2000_radiograph_is_decoded_or_its_codec_is_named(tmp_path: Path, wheel_file: WheelFile) -> None:
    folder = tmp_path / "studies" / "a"
    folder.mkdir(parents=True)
    (folder / "report.txt").write_text(REPORT)
    (folder / "image.dcm").write_bytes(wheel_file("pydicom-data==1.0.0", "data_store/data/RG1_J2KI.dcm").read_bytes())
    store = ingest("folders", folder.parent, tmp_path / "store", SourceOptions())
    if len(store):
        assert [study.images[0].width for study in store] == [1841]
    else:
        (row,) = store.rejected()
        assert row.reason == "missing_codec"
        assert "tenstep[jpeg2000]" in row.detail
