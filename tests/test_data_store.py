"""The study store: whole or absent, read back as written, honest about what is wrong with it."""

import hashlib
import json
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts.mimic import film
from tenstep.data.ingest import ingest
from tenstep.data.source import SourceOptions, SourceTrace, SourceWarning
from tenstep.data.store import parquet
from tenstep.data.store.index import Index
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.errors import InputError, RunLockedError
from tenstep.schemas.study import DataClass, ImageRef, RejectedRow, Study


def study(native: str = "1", report: str = "Findings: clear.", data_class: DataClass = "public") -> Study:
    return Study(
        id=f"folders/{native}",
        patient_id=native,
        source="folders",
        data_class=data_class,
        report=report,
        report_form="verbatim",
    )


def write(path: Path, *studies: Study) -> StudyStore:
    with StudyStore.create(path, "folders") as writer:
        for one in studies:
            writer.add(one)
    return StudyStore.open(path)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip())


many = st.dictionaries(texts, texts, max_size=5)


@settings(deadline=None)  # the first one imports pyarrow
@given(many)
def test_studies_come_back_from_a_table_as_they_were(reports: dict[str, str]) -> None:
    studies = [study(native, report) for native, report in reports.items()]
    assert list(parquet.decode(parquet.encode(studies, [()] * len(studies)))) == studies


@settings(deadline=None, max_examples=5)  # each writes and syncs a store of its own
@given(many)
def test_studies_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, reports: dict[str, str]
) -> None:
    studies = [study(native, report) for native, report in reports.items()]
    store = write(tmp_path_factory.mktemp("law") / "store", *studies)
    assert list(store) == studies
    assert [store.get(one.id) for one in reversed(studies)] == studies[::-1]
    assert len(store) == len(studies)


def test_a_taken_id_becomes_a_rejected_row_and_the_first_study_stays(tmp_path: Path) -> None:
    with StudyStore.create(tmp_path / "store", "folders") as writer:
        assert writer.add(study(report="first"))
        assert not writer.add(study(report="second"))
    store = StudyStore.open(tmp_path / "store")
    assert [one.report for one in store] == ["first"]
    (row,) = store.rejected()
    assert (row.row, row.reason) == ("folders/1", "duplicate_id")
    assert store.head.rejected == {"duplicate_id": 1}


def test_warnings_and_traces_follow_their_study(tmp_path: Path) -> None:
    trace = SourceTrace(id="folders/1", text="1. A\n\nB", reference_report="B")
    with StudyStore.create(tmp_path / "store", "folders") as writer:
        writer.put(study())
        writer.put(SourceWarning(study_id="folders/1", code="other_body_part"))
        writer.put(trace)
        assert not writer.put(SourceWarning(study_id="folders/2", code="other_body_part"))
        assert not writer.put(trace.model_copy(update={"id": "folders/2"}))
    store = StudyStore.open(tmp_path / "store")
    assert list(store.traces()) == [trace]
    assert [warning.study_id for warning in store.warnings()] == ["folders/1"]
    assert store.head.warnings == {"other_body_part": 1}
    assert store.head.traces == 1


def test_a_disk_that_is_full_is_what_the_error_says(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db", writable=True)
    index._database.execute("PRAGMA max_page_count=12")  # as much as a full disk gives
    with pytest.raises(sqlite3.OperationalError, match="disk is full"), index:
        index.add_studies([(f"t/{number:0200}", "p") for number in range(1000)], 0)
    with (tmp_path / "index.db").open("r+b") as file:
        file.write(b"no SQLite file")
    with pytest.raises(InputError, match="damaged"):
        Index(tmp_path / "index.db", writable=True)
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(IsADirectoryError):
        Index(tmp_path / "folder.db", writable=True)


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    out = tmp_path / "store"
    with pytest.raises(KeyError), StudyStore.create(out, "folders") as writer:
        writer.add(study())
        raise KeyError
    assert not out.exists()


def test_an_error_at_the_end_leaves_nothing_behind_either(tmp_path: Path) -> None:
    out = tmp_path / "store"
    with pytest.raises(FileNotFoundError), StudyStore.create(out, "folders") as writer:
        writer.add(study())
        (out / "rejected.jsonl").symlink_to(tmp_path / "none" / "rejected.jsonl")  # as if the disk were full
    assert not out.exists()


def test_a_killed_writer_leaves_no_store_and_can_be_run_again(tmp_path: Path) -> None:
    out = tmp_path / "store"
    code = f"""
import os
from tenstep.data.store import StudyStore
from tenstep.schemas.study import RejectedRow
with StudyStore.create({str(out)!r}, "folders") as writer:
    for n in range(10_000):
        writer.reject(RejectedRow(source="folders", row=str(n), reason="empty_report"))
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    with pytest.raises(InputError, match="did not finish"):
        StudyStore.open(out)
    store = write(out, study())
    assert list(store.rejected()) == []
    assert len(store) == 1


def test_two_writers_of_one_store_are_told_apart(tmp_path: Path) -> None:
    out = tmp_path / "store"
    with StudyStore.create(out, "folders") as writer:
        writer.add(study())
        with pytest.raises(RunLockedError, match="another process"):
            StudyStore.create(out, "folders").__enter__()
        writer.add(study("2"))
    assert len(StudyStore.open(out)) == 2


def test_a_store_is_not_written_over(tmp_path: Path) -> None:
    write(tmp_path / "store", study())
    with pytest.raises(InputError, match="finished store"):
        StudyStore.create(tmp_path / "store", "folders").__enter__()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"thesis\.tex"):
        StudyStore.create(tmp_path / "mine", "folders").__enter__()
    with pytest.raises(InputError, match="this is a file"):
        StudyStore.create(tmp_path / "mine" / "thesis.tex", "folders").__enter__()
    assert len(StudyStore.open(tmp_path / "store")) == 1


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write here"):
        StudyStore.create(tmp_path / "file" / "store", "folders").__enter__()


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a-file"
    file.touch()
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "absent", "no such folder"),
        (file, "this is a file"),
        (tmp_path / "empty", "the folder is empty"),
        (tmp_path, "not a study store"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            StudyStore.open(path)
        assert caught.value.file == str(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "newer tenstep"),
        ({"studies": "many"}, "field 'studies': damaged"),
        ({"colour": "grey"}, "field 'colour': damaged"),
    ],
)
def test_a_head_that_cannot_be_read_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    store = write(tmp_path / "store", study())
    head = store.root / "store.json"
    head.write_text(json.dumps(json.loads(head.read_text()) | change))
    with pytest.raises(InputError, match=message):
        StudyStore.open(store.root)


@pytest.mark.parametrize("text", ["[]", "{", "\0", ""])
def test_a_head_that_is_no_object_is_named(tmp_path: Path, text: str) -> None:
    store = write(tmp_path / "store", study())
    (store.root / "store.json").write_text(text)
    with pytest.raises(InputError, match="not a JSON object"):
        StudyStore.open(store.root)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    store = write(tmp_path / "store", study("1"), study("2"))
    (file,) = store.root.glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match="damaged") as caught:
        list(store)
    assert caught.value.file == str(file)
    with pytest.raises(InputError, match="damaged"):
        StudyStore.open(store.root).get("folders/2")
    (store.root / "index.db").write_bytes(b"SQLite format 3\0" * 100)
    with pytest.raises(InputError, match="damaged"):
        StudyStore.open(store.root)


def test_a_study_that_is_none_is_named_by_its_row(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    store = write(tmp_path / "store", study("1"), study("2", "second"))
    (file,) = store.root.glob("*.parquet")
    table = pq.read_table(file)
    column = table.column_names.index("report")
    pq.write_table(table.set_column(column, table.schema.field("report"), [["first", " "]]), file)
    with pytest.raises(InputError, match=r"row 2: field 'report': damaged"):
        list(StudyStore.open(store.root))
    with pytest.raises(InputError, match="field 'report': damaged"):
        StudyStore.open(store.root).get("folders/2")


def test_studies_that_are_left_out_are_not_read(tmp_path: Path) -> None:
    store = write(tmp_path / "store", *(study(str(number)) for number in range(3 * parquet.GROUP - 90)))
    every = list(store.placed())
    for kept in (set(), {0}, {parquet.GROUP - 1, parquet.GROUP}, {2 * parquet.GROUP + 5}, set(range(0, len(store), 7))):
        but = bytes(place not in kept for place in range(len(store)))
        assert list(store.placed(but)) == [every[place] for place in sorted(kept)]
    (file,) = store.root.glob("*.parquet")
    file.write_bytes(b"")
    assert list(store.placed(b"\1" * len(store))) == []


def test_an_unknown_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no study 'folders/9'"):
        write(tmp_path / "store", study()).get("folders/9")


def test_image_paths_stay_under_the_store_unless_absolute(tmp_path: Path) -> None:
    store = write(tmp_path / "store", study())

    def ref(path: str) -> ImageRef:
        return ImageRef(path=path, sha256="0" * 64, width=1, height=1)

    assert store.path_of(ref("images/a.png")) == tmp_path / "store" / "images" / "a.png"
    assert store.path_of(ref("/elsewhere/a.png")) == Path("/elsewhere/a.png")
    with pytest.raises(InputError, match="out of the store"):
        store.path_of(ref("images/../../a.png"))


@pytest.mark.parametrize(
    ("classes", "expected"), [(["public"], "public"), (["public", "restricted"], "restricted"), ([], "restricted")]
)
def test_restricted_data_is_private(tmp_path: Path, classes: list[DataClass], expected: str) -> None:
    store = write(tmp_path / "store", *(study(str(n), data_class=name) for n, name in enumerate(classes)))
    assert store.data_class == expected
    for path in (store.root, *store.root.iterdir()):
        others = stat.S_IMODE(path.stat().st_mode) & 0o077
        assert bool(others) == (expected == "public")


def test_rejected_rows_come_back(tmp_path: Path) -> None:
    row = RejectedRow(source="folders", row="7", reason="empty_report", detail="é")
    with StudyStore.create(tmp_path / "store", "folders") as writer:
        writer.put(row)
        assert writer.rejections == {"empty_report": 1}
    assert list(StudyStore.open(tmp_path / "store").rejected()) == [row]


def films(folder: Path) -> tuple[Path, StudyStore]:
    """A folder that holds films and the store that was made of them, side by side."""
    for name in ("one", "two"):
        (folder / "films" / name).mkdir(parents=True)
        (folder / "films" / name / "image.png").write_bytes(film(len(name), ".png"))
        (folder / "films" / name / "report.txt").write_text("Findings: clear.")
    return folder / "films", ingest("folders", folder / "films", folder / "store", SourceOptions())


def test_a_folder_with_films_and_store_can_be_moved(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    _, store = films(tmp_path / "before")
    assert all(not Path(ref.path).is_absolute() for one in store for ref in one.images)
    (tmp_path / "before").rename(tmp_path / "after")
    moved = StudyStore.open(tmp_path / "after" / "store")
    for one in moved:
        (ref,) = one.images
        assert hashlib.sha256(moved.path_of(ref).read_bytes()).hexdigest() == ref.sha256
        assert moved.is_unchanged(ref)


def test_a_store_can_be_moved_without_its_films(tmp_path: Path) -> None:
    folder, _ = films(tmp_path / "work")
    (tmp_path / "elsewhere" / "deeper").mkdir(parents=True)
    (tmp_path / "work" / "store").rename(tmp_path / "elsewhere" / "deeper" / "store")
    moved = StudyStore.open(tmp_path / "elsewhere" / "deeper" / "store")
    assert [moved.path_of(one.images[0]) for one in moved] == [folder / name / "image.png" for name in ("one", "two")]


def test_paths_that_lead_out_of_every_folder_of_the_head_are_refused(tmp_path: Path) -> None:
    _, store = films(tmp_path / "work")
    (one, _) = store
    for path in ("../../secret.png", "../films/../../secret.png", "images/../../secret.png"):
        with pytest.raises(InputError, match="leads out"):
            store.path_of(one.images[0].model_copy(update={"path": path}))


def test_a_film_that_changed_since_ingest_is_noticed_without_reading_it(tmp_path: Path) -> None:
    folder, store = films(tmp_path / "work")
    one, two = (study.images[0] for study in store)
    (folder / "one" / "image.png").write_bytes(film(9, ".png"))
    (folder / "two" / "image.png").unlink()
    assert [store.is_unchanged(ref) for ref in (one, two)] == [False, False]


def test_a_restricted_store_makes_a_folder_that_was_there_private(tmp_path: Path) -> None:
    for data_class, mode in (("restricted", 0o700), ("public", 0o755)):
        out = tmp_path / data_class
        out.mkdir()
        out.chmod(0o755)
        write(out, study(data_class=data_class))
        assert stat.S_IMODE(out.stat().st_mode) == mode
    (tmp_path / "failed").mkdir()
    (tmp_path / "failed").chmod(0o755)
    with pytest.raises(KeyError), StudyStore.create(tmp_path / "failed", "folders"):
        assert stat.S_IMODE((tmp_path / "failed").stat().st_mode) == 0o700
        raise KeyError
    assert stat.S_IMODE((tmp_path / "failed").stat().st_mode) == 0o755
