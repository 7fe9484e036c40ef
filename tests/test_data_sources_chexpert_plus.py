"""CheXpert Plus in its exact columns, made by tests/layouts/chexpert.py."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts.chexpert import COLUMNS, DEMOGRAPHICS, images, row, write
from tenstep.data.intake.boilerplate import without_boilerplate
from tenstep.data.source import Marks, Row, RowsRead, SourceOptions, SourceWarning, load
from tenstep.data.sources.chexpert_plus import read_shard, shards
from tenstep.schemas.errors import InputError
from tenstep.schemas.study import RejectedRow, Study

read = load("chexpert-plus").read

TEXT = SourceOptions(text_only=True)
TWO = (row(), row(view=2, plane="lateral"))


def studies(rows: Iterable[Row]) -> list[Study]:
    return [one for one in rows if isinstance(one, Study)]


def reasons(rows: Iterable[Row]) -> list[str]:
    return [one.reason for one in rows if isinstance(one, RejectedRow)]


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_all_views_of_a_study_are_one_study(tmp_path: Path, index: bool, end: str) -> None:
    rows = [*TWO, row(2, 3, split="valid", ap_pa="AP")]
    path = write(tmp_path / "df_chexpert_plus_240401.csv", rows, index=index, end=end)
    found = list(read(path.parent, TEXT))
    first, second = studies(found)
    assert (first.id, first.patient_id) == ("chexpert-plus/patient00001/study1", "chexpert-plus/patient00001")
    assert first.views == ("PA", "lateral")
    assert first.report == (
        "Technique: Chest radiograph.\nView: PA and lateral\nFindings: The lungs are clear. No pleural effusion.\n"
        "Impression: 1. No acute disease of the chest."
    )
    assert first.sections.history == "patient with cough."
    assert (first.split, second.split, second.views) == ("train", "valid", ("AP",))
    assert {study.data_class for study in (first, second)} == {"restricted"}
    assert [one for one in found if isinstance(one, RowsRead)] == [RowsRead(3)]
    assert next(one for one in found if isinstance(one, Marks)).derived == (
        "history=without age and sex",
        "technique",
        "view=metadata",
    )


def test_demographics_never_enter_a_study(tmp_path: Path) -> None:
    found = list(read(write(tmp_path / "t.csv", TWO), TEXT))
    told = " ".join(map(repr, found))
    for value in DEMOGRAPHICS.values():
        if len(value) > 3:
            assert value not in told
    assert "61" not in told


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".dcm"])
def test_the_png_release_is_found_beside_jpg_paths(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / "t.csv", TWO)
    options = SourceOptions(images=images(tmp_path / "films", TWO, suffix), converted=tmp_path / "store" / "images")
    (study,) = studies(read(path, options))
    assert [ref.view for ref in study.images] == ["PA", "lateral"]


def test_what_lacks_findings_is_counted_or_kept(tmp_path: Path) -> None:
    rows = [row(section_findings=""), row(2, section_impression=""), row(3, section_findings="", section_impression="")]
    path = write(tmp_path / "t.csv", rows)
    assert reasons(read(path, TEXT)) == ["no_findings", "no_impression", "no_findings"]
    allow = TEXT.model_copy(update={"missing_findings": "allow", "missing_impression": "allow"})
    found = list(read(path, allow))
    assert [study.report.splitlines()[2:] for study in studies(found)] == [
        ["Findings: Not reported.", "Impression: 1. No acute disease of the chest."],
        ["Findings: The lungs are clear. No pleural effusion.", "Impression: Not reported."],
    ]
    assert reasons(found) == ["no_findings"]
    assert len(studies(read(path, TEXT.model_copy(update={"form": "verbatim"})))) == 3


def test_one_of_two_views_is_not_paired_silently(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", TWO[1:])
    options = SourceOptions(images=images(tmp_path, TWO[1:]), converted=tmp_path / "store" / "images")
    found = list(read(path, options))
    assert [one.code for one in found if isinstance(one, SourceWarning)] == ["fewer_views"]
    assert reasons(read(path, options.model_copy(update={"fewer_views": "reject"}))) == ["fewer_views"]


def test_rows_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    rows = [row(), row(view=2, deid_patient_id="patient00009"), row(2), row(2, view=2, report="Another.")]
    path = write(tmp_path / "t.csv", rows)
    assert reasons(read(path, TEXT)) == ["study_of_two_patients", "conflicting_rows"]


@pytest.mark.parametrize(
    "bad", ["", "../../etc/passwd", "train/patient1/x.jpg", "train/p/../patient1/study1/a.jpg", "/x"]
)
def test_a_path_that_names_no_study_is_refused(tmp_path: Path, bad: str) -> None:
    rows = list(read(write(tmp_path / "t.csv", [row(path_to_image=bad), row(2)]), TEXT))
    assert reasons(rows) == ["bad_id"]
    assert len(studies(rows)) == 1


def test_a_table_that_is_cut_in_the_middle_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [row(n) for n in range(1, 6)])
    path.write_bytes(path.read_bytes()[:-200])
    rows = list(read(path, TEXT))
    assert len(studies(rows)) == 4
    assert reasons(rows) == ["bad_csv"]


def test_a_wrong_delimiter_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(";".join(COLUMNS) + "\n")
    with pytest.raises(InputError, match="separated by ';'"):
        list(read(path, TEXT))


def test_a_report_that_is_none_is_a_reason(tmp_path: Path) -> None:
    rows = [row(report=""), row(2, report="x" * 5_000_000), row(3, report="a\0b"), row(4)]
    found = list(read(write(tmp_path / "t.csv", rows), TEXT))
    assert reasons(found) == ["empty_report", "long_report", "bad_characters"]
    assert len(studies(found)) == 1


def test_no_study_lies_in_two_parts(tmp_path: Path) -> None:
    rows = [row(patient, view=view) for patient in range(1, 3000) for view in (1, 2, 3)]
    path = write(tmp_path / "t.csv", rows)
    parts = list(shards(path, TEXT))
    assert len(parts) > 3
    found = [study for part in parts for study in studies(read_shard(part, TEXT))]
    assert [study.id for study in found] == [f"chexpert-plus/patient{n:05}/study1" for n in range(1, 3000)]


def test_a_stray_quote_costs_the_rows_around_it(tmp_path: Path) -> None:
    rows = [row(patient) for patient in range(1, 9000)]
    path = write(tmp_path / "t.csv", rows)
    data = path.read_bytes()
    at = data.index(b"train/patient00010/")
    path.write_bytes(data[:at] + b'"' + data[at:])
    found = list(read(path, TEXT))
    assert len(studies(found)) > 8900
    assert set(reasons(found)) <= {"bad_csv", "bad_id"}


def test_a_compressed_table_is_read_as_it_is(tmp_path: Path) -> None:
    import gzip

    plain = write(tmp_path / "t.csv", TWO)
    (tmp_path / "packed").mkdir()
    packed = tmp_path / "packed" / "df_chexpert_plus_240401.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert studies(read(packed.parent, TEXT)) == studies(read(plain, TEXT))
    packed.write_bytes(packed.read_bytes()[:-30])
    assert "cut off" in next(one.detail for one in read(packed, TEXT) if isinstance(one, RejectedRow))


def test_rows_of_one_study_far_apart_are_one_study(tmp_path: Path) -> None:
    between = [row(patient) for patient in range(2, 4000)]
    path = write(tmp_path / "t.csv", [TWO[0], *between, TWO[1]])
    parts = list(shards(path, TEXT))
    assert len(parts) > 1
    found = [one for part in parts for one in read_shard(part, TEXT)]
    assert reasons(found) == []
    assert len(studies(found)) == 3999
    (first,) = (study for study in studies(found) if study.patient_id.endswith("patient00001"))
    assert first.views == ("PA", "lateral")


REPORT = (
    "Compared with January 5, 2010. Discussed with Dr. Smith at 3:15 PM. A 4 mm nodule in the right lung. ID 12345."
)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (REPORT.replace("January 5, 2010", "March 17, 2013").replace("3:15", "11:02"), True),
        (REPORT.replace("Dr. Smith", "Dr. Van Houten"), True),
        (REPORT.replace("12345", "99-1"), True),
        (REPORT.replace("4 mm", "9 mm"), False),
        (REPORT.replace("right", "left"), False),
        (REPORT.replace("A 4 mm nodule", "No 4 mm nodule"), False),
        (REPORT + " Effusion.", False),
        (REPORT.upper().replace("RIGHT", "LEFT"), False),
    ],
)
def test_rows_that_differ_in_surrogates_only_are_one_study_with_a_warning(
    tmp_path: Path, other: str, same: bool
) -> None:
    one = REPORT.upper() if other.isupper() else REPORT
    rows = [row(section_findings=one), row(view=2, plane="lateral", section_findings=other)]
    found = list(read(write(tmp_path / "t.csv", rows), TEXT))
    assert reasons(found) == ([] if same else ["conflicting_rows"])
    assert [one.code for one in found if isinstance(one, SourceWarning)] == (["surrogates_differ"] if same else [])


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read(tmp_path / "absent.csv", TEXT))
    with pytest.raises(InputError, match="0 files"):
        list(read(tmp_path, TEXT))
    with pytest.raises(InputError, match="folder of images"):
        list(read(write(tmp_path / "t.csv", TWO), SourceOptions(images=tmp_path / "absent")))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("1. Clear.\nEND OF IMPRESSION\nSUMMARY: 1", "1. Clear."),
        ("Clear.\nI have personally reviewed the images and agree.\n", "Clear."),
        ("Clear.\nSigned by: ___\nPhysician to Physician Consult Line: ___", "Clear."),
        ("SUMMARY 2: ABNORMAL, PREVIOUSLY REPORTED\nClear.", "Clear."),
        ("In summary, clear.", "In summary, clear."),
        ("Findings are signed by nobody.", "Findings are signed by nobody."),
        ("", ""),
    ],
)
def test_boilerplate_lines_are_dropped_and_sentences_stay(text: str, kept: str) -> None:
    assert without_boilerplate(text) == kept


@given(st.text())
def test_dropping_boilerplate_twice_changes_nothing_more(text: str) -> None:
    once = without_boilerplate(text)
    assert without_boilerplate(once) == once
