"""MIMIC-CXR in its exact layouts, made by tests/layouts/mimic.py: every form of it gives the same studies."""

import itertools
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from layouts.mimic import BY_HAND, PORTABLE, STUDIES, TWO_VIEWS, Made, build, dicom, film, report, table
from tenstep.data.source import Marks, Row, SourceOptions, SourceWarning, load
from tenstep.data.sources.mimic_cxr import read_shard, shards
from tenstep.schemas.errors import InputError
from tenstep.schemas.study import RejectedRow, Study

read = load("mimic-cxr").read

TEXT = SourceOptions(text_only=True)


def studies(rows: Iterable[Row]) -> list[Study]:
    return [row for row in rows if isinstance(row, Study)]


def reasons(rows: Iterable[Row]) -> dict[str, str]:
    return {row.row: row.reason for row in rows if isinstance(row, RejectedRow)}


def marks(rows: Iterable[Row]) -> dict[str, tuple[str, ...]]:
    return {row.study_id: row.derived for row in rows if isinstance(row, Marks)}


def warned(rows: Iterable[Row]) -> set[tuple[str, str]]:
    return {(row.study_id, row.code) for row in rows if isinstance(row, SourceWarning)}


def test_a_study_has_all_that_the_tables_say(tmp_path: Path) -> None:
    rows = list(read(build(tmp_path / "mimic"), SourceOptions(converted=tmp_path / "store" / "images")))
    first, portable, windows = studies(rows)
    assert (first.id, first.patient_id) == ("mimic-cxr/s50414267", "mimic-cxr/p10000032")
    assert first.data_class == "restricted"
    assert first.views == ("PA", "lateral")
    assert [(ref.view, ref.width, ref.height) for ref in first.images] == [("PA", 40, 48), ("lateral", 40, 48)]
    assert first.report == (
        "Technique: Chest PA and lateral\nView: PA and lateral\n"
        "Findings: The heart is normal in size. The lungs are clear. No pleural effusion.\n"
        "Impression: No acute process."
    )
    assert first.labels == {"Atelectasis": "present", "Cardiomegaly": "absent", "Consolidation": "uncertain"}
    assert (first.split, windows.split) == ("train", "test")
    assert first.sections.indication == "patient with cough // rule out pneumonia"
    assert portable.sections.history == "patient with fever."
    assert portable.sections.findings == "Small left pleural effusion."
    assert windows.report == first.report.replace("PA and lateral\nFind", "PA and LL\nFind")  # whatever the line ends
    assert windows.views == ("PA", "LL")


def test_what_was_derived_is_marked(tmp_path: Path) -> None:
    rows = list(read(build(tmp_path / "mimic", tables=False, suffix=None), TEXT))
    assert marks(rows) == {
        "mimic-cxr/s50414267": ("indication=without age and sex", "view=text"),
        "mimic-cxr/s53189527": ("history=without age and sex", "technique", "view=unknown"),
        "mimic-cxr/s51000012": ("indication=without age and sex", "view=text"),
    }
    assert studies(rows)[1].report.startswith("Technique: Chest radiograph.\nView: unknown\n")


@pytest.mark.parametrize(("archive", "lists", "zipped"), list(itertools.product((False, True), repeat=3)))
def test_every_form_of_it_gives_the_same_studies(tmp_path: Path, archive: bool, lists: bool, zipped: bool) -> None:
    plain = studies(read(build(tmp_path / "a", suffix=None), TEXT))
    form = build(tmp_path / "b", archive=archive, lists=lists, zipped=zipped, suffix=None)
    assert sorted(studies(read(form, TEXT)), key=lambda s: s.id) == sorted(plain, key=lambda s: s.id)
    if archive:
        assert len(studies(read(form / "mimic-cxr-reports.zip", TEXT))) == len(plain)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".dcm"])
@pytest.mark.parametrize("tables", [True, False])
def test_images_are_whatever_is_there(tmp_path: Path, suffix: str, tables: bool) -> None:
    texts = build(tmp_path / "texts", suffix=None, tables=False)
    images = build(tmp_path / "images", suffix=suffix, tables=tables, lists=False)
    for file in images.rglob("*.txt"):
        file.unlink()
    rows = list(read(texts, SourceOptions(images=images, converted=tmp_path / "store" / "images")))
    assert [len(study.images) for study in studies(rows)] == [2, 1, 2]
    assert len(studies(rows)[0].views) == (2 if tables or suffix != ".dcm" else 1)


def test_a_study_whose_image_is_missing_or_broken_is_rejected(tmp_path: Path) -> None:
    path = build(tmp_path / "mimic")
    first, second = (path / "files" / m.folder / f"s{m.study}" / f"{m.dicom(0)}.jpg" for m in STUDIES[:2])
    first.unlink()
    second.write_bytes(b"<html>")
    rows = list(read(path, SourceOptions(converted=tmp_path / "images")))
    assert reasons(rows)["p10000032/s50414267"] == "missing_file"
    assert reasons(rows)["p10000032/s53189527"] == "not_an_image"


def test_another_body_part_is_a_warning(tmp_path: Path) -> None:
    path = build(tmp_path / "mimic", STUDIES[:2], suffix=".dcm")
    place = path / "files" / STUDIES[1].folder / "s53189527" / f"{STUDIES[1].dicom(0)}.dcm"
    place.write_bytes(dicom(np.arange(64, dtype=np.uint16).reshape(8, 8), part="KNEE"))
    assert ("mimic-cxr/s53189527", "other_body_part") in warned(
        read(path, SourceOptions(converted=tmp_path / "images"))
    )


def test_without_findings_the_policy_decides(tmp_path: Path) -> None:
    path = build(tmp_path / "mimic", suffix=None)
    rejected = {"p10000764/s57375967", "p11000011/s51000011", "p11573679/s58235663", "p11851243/s50913680"}
    for policy in ("reject", "require"):
        rows = list(read(path, TEXT.model_copy(update={"missing_findings": policy})))
        assert dict.fromkeys(rejected, "no_findings") == reasons(rows)
    both = {"missing_findings": "allow", "missing_impression": "allow"}
    rows = list(read(path, TEXT.model_copy(update=both)))
    kept = {study.id: study for study in studies(rows)}
    assert kept["mimic-cxr/s51000011"].report == (
        "Technique: Chest radiograph.\nView: unknown\nFindings: The lungs are clear. The heart is not enlarged.\n"
        "Impression: Not reported."
    )
    assert "findings=last_paragraph" in marks(rows)["mimic-cxr/s51000011"]
    assert "impression=not reported" in marks(rows)["mimic-cxr/s51000011"]
    assert reasons(rows).keys() == {"p10000764/s57375967", "p11573679/s58235663"}  # nothing to report from


def test_studies_that_are_sectioned_by_hand_are_handled_and_listed(tmp_path: Path) -> None:
    path = build(tmp_path / "mimic", suffix=None)
    rows = list(read(path, TEXT.model_copy(update={"missing_findings": "allow"})))
    (by_hand,) = (study for study in studies(rows) if study.id == "mimic-cxr/s50913680")
    assert by_hand.sections.impression == "The left effusion has grown; follow it up."
    assert "impression=by hand" in marks(rows)[by_hand.id]
    assert (by_hand.id, "sections_by_hand") in warned(rows)
    (nothing,) = (row for row in rows if isinstance(row, RejectedRow) and row.row == "p11573679/s58235663")
    assert "sectioned by hand" in nothing.detail


def test_verbatim_keeps_every_byte(tmp_path: Path) -> None:
    path = build(tmp_path / "mimic", suffix=None)
    kept = studies(read(path, TEXT.model_copy(update={"form": "verbatim"})))
    assert [study.report for study in kept] == [made.text for made in STUDIES]


def test_a_report_about_two_views_with_one_image_is_told(tmp_path: Path) -> None:
    one = Made("10000032", "50414267", TWO_VIEWS, ("LATERAL",))
    path = build(tmp_path / "mimic", [one])
    options = SourceOptions(converted=tmp_path / "images")
    assert warned(read(path, options)) == {("mimic-cxr/s50414267", "fewer_views")}
    assert reasons(read(path, options.model_copy(update={"fewer_views": "reject"}))) == {
        "p10000032/s50414267": "fewer_views"
    }
    portable = build(tmp_path / "portable", [Made("10000032", "53189527", PORTABLE, ("AP",))])
    assert warned(read(portable, options)) == set()


def test_a_report_of_another_study_is_refused(tmp_path: Path) -> None:
    path = build(tmp_path / "mimic", STUDIES[:3], suffix=None, lists=False)
    here = "files/p10/p10000032/s50414267.txt"
    rows = [
        ("10000032", "50414267", here),
        ("10000032", "53189527", here),
        ("10000764", "57375967", "/etc/passwd"),
        ("10000764", "57375968", "files/p10/p10000764/../../../s57375968.txt"),
        ("10000764", "57375969", "files/p10/p10000764/s57375969.txt"),
    ]
    table(path / "cxr-study-list.csv", ("subject_id", "study_id", "path"), rows, zipped=False)
    found = list(read(path, TEXT))
    assert [study.id for study in studies(found)] == ["mimic-cxr/s50414267"]
    assert reasons(found) == {
        "p10000032/s53189527": "report_of_another_study",
        "p10000764/s57375967": "outside_folder",
        "p10000764/s57375968": "outside_folder",
        "p10000764/s57375969": "no_report",
    }


def test_an_archive_is_checked_against_the_list(tmp_path: Path) -> None:
    path = build(tmp_path / "mimic", STUDIES[:2], suffix=None, archive=True)
    (path / "mimic-cxr-reports.zip").unlink()
    with zipfile.ZipFile(path / "mimic-cxr-reports.zip", "w") as archive:
        archive.writestr("files/p11/p11000001/s50414267.txt", TWO_VIEWS)
        archive.writestr("files/p10/p11000001/s51000001.txt", TWO_VIEWS)
        archive.writestr("files/readme.txt", "hello")
        archive.writestr("files/p10/p10000032/s59999999.txt", "x" * 500_000)
    assert reasons(read(path, TEXT)) == {
        "p11000001/s50414267": "report_of_another_study",
        "p11000001/s51000001": "report_of_another_study",
        "files/readme.txt": "other_file",
        "files/p10/p10000032/s59999999.txt": "large_file",
        "p10000032/s50414267": "no_report",
        "p10000032/s53189527": "no_report",
    }


def test_bad_rows_of_a_table_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = build(tmp_path / "mimic", zipped=False, suffix=None)
    for name in ("metadata", "split", "chexpert"):
        file = path / f"mimic-cxr-2.0.0-{name}.csv"
        file.write_bytes(file.read_bytes()[:-20])  # cut in the middle
    with (path / "mimic-cxr-2.0.0-metadata.csv").open("a") as file:
        file.write('\n../../x,10000032,50414267,,PA,,,,,,,""\n')
    rows = list(read(path, TEXT))
    assert len(studies(rows)) == 3
    assert sorted(reasons(rows).values()) == ["bad_csv"] * 3 + ["bad_id"] + ["no_findings"] * 4
    (path / "mimic-cxr-2.0.0-split.csv").write_text("dicom_id;study_id;subject_id;split\n")
    with pytest.raises(InputError, match="separated by ';'"):
        list(read(path, TEXT))


def test_a_compressed_table_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = build(tmp_path / "mimic", suffix=None)
    file = path / "mimic-cxr-2.0.0-split.csv.gz"
    file.write_bytes(file.read_bytes()[:-9])
    assert "bad_csv" in reasons(read(path, TEXT)).values()


@pytest.mark.parametrize(
    ("text", "reason"),
    [(b"", "empty_report"), (b" \n \n", "empty_report"), (b"a\xff", "bad_encoding"), (b"x" * 5_000_000, "long_report")],
)
def test_a_report_that_is_none_is_a_reason(tmp_path: Path, text: bytes, reason: str) -> None:
    path = build(tmp_path / "mimic", STUDIES[:1], suffix=None)
    (path / "files" / "p10" / "p10000032" / "s50414267.txt").write_bytes(text)
    assert reasons(read(path, TEXT)) == {"p10000032/s50414267": reason}


def test_links_out_of_the_tree_are_refused(tmp_path: Path) -> None:
    path = build(tmp_path / "mimic", STUDIES[:1])
    report_file = path / "files" / "p10" / "p10000032" / "s50414267.txt"
    image = report_file.with_suffix("") / f"{STUDIES[0].dicom(0)}.jpg"
    outside = tmp_path / "outside"
    outside.mkdir()
    for file in (report_file, image):
        (outside / file.name).write_bytes(file.read_bytes())
        file.unlink()
        file.symlink_to(outside / file.name)
    assert reasons(read(path, SourceOptions())) == {"p10000032/s50414267": "outside_folder"}
    report_file.unlink()
    report_file.write_text(TWO_VIEWS)
    assert reasons(read(path, SourceOptions())) == {"p10000032/s50414267": "outside_folder"}


def test_one_image_is_the_frontal_one_or_all_on_a_canvas(tmp_path: Path) -> None:
    swapped = Made("10000032", "50414267", TWO_VIEWS, ("LATERAL", "PA"))
    path = build(tmp_path / "mimic", [swapped])
    first = SourceOptions(converted=tmp_path / "store" / "images", one_image="frontal-first")
    rows = list(read(path, first))
    (study,) = studies(rows)
    assert [ref.view for ref in study.images] == ["PA"]
    assert study.views == ("lateral", "PA")  # the inventory stays
    assert warned(rows) == {(study.id, "one_of_several_views")}
    assert "image=frontal-first" in marks(rows)[study.id]
    rows = list(read(path, first.model_copy(update={"one_image": "canvas"})))
    (study,) = studies(rows)
    (ref,) = study.images
    assert (ref.view, ref.width, ref.height) == ("lateral+PA", 80, 48)
    assert (tmp_path / "store" / ref.path).is_file()
    assert warned(rows) == set()
    assert "image=canvas" in marks(rows)[study.id]


def test_parts_can_be_read_on_their_own(tmp_path: Path) -> None:
    import pickle

    path = build(tmp_path / "mimic", suffix=None)
    (part,) = shards(path, TEXT)
    assert list(read_shard(pickle.loads(pickle.dumps(part)), TEXT)) == list(read(path, TEXT))


def test_where_nothing_is_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read(tmp_path / "absent", TEXT))
    with pytest.raises(InputError, match=r"neither mimic-cxr-reports\.zip nor"):
        list(read(tmp_path, TEXT))
    (tmp_path / "x.csv").touch()
    with pytest.raises(InputError, match="name the folder"):
        list(read(tmp_path / "x.csv", TEXT))


def test_the_made_reports_are_what_they_claim() -> None:
    assert report(" FINDINGS:  x") == " " * 33 + "FINAL REPORT\n FINDINGS:  x\n"
    assert BY_HAND.count("FINDINGS") == 0
    assert film(1) != film(2)
