"""Ingest in parts: on two processes or one, killed and resumed, with ids that meet across parts."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from layouts.chexpert import images, row, write
from layouts.mimic import TWO_VIEWS, Made, build
from tenstep.__main__ import main
from tenstep.data.ingest import ingest
from tenstep.data.source import SourceOptions
from tenstep.data.store.index import Index
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.errors import InputError

TEXT = SourceOptions(text_only=True)
SCRIPT = """
import sys
from pathlib import Path
from tenstep.data.ingest import ingest
from tenstep.data.processes import Processes
from tenstep.data.source import SourceOptions
if __name__ == "__main__":
    kind, path, out, workers = sys.argv[1:]
    ingest(kind, Path(path), Path(out), SourceOptions(text_only=True), executor=Processes(int(workers)))
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several parts of CheXpert Plus."""
    path = tmp_path_factory.mktemp("table") / "df_chexpert_plus_240401.csv"
    return write(path, [row(n, section_findings="" if n % 50 == 0 else "Clear.") for n in range(1, 4001)])


@pytest.fixture(scope="module")
def whole(table: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyStore:
    return ingest("chexpert-plus", table, tmp_path_factory.mktemp("whole") / "store", TEXT)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def same_files(one: Path, other: Path) -> bool:
    names = sorted(file.name for file in one.iterdir())
    return names == sorted(file.name for file in other.iterdir()) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


def test_two_processes_write_what_one_writes(tmp_path: Path, table: Path, whole: StudyStore, script: Path) -> None:
    subprocess.run([sys.executable, script, "chexpert-plus", table, tmp_path / "two", "2"], check=True)
    assert same_files(whole.root, tmp_path / "two")
    assert len(list(whole.root.glob("*.parquet"))) > 1
    assert (len(whole), whole.head.rows, whole.head.rejected) == (3920, 4000, {"no_findings": 80})


@pytest.mark.parametrize("delay", [0.4, 0.7, 1.0])
def test_a_killed_ingest_goes_on_and_ends_with_the_same_files(
    tmp_path: Path, table: Path, whole: StudyStore, script: Path, delay: float
) -> None:
    words = [sys.executable, script, "chexpert-plus", table, tmp_path / "store", "2"]
    child = subprocess.Popen(words, start_new_session=True)
    time.sleep(delay)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if not (tmp_path / "store" / "store.json").exists():  # else it was quicker
        subprocess.run(words, check=True)
    assert same_files(whole.root, tmp_path / "store")


def test_what_is_done_is_not_done_again(tmp_path: Path, table: Path) -> None:
    out = tmp_path / "store"
    seen: list[int] = []

    class Stop(Exception):
        pass

    def stop(rows: int, studies: int, rejected: int, share: float | None) -> None:
        seen.append(rows)
        if rows > 1500:
            raise Stop

    with pytest.raises(Stop):
        ingest("chexpert-plus", table, out, TEXT, stop)
    with pytest.raises(InputError, match="did not finish"):
        StudyStore.open(out)
    index = Index(out / "index.db.partial", writable=True)
    done = len(list(index.parts()))
    index.close()
    assert done >= 2
    again: list[tuple[int, float | None]] = []
    ingest("chexpert-plus", table, out, TEXT, lambda rows, studies, rejected, share: again.append((rows, share)))
    assert again[0] == (seen[-1], None)
    assert again[-1] == (4000, 1.0)


def test_another_ingest_does_not_go_on_in_its_place(tmp_path: Path, table: Path) -> None:
    out = tmp_path / "store"
    with pytest.raises(KeyError):
        ingest("chexpert-plus", table, out, TEXT, lambda rows, *_: {}[rows] if rows > 1500 else None)
    with pytest.raises(InputError, match="unfinished ingest of another source, or with other options"):
        ingest("chexpert-plus", table, out, TEXT.model_copy(update={"missing_findings": "allow"}))
    assert ingest("chexpert-plus", table, out, TEXT).head.rows == 4000


def test_ids_that_meet_across_parts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    names = [*range(1, 2001), 1, 2, 3001]
    path.write_text("".join(json.dumps({"id": n, "report": "The lungs are clear."}) + "\n" for n in names))
    store = ingest("jsonl", path, tmp_path / "store", TEXT)
    assert (len(store), store.head.rejected) == (2001, {"duplicate_id": 2})
    assert [study.id for study in store][-1] == "jsonl/3001"


def test_two_patients_with_one_study_id_are_named(tmp_path: Path) -> None:
    studies = [Made("10000032", "50414267", TWO_VIEWS, ("PA",)), Made("10000764", "50414267", TWO_VIEWS, ("PA",))]
    store = ingest("mimic-cxr", build(tmp_path / "mimic", studies, suffix=None, lists=False), tmp_path / "store", TEXT)
    assert [study.patient_id for study in store] == ["mimic-cxr/p10000032"]
    assert store.head.rejected == {"study_of_two_patients": 1}


def test_small_parts_become_one_file(tmp_path: Path) -> None:
    rows = [row(n) for n in range(1, 351)]
    path = write(tmp_path / "t.csv", rows)
    options = SourceOptions(images=images(tmp_path, rows))
    store = ingest("chexpert-plus", path, tmp_path / "store", options)
    assert len(list(store.root.glob("*.parquet"))) == 1
    assert [study.id for study in store] == [f"chexpert-plus/patient{n:05}/study1" for n in range(1, 351)]
    for n in (1, 200, 350):
        assert (
            store.get(f"chexpert-plus/patient{n:05}/study1")
            .images[0]
            .path.endswith(f"patient{n:05}/study1/view1_frontal.png")
        )


def test_a_restricted_store_is_private_in_all_its_parts(tmp_path: Path) -> None:
    studies = [Made("10000032", "50414267", TWO_VIEWS, ("PA", "LATERAL"))]
    path = build(tmp_path / "mimic", studies, suffix=".dcm")
    old = os.umask(0o022)
    try:
        store = ingest("mimic-cxr", path, tmp_path / "store", SourceOptions(data_class="public"))
    finally:
        os.umask(old)
    assert store.data_class == "restricted"
    for place in (store.root, *store.root.rglob("*")):
        assert stat.S_IMODE(place.stat().st_mode) == (0o700 if place.is_dir() else 0o600)


def test_the_store_is_parquet_that_others_can_read(whole: StudyStore) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(sorted(whole.root.glob("*.parquet")))
    assert table.num_rows == 3920
    assert {"id", "patient_id", "report", "sections", "split", "derived"} <= set(table.column_names)
    first = table.slice(0, 1).to_pylist()[0]
    assert first["sections"]["findings"] == "Clear."
    assert first["derived"] == ["history=without age and sex", "technique", "view=metadata"]
    assert whole.derived(first["id"]) == ("history=without age and sex", "technique", "view=metadata")


def test_patients_are_known_without_reading_studies(whole: StudyStore) -> None:
    assert list(whole.patients())[:1] == [("chexpert-plus/patient00001/study1", "chexpert-plus/patient00001")]


def test_the_table_says_all_that_was_read(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str], whole: StudyStore
) -> None:
    words = ["ingest", "chexpert-plus", str(table), "--text-only", "--out", str(tmp_path / "store"), "--workers", "1"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["studies"], told["rejected"]) == (4000, 3920, {"no_findings": 80})
    assert told["views"] == {"PA": 3920}
    assert told["sections"] == {"findings": 3920, "history": 3920, "impression": 3920}
    assert told["splits"] == {"train": 3920}
    assert told["derived"]["technique"] == 3920
    assert told["tokens"] == sum(len(study.report.split()) for study in whole)


def test_what_was_required_and_is_missing_fails_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "t.csv", [row(1), row(2, section_findings="")])
    words = ["ingest", "chexpert-plus", str(path), "--text-only", "--missing-findings"]
    assert main([*words, "require", "--out", str(tmp_path / "a")]) == 2
    assert "1 studies have no findings, which was required of all" in " ".join(capsys.readouterr().out.split())
    assert main([*words, "reject", "--out", str(tmp_path / "b")]) == 0
    assert main([*words, "allow", "--out", str(tmp_path / "c")]) == 0
    assert len(StudyStore.open(tmp_path / "c")) == 2


def test_a_mapping_is_read_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("uid,text\n1,Findings: clear.\n")
    (tmp_path / "columns.yaml").write_text("id: uid\nreport: text\n")
    words = ["ingest", "csv", str(tmp_path / "t.csv"), "--text-only", "--columns", str(tmp_path / "columns.yaml")]
    assert main([*words, "--out", str(tmp_path / "store")]) == 0
    (tmp_path / "columns.yaml").write_text("ident: uid\n")
    assert main([*words, "--out", str(tmp_path / "other")]) == 2
    assert "no such key" in capsys.readouterr().err
