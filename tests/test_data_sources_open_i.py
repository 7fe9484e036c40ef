"""Open-i: the tarball in place, the folder, the Kaggle form; in its layout, with our own text."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenstep.data.source import Row, SourceOptions, load
from tenstep.schemas.errors import InputError
from tenstep.schemas.study import RejectedRow, Study

read = load("open-i").read

TEXT = SourceOptions(text_only=True)
HEADER = "uid,MeSH,Problems,image,indication,comparison,findings,impression\n"


def xml(
    uid: str = "CXR1", findings: str = "Clear lungs.", impression: str = "Normal.", images: Iterable[str] = ()
) -> bytes:
    parents = "".join(
        f'<parentImage id="{name}"><caption>Xray Chest PA and Lateral</caption></parentImage>' for name in images
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="{uid}"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText>
<AbstractText Label="INDICATION"/>
<AbstractText Label="FINDINGS">{findings}</AbstractText>
<AbstractText Label="IMPRESSION">{impression}</AbstractText>
</Abstract></Article></MedlineCitation><MeSH><major>Opacity/lung/base/left</major></MeSH>{parents}</eCitation>
""".encode()


def tgz(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is a parameter here
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def studies(rows: Iterable[Row]) -> list[Study]:
    return [row for row in rows if isinstance(row, Study)]


def reasons(rows: Iterable[Row]) -> list[str]:
    return [row.reason for row in rows if isinstance(row, RejectedRow)]


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_reports_are_read_from_the_archive_in_place(tmp_path: Path, mode: str) -> None:
    path = tgz(
        tmp_path / "reports.tgz", {"ecgen/1.xml": xml("CXR1", images=["CXR1_1"]), "ecgen/2.xml": xml("CXR2")}, mode
    )
    first, second = studies(read(path, TEXT))
    assert first.id == first.patient_id == "open-i/CXR1"
    assert (
        first.report
        == "Technique: Chest radiograph.\nView: PA and lateral\nFindings: Clear lungs.\nImpression: Normal."
    )
    assert (first.data_class, first.report_form, first.views, first.images) == (
        "public",
        "four-header",
        ("PA", "lateral"),
        (),
    )
    assert first.labels == {"Opacity/lung/base/left": "present"}
    assert (first.sections.comparison, first.sections.indication) == ("None.", None)
    assert "View: unknown\n" in second.report
    assert [entry.name for entry in tmp_path.iterdir()] == ["reports.tgz"]


def test_the_folder_of_the_archive_reads_the_same(tmp_path: Path) -> None:
    path = tgz(tmp_path / "reports.tgz", {"ecgen/1.xml": xml("CXR1"), "ecgen/2.xml": xml("CXR2")})
    folder = tmp_path / "folder" / "ecgen"
    folder.mkdir(parents=True)
    (folder / "1.xml").write_bytes(xml("CXR1"))
    (folder / "2.xml").write_bytes(xml("CXR2"))
    assert list(read(folder.parent, TEXT)) == list(read(path, TEXT))


def test_the_verbatim_form_joins_the_sections_of_the_source(tmp_path: Path) -> None:
    path = tgz(tmp_path / "reports.tgz", {"1.xml": xml(impression="")})
    (study,) = studies(read(path, SourceOptions(text_only=True, form="verbatim")))
    assert study.report == "COMPARISON: None.\n\nFINDINGS: Clear lungs."
    assert study.report_form == "verbatim"


def test_what_has_no_findings_or_impression_is_counted_by_reason(tmp_path: Path) -> None:
    members = {
        "1.xml": xml("CXR1", findings=""),
        "2.xml": xml("CXR2", impression=" "),
        "3.xml": xml("CXR3", "", ""),
        "4.xml": xml("CXR4"),
    }
    rows = list(read(tgz(tmp_path / "reports.tgz", members), TEXT))
    assert reasons(rows) == ["no_findings", "no_impression", "empty_report"]
    assert next(row.row for row in rows if isinstance(row, RejectedRow)) == "1.xml (CXR1)"
    assert len(studies(rows)) == 1


ENTITIES = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><eCitation>&c;</eCitation>'


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (xml()[:300], "bad_xml"),
        (b"", "bad_xml"),
        (b"not xml", "bad_xml"),
        (ENTITIES, "bad_xml"),
        (ENTITIES.decode().encode("utf-16"), "bad_encoding"),
        (xml().replace(b"Clear", b"Cl\xe9ar"), "bad_encoding"),
        (xml().replace(b'id="CXR1"', b""), "no_id"),
        (xml(uid="../1"), "no_id"),
        (b"<other/>", "no_id"),
        (xml() + b" " * 2**20, "large_file"),
    ],
)
def test_a_bad_document_is_a_reason_and_the_rest_goes_on(tmp_path: Path, data: bytes, expected: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "1.xml").write_bytes(data)
    (folder / "2.xml").write_bytes(xml())
    for path in (folder, tgz(tmp_path / "reports.tgz", {"1.xml": data, "2.xml": xml()})):
        rows = list(read(path, TEXT))
        assert reasons(rows) == [expected]
        assert len(studies(rows)) == 1


def test_archives_lead_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "reports.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (
            ("../1.xml", tarfile.REGTYPE),
            ("/2.xml", tarfile.REGTYPE),
            ("a/../../3.xml", tarfile.REGTYPE),
            ("c:\\4.xml", tarfile.REGTYPE),
            ("link.xml", tarfile.SYMTYPE),
            ("hard.xml", tarfile.LNKTYPE),
            ("fifo.xml", tarfile.FIFOTYPE),
            ("device.xml", tarfile.CHRTYPE),
            ("folder", tarfile.DIRTYPE),
            ("readme.txt", tarfile.REGTYPE),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry, io.BytesIO())
        good = xml()
        entry = tarfile.TarInfo("good.xml")
        entry.size = len(good)
        archive.addfile(entry, io.BytesIO(good))
    rows = list(read(path, TEXT))
    assert reasons(rows) == ["outside_folder"] * 8 + ["other_file"]
    assert len(studies(rows)) == 1


def test_links_out_of_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.xml").write_bytes(xml())
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "1.xml").symlink_to(tmp_path / "secret.xml")
    assert reasons(read(tmp_path / "folder", TEXT)) == ["outside_folder"]


@given(st.floats(0.05, 0.98), st.sampled_from(["w", "w:gz"]))
def test_an_archive_that_is_cut_off_is_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, part: float, mode: str
) -> None:
    path = tgz(tmp_path_factory.getbasetemp() / "cut.tgz", {f"{n}.xml": xml(f"CXR{n}") for n in range(30)}, mode)
    whole = path.read_bytes()
    # a tar ends in zeros, of which some may go missing unnoticed
    path.write_bytes(whole[: int(len(whole if mode == "w:gz" else whole.rstrip(b"\0")) * part)])
    with pytest.raises(InputError, match=r"damaged or cut off after|not a tar archive"):
        list(read(path, TEXT))


def test_what_is_no_archive_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "reports.tgz"
    for data in (b"", b"not a tar", b"\x1f\x8bnot a gzip", xml()):
        path.write_bytes(data)
        with pytest.raises(InputError, match="not a tar archive"):
            list(read(path, TEXT))


def kaggle(folder: Path, *rows: str, projections: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "indiana_reports.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8-sig")
    if projections is not None:
        (folder / "indiana_projections.csv").write_text(f"uid,filename,projection\n{projections}")
    return folder / "indiana_reports.csv"


GOOD = '1,Opacity/lung;normal,x,Xray Chest PA and Lateral,Cough,None.,"Clear, both lungs.",Normal.'


def test_the_kaggle_form_names_the_same_study(tmp_path: Path) -> None:
    path = kaggle(tmp_path / "kaggle", GOOD)
    (study,) = studies(read(path, TEXT))
    assert study.id == "open-i/CXR1"
    assert study.report.endswith("View: PA and lateral\nFindings: Clear, both lungs.\nImpression: Normal.")
    assert study.labels == {"Opacity/lung": "present", "normal": "present"}
    assert studies(read(path.parent, TEXT)) == [study]


def test_bad_csv_rows_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = kaggle(tmp_path / "kaggle", "2,short", GOOD.replace("1", "x", 1), GOOD, '3,"cut off in the mid')
    path.write_bytes(path.read_bytes().replace(b"short", b"a,b,c,d,e,f,\xff"))
    rows = list(read(path, TEXT))
    assert reasons(rows) == ["bad_encoding", "no_id", "bad_csv"]
    assert next(row.row for row in rows if isinstance(row, RejectedRow)) == "indiana_reports.csv row 2"
    assert len(studies(rows)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace("findings,", ""), "field 'findings': the column is missing"),
        (HEADER.replace(",", ";"), "field 'uid': the column is missing; found: uid;MeSH"),
        ("", "the file is empty"),
        ('"uid', "not a CSV record"),
    ],
)
def test_a_csv_without_its_columns_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "indiana_reports.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        list(read(path, TEXT))
    assert str(caught.value).startswith(f"{path}: row 1: ")


def test_images_are_found_decoded_and_described(tmp_path: Path, png: bytes) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "CXR1_1.png").write_bytes(png)
    (images / "CXR2_1.png").write_bytes(png[:60])
    members = {
        "1.xml": xml("CXR1", images=["CXR1_1"]),
        "2.xml": xml("CXR2", images=["CXR2_1"]),
        "3.xml": xml("CXR3", images=["CXR3_1"]),
        "4.xml": xml("CXR4", images=["../images/CXR1_1", "../secret"]),
        "5.xml": xml("CXR5"),
    }
    (tmp_path / "secret.png").write_bytes(png)
    rows = list(read(tgz(tmp_path / "reports.tgz", members), SourceOptions(images=images)))
    (study,) = studies(rows)
    (ref,) = study.images
    assert (ref.path, ref.width, ref.height) == (str(images / "CXR1_1.png"), 40, 30)
    assert reasons(rows) == ["unreadable_image", "missing_file", "outside_folder", "no_image"]


def test_kaggle_projections_name_images_and_views(tmp_path: Path, png: bytes) -> None:
    path = kaggle(tmp_path / "kaggle", GOOD, projections="1,a.png,Frontal\n1,b.png,Lateral\nbroken\n")
    for name in ("a.png", "b.png"):
        (path.parent / name).write_bytes(png)
    rows = list(read(path, SourceOptions(images=path.parent)))
    (study,) = studies(rows)
    assert [ref.view for ref in study.images] == ["frontal", "lateral"]
    assert "View: frontal and lateral\n" in study.report
    assert reasons(rows) == ["bad_csv"]


@pytest.mark.parametrize("options", [SourceOptions(), SourceOptions(images=Path("somewhere"), text_only=True)])
def test_either_images_or_text_only_must_be_said(tmp_path: Path, options: SourceOptions) -> None:
    with pytest.raises(InputError, match="--text-only"):
        list(read(tgz(tmp_path / "reports.tgz", {"1.xml": xml()}), options))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        list(read(tmp_path / "absent.tgz", TEXT))
    with pytest.raises(InputError, match="neither XML reports nor"):
        list(read(tmp_path, TEXT))
    with pytest.raises(InputError, match="no such folder of images"):
        list(read(tmp_path, SourceOptions(images=tmp_path / "absent")))
    with pytest.raises(InputError, match=r"indiana_projections\.csv"):
        list(read(kaggle(tmp_path / "kaggle", GOOD), SourceOptions(images=tmp_path)))
