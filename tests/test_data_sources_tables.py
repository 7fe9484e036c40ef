"""r2gen, csv and hf: tables of others, told apart by a mapping, read in parts."""

import json
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts.mimic import film
from tenstep.data.columns import Columns
from tenstep.data.formats.columnar import rows as stored_rows
from tenstep.data.formats.json_array import split_objects
from tenstep.data.intake.reports import Refusal
from tenstep.data.source import Row, RowsRead, SourceOptions, SourceWarning, load
from tenstep.data.sources import hf, r2gen
from tenstep.schemas.errors import InputError
from tenstep.schemas.study import RejectedRow, Study

TEXT = SourceOptions(text_only=True)
REPORT = "Findings: Clear lungs.\nImpression: Normal."


def studies(rows: Iterable[Row]) -> list[Study]:
    return [one for one in rows if isinstance(one, Study)]


def reasons(rows: Iterable[Row]) -> list[str]:
    return [one.reason for one in rows if isinstance(one, RejectedRow)]


def films(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(film(number, Path(name).suffix))
    return folder


# --- r2gen ---

IU = {"id": "CXR2384_IM-0942", "report": "the lungs are clear .", "split": "train",
      "image_path": ["CXR2384_IM-0942/0.png", "CXR2384_IM-0942/1.png"]}  # fmt: skip
MIMIC = {"id": "02aa804e-bde0afdd", "report": "no pneumothorax .", "split": "test", "subject_id": 10000032,
         "study_id": 50414267, "image_path": ["p10/a.jpg"]}  # fmt: skip


def annotation(path: Path, **splits: list[Any]) -> Path:
    path.write_text(json.dumps({"comment": {"of": [1, 2]}, **splits}))
    return path


def test_both_forms_of_r2gen_are_read(tmp_path: Path) -> None:
    path = annotation(tmp_path / "annotation.json", train=[IU], val=[], test=[MIMIC])
    films(tmp_path / "images", *IU["image_path"], *MIMIC["image_path"])
    options = SourceOptions(
        converted=tmp_path / "store" / "images", data_class="public", public_because="made for this test"
    )
    first, second = studies(load("r2gen").read(path, options))
    assert (first.id, first.patient_id, first.split) == ("r2gen/CXR2384_IM-0942", "open-i/CXR2384", "train")
    assert (second.patient_id, second.split, second.data_class) == ("mimic-cxr/p10000032", "test", "public")
    assert (first.report, first.report_form) == ("the lungs are clear .", "verbatim")
    assert [len(study.images) for study in (first, second)] == [2, 1]


def test_objects_of_one_study_are_one_study_wherever_they_stand(tmp_path: Path) -> None:
    def film_of(name: str, **more: Any) -> dict[str, Any]:
        return MIMIC | {"id": name, "image_path": [f"{name}.jpg"], "split": "train"} | more

    between = [film_of(f"b{n}", study_id=n) for n in range(3000)]
    path = annotation(tmp_path / "annotation.json", train=[film_of("a1"), *between, film_of("a2", study_id=50414267.0)])
    films(tmp_path / "images", "a1.jpg", "a2.jpg")
    found = list(load("r2gen").read(path, TEXT))
    assert (len(studies(found)), reasons(found)) == (3001, [])
    assert sum(row.rows for row in found if isinstance(row, RowsRead)) == 3002
    few = annotation(tmp_path / "few.json", train=[film_of("a1")], test=[film_of("a2", split="test")])
    (study,) = studies(load("r2gen").read(few, SourceOptions(converted=tmp_path / "store" / "images")))
    assert (study.id, [Path(ref.path).name for ref in study.images]) == ("r2gen/a1", ["a1.jpg", "a2.jpg"])
    assert study.split is None
    other = annotation(tmp_path / "other.json", train=[film_of("a1"), film_of("a2", report="another .")])
    assert reasons(load("r2gen").read(other, TEXT)) == ["conflicting_rows"]


def test_bad_items_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    items = [{"report": "x", "image_path": []}, {"id": 1, "image_path": []}, {"id": "a", "report": 3, "image_path": []},
             [], {"id": "b", "report": "", "image_path": []}, {"id": "c", "report": "x", "image_path": ["../c.png"]},
             {"id": "d", "report": "x" * 5_000_000, "image_path": ["c.png"]}, IU]  # fmt: skip
    path = annotation(tmp_path / "annotation.json", train=items)
    films(tmp_path / "images", *IU["image_path"])
    (tmp_path / "c.png").write_bytes(film(1, ".png"))
    rows = list(load("r2gen").read(path, SourceOptions()))
    assert reasons(rows) == [
        "no_id",
        "no_report",
        "no_report",
        "bad_json",
        "empty_report",
        "outside_folder",
        "long_report",
    ]
    assert len(studies(rows)) == 1


def test_an_annotation_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = annotation(tmp_path / "annotation.json", train=[IU, MIMIC])
    path.write_text(path.read_text()[:-30])
    rows = list(load("r2gen").read(path, TEXT))
    assert (len(studies(rows)), reasons(rows)) == (1, ["bad_json"])


@given(
    st.dictionaries(
        st.text(max_size=5), st.lists(st.dictionaries(st.text(max_size=3), st.text() | st.floats(allow_nan=False)))
    ),
    st.booleans(),
)
def test_an_annotation_is_read_as_json_reads_it(
    tmp_path_factory: pytest.TempPathFactory, splits: dict[str, list[dict[str, Any]]], ascii_only: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "law.json"
    path.write_text(json.dumps(splits, ensure_ascii=ascii_only, indent=1), encoding="utf-8")
    expected = [(key, n, item) for key, items in splits.items() for n, item in enumerate(items, 1)]
    assert list(split_objects(path)) == expected


def test_a_large_annotation_is_read_in_parts(tmp_path: Path) -> None:
    items = [{"id": n, "report": "clear " * 60, "image_path": []} for n in range(2500)]
    path = annotation(tmp_path / "annotation.json", train=items)
    parts = list(r2gen.shards(path, TEXT))
    assert len(parts) == 3
    found = [s for part in parts for s in studies(r2gen.read_shard(pickle.loads(pickle.dumps(part)), TEXT))]
    assert [study.id for study in found] == [f"r2gen/{n}" for n in range(2500)]


@pytest.mark.parametrize("text", ["[]", "", "null"])
def test_what_is_no_annotation_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises((InputError, ValueError)):
        list(load("r2gen").read(tmp_path / "a.json", TEXT))
    with pytest.raises(InputError, match="folder of images"):
        list(load("r2gen").read(tmp_path / "a.json", SourceOptions()))
    with pytest.raises(InputError, match="no such file"):
        list(load("r2gen").read(tmp_path, TEXT))


# --- csv ---


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_csv_is_read_by_its_columns_names(tmp_path: Path) -> None:
    films(tmp_path, "a.png", "b.png")
    path = table(
        tmp_path / "t.csv",
        f'id,patient_id,report,image,views,split,age\n1,p,"{REPORT}",a.png|b.png,PA|lateral,val,61\n',
    )
    (study,) = studies(load("csv").read(path, SourceOptions()))
    assert (study.id, study.patient_id, study.split, study.data_class) == ("csv/1", "csv/p", "val", "restricted")
    assert (study.report, study.sections.findings) == (REPORT, "Clear lungs.")
    assert [ref.view for ref in study.images] == ["PA", "lateral"]


def test_a_csv_is_read_by_a_mapping(tmp_path: Path) -> None:
    films(tmp_path / "films", "f.jpg", "l.jpg")
    path = table(
        tmp_path / "t.csv", "uid,find,imp,frontal,side\n7,Clear lungs.,Normal.,f.jpg,l.jpg\n8,,Normal.,f.jpg,\n"
    )
    columns = Columns(id="uid", findings="find", impression="imp", images=("frontal", "side"))
    options = SourceOptions(columns=columns, images=tmp_path / "films", form="four-header")
    rows = list(load("csv").read(path, options))
    (study,) = studies(rows)
    assert study.report.endswith("View: unknown\nFindings: Clear lungs.\nImpression: Normal.")
    assert len(study.images) == 2
    assert reasons(rows) == ["no_findings"]
    verbatim = studies(load("csv").read(path, options.model_copy(update={"form": "verbatim"})))
    assert verbatim[1].report == "IMPRESSION: Normal."


def test_rows_of_a_csv_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("<html>")
    path = table(tmp_path / "t.csv", 'id,report,image\n,x,\n1,,\n2,x\n3,x,no.png\n4,x,/etc/passwd\n5,x,\n6,"x')
    expected = ["no_id", "empty_report", "bad_csv", "not_an_image", "outside_folder", "no_image", "bad_csv"]
    assert reasons(load("csv").read(path, SourceOptions())) == expected


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("id;report\n1;x\n", Columns(), "separated by ';'"),
        ("id,text\n1,x\n", Columns(), "field 'report': the column is missing"),
        ("id,report\n1,x\n", Columns(images="film"), "field 'film': the column is missing"),
        ("", Columns(), "empty"),
    ],
)
def test_a_csv_without_what_the_mapping_names_is_one_clear_error(
    tmp_path: Path, text: str, columns: Columns, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        list(load("csv").read(table(tmp_path / "t.csv", text), SourceOptions(columns=columns, text_only=True)))


# --- hf ---

ROWS = [
    {"id": "1", "report": REPORT, "image": {"bytes": film(1, ".png"), "path": None}},
    {"id": "2", "report": REPORT, "image": {"bytes": b"no image", "path": "b.png"}},
    {"id": "3", "report": "", "image": None},
    {"id": "4", "report": REPORT, "image": {"bytes": film(4), "path": None}},
]


def parquet(folder: Path) -> Path:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS[:3]), folder / "train-00000-of-00001.parquet", row_group_size=2)
    pq.write_table(pa.Table.from_pylist(ROWS[3:]), folder / "test-00000-of-00001.parquet")
    return folder


def saved(folder: Path) -> Path:
    datasets = pytest.importorskip("datasets")
    parts = {"train": datasets.Dataset.from_list(ROWS[:3]), "test": datasets.Dataset.from_list(ROWS[3:])}
    datasets.DatasetDict(parts).save_to_disk(str(folder))
    return folder


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("made", [parquet, saved])
def test_a_dataset_is_read_with_its_images(tmp_path: Path, made: Callable[[Path], Path]) -> None:
    path = made(tmp_path / "data")
    rows = list(load("hf").read(path, SourceOptions(converted=tmp_path / "store" / "images")))
    kept = {study.id: study for study in studies(rows)}
    assert {name: study.split for name, study in kept.items()} == {"hf/1": "train", "hf/4": "test"}
    assert (kept["hf/1"].report, kept["hf/1"].images[0].width) == (REPORT, 40)
    ref = kept["hf/1"].images[0]
    assert (tmp_path / "store" / ref.path).read_bytes() == film(1, ".png")
    assert sorted(reasons(rows)) == ["empty_report", "not_an_image"]
    parts = list(hf.shards(path, SourceOptions(converted=tmp_path / "store" / "images")))
    assert pickle.loads(pickle.dumps(parts)) == parts


def test_any_range_of_a_parquet_file_is_its_rows(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": list(range(700))}), tmp_path / "t.parquet", row_group_size=230)
    for start, stop in ((0, 700), (0, 1), (229, 231), (100, 699), (459, 461), (600, 700)):
        found = [row["id"] for row in stored_rows(tmp_path / "t.parquet", ("id",), start, stop)]
        assert found == list(range(start, stop))


def test_what_is_no_dataset_is_named(tmp_path: Path) -> None:
    for name, message in (
        ("absent", "no such file"),
        (".", "holds neither parquet"),
        ("x.parquet", "not a parquet file"),
    ):
        (tmp_path / "x.parquet").unlink(missing_ok=True)
        if name == "x.parquet":
            (tmp_path / name).write_bytes(b"PAR1")
        with pytest.raises(InputError, match=message):
            list(load("hf").read(tmp_path / name, TEXT))


def test_every_source_with_parts_has_both_functions() -> None:
    for kind in ("csv", "hf", "r2gen", "mimic-cxr", "chexpert-plus"):
        assert load(kind).has_shards


def test_an_error_in_a_json_file_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"train": [{"id": 1}, {"id": ')
    last = list(split_objects(tmp_path / "a.json"))[-1]
    assert isinstance(last[2], Refusal)


@pytest.mark.parametrize("word", ["nan", "NULL", "n/a", "None"])
def test_words_for_a_missing_value_are_no_text_of_a_csv(tmp_path: Path, word: str) -> None:
    text = f"id,findings,impression,patient_id,split\na,Clear.,{word},{word},{word}\nb,{word},{word},1.0,train\n"
    found = list(load("csv").read(table(tmp_path / "t.csv", text), TEXT))
    (study,) = studies(found)
    assert (study.report, study.patient_id, study.split) == ("FINDINGS: Clear.", "csv/a", None)
    assert reasons(found) == ["empty_report"]


def test_a_patient_is_one_however_a_table_writes_the_number(tmp_path: Path) -> None:
    rows = "".join(f"{n},{patient},Clear.\n" for n, patient in enumerate(["1000.0", "1000", "\ufeff1000", "1000 "]))
    found = list(load("csv").read(table(tmp_path / "t.csv", "id,patient_id,report\n" + rows), TEXT))
    assert {study.patient_id for study in studies(found)} == {"csv/1000"}
    assert next(row.detail for row in found if isinstance(row, SourceWarning)) == "'1000.0' is read as '1000'"


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("m\u00fcller.png", "mu\u0308ller.png"),
        ("mu\u0308ller.png", "m\u00fcller.png"),
        ("sub\\x.png", "sub/x.png"),
        ("x.jpg", "x.jpeg"),
        ("x.jpg", "x.JPG"),
    ],
)
def test_a_film_is_found_under_the_name_that_another_system_gave_it(tmp_path: Path, written: str, there: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_bytes(film(0))
    path = table(tmp_path / "t.csv", f"id,report,image\na,Clear.,{written}\n")
    found = list(load("csv").read(path, SourceOptions(converted=tmp_path / "store" / "images")))
    assert (len(studies(found)), reasons(found)) == (1, [])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "id,report,subject_id,dicom_id\na,Clear.,1,2\n"),
        ("t.csv", "id,report,path_to_image,deid_patient_id\na,Clear.,1,2\n"),
        ("t.csv", "id,report\na,Compared with ___ there is no change.\n"),
        ("t.csv", "id,report\ns50414267,Clear.\n"),
        ("t.csv", "id,report,patient_id\na,Clear.,patient00001\n"),
        ("mimic-cxr.csv", "id,report\na,Clear.\n"),
    ],
)
def test_what_bears_marks_of_a_restricted_dataset_is_public_only_with_a_reason(
    tmp_path: Path, name: str, text: str
) -> None:
    path = table(tmp_path / name, text)
    public = TEXT.model_copy(update={"data_class": "public"})
    with pytest.raises(InputError, match="bears a mark of"):
        list(load("csv").read(path, public))
    assert studies(load("csv").read(path, TEXT))[0].data_class == "restricted"
    said = public.model_copy(update={"public_because": "made by hand for this test"})
    assert studies(load("csv").read(path, said))[0].data_class == "public"


@pytest.mark.parametrize(
    "report",
    ["PORTABLE AP CHEST. FINDINGS: Clear. IMPRESSION: Normal.", "FINDINGS: PORTABLE AP. Clear. IMPRESSION: Normal."],
)
def test_a_view_is_read_off_the_report_where_the_table_says_unknown(tmp_path: Path, report: str) -> None:
    films(tmp_path, "x.png")
    path = table(tmp_path / "t.csv", f"id,report,image,views\na,{report},x.png,unknown\n")
    options = SourceOptions(converted=tmp_path / "store" / "images", form="four-header")
    (study,) = studies(load("csv").read(path, options))
    assert "View: AP\n" in study.report
