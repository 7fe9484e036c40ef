"""Folders: `<id>/image.*` and `<id>/report.txt`, plain or with steps."""

import gzip
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from tenstep.data.source import Row, SourceOptions, SourceTrace, SourceWarning, load
from tenstep.schemas.errors import InputError
from tenstep.schemas.layout import write
from tenstep.schemas.study import RejectedRow, Study

read = load("folders").read

REPORT = "Technique: PA.\nView: PA\nFindings: Clear.\nImpression: Normal."


@pytest.fixture
def folder(tmp_path: Path, png: bytes) -> Path:
    """One good study, named a."""
    add(tmp_path / "studies", "a", REPORT.encode() + b"\n", png)
    return tmp_path / "studies"


def add(root: Path, name: str, report: bytes | None, image: bytes | None) -> None:
    (root / name).mkdir(parents=True)
    if report is not None:
        (root / name / "report.txt").write_bytes(report)
    if image is not None:
        (root / name / "image.png").write_bytes(image)


def studies(rows: Iterable[Row]) -> list[Study]:
    return [row for row in rows if isinstance(row, Study)]


def reasons(rows: Iterable[Row]) -> dict[str, str]:
    return {row.row: row.reason for row in rows if isinstance(row, RejectedRow)}


def test_a_folder_is_a_study(folder: Path) -> None:
    (study,) = read(folder, SourceOptions(data_class="public"))
    assert isinstance(study, Study)
    assert (study.id, study.patient_id, study.data_class) == ("folders/a", "folders/a", "public")
    assert (study.report, study.report_form) == (REPORT, "verbatim")
    assert [ref.path for ref in study.images] == [str(folder / "a" / "image.png")]
    assert study.views == ("PA",)
    assert study.sections.impression == "Normal."


def test_data_of_unknown_origin_is_restricted(folder: Path) -> None:
    assert studies(read(folder, SourceOptions()))[0].data_class == "restricted"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_only_the_line_end_that_closes_the_file_is_taken_off(folder: Path, end: bytes) -> None:
    report = "  Findings:\r\n\r\nClear.\t"
    (folder / "a" / "report.txt").write_bytes(b"\xef\xbb\xbf" + report.encode() + end)
    assert studies(read(folder, SourceOptions()))[0].report == report


def test_the_four_header_form_composes_what_is_not_in_it(folder: Path) -> None:
    (folder / "a" / "report.txt").write_text("FINDINGS: Clear.\nIMPRESSION: Normal.")
    (study,) = studies(read(folder, SourceOptions(form="four-header")))
    assert study.report == "Technique: Chest radiograph.\nView: unknown\nFindings: Clear.\nImpression: Normal."
    (folder / "a" / "report.txt").write_text("Clear lungs.")
    assert reasons(read(folder, SourceOptions(form="four-header"))) == {"a": "no_findings"}


@pytest.mark.parametrize("layout", ["plain", "tagged"])
def test_steps_are_kept_for_the_audit_and_the_report_is_the_reference(folder: Path, layout: str) -> None:
    steps = [f"Step {n}." for n in range(10)]
    text = write(steps, REPORT, "plain" if layout == "plain" else "tagged")
    (folder / "a" / "report.txt").write_text(text)
    study, warning, trace = read(folder, SourceOptions())
    assert isinstance(warning, SourceWarning) and warning.code == "steps_taken_off"
    assert isinstance(study, Study)
    assert study.report == REPORT
    assert trace == SourceTrace(id="folders/a", text=text, reference_report=REPORT, views=("PA",))


def test_text_only_opens_no_image(folder: Path) -> None:
    (folder / "a" / "image.png").write_bytes(b"not an image")
    add(folder, "b", REPORT.encode(), None)
    assert [study.images for study in studies(read(folder, SourceOptions(text_only=True)))] == [(), ()]


def test_several_images_belong_to_one_study(folder: Path, png: bytes) -> None:
    (folder / "a" / "image.PNG").write_bytes(png)
    assert len(studies(read(folder, SourceOptions()))[0].images) == 2


def test_each_bad_folder_is_named_and_the_rest_goes_on(folder: Path, png: bytes, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text(REPORT)
    report = REPORT.encode()
    add(folder, "b-no-report", None, png)
    add(folder, "c-empty-report", b"\xef\xbb\xbf \n", png)
    add(folder, "d-no-image", report, None)
    add(folder, "e-broken-image", report, png[:60])
    add(folder, "f-latin-1", "Erguß".encode("latin-1"), png)
    add(folder, "g-long", b"a" * 5_000_000, png)
    add(folder, "h-link", None, png)
    (folder / "h-link" / "report.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "i-file").touch()
    (folder / ".DS_Store").touch()
    (folder / "j-link").symlink_to(tmp_path)
    add(folder, "k" * 201, report, png)
    rows = list(read(folder, SourceOptions()))
    assert len(studies(rows)) == 1
    assert reasons(rows) == {
        "b-no-report": "no_report",
        "c-empty-report": "empty_report",
        "d-no-image": "no_image",
        "e-broken-image": "unreadable_image",
        "f-latin-1": "bad_encoding",
        "g-long": "long_report",
        "h-link": "outside_folder",
        "i-file": "not_a_folder",
        "j-link": "outside_folder",
        "k" * 201: "bad_id",
    }


def test_what_holds_no_studies_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "absent", "no such folder"),
        (folder / "a" / "report.txt", "not a folder"),
        (tmp_path / "empty", "the folder is empty"),
        (folder / "a", "folder of one study"),
    ):
        with pytest.raises(InputError, match=message):
            list(read(path, SourceOptions()))


def test_films_of_any_name_are_the_studys_and_say_their_view(folder: Path, png: bytes) -> None:
    (folder / "a" / "image.png").unlink()
    for name in ("frontal.png", "lateral.png", "image_1.PNG", ".hidden.png", "pa_view.png"):
        (folder / "a" / name).write_bytes(png)
    (folder / "a" / "notes.txt").touch()
    (study,) = (row for row in read(folder, SourceOptions()) if isinstance(row, Study))
    assert [(Path(ref.path).name, ref.view) for ref in study.images] == [
        ("frontal.png", "frontal"),
        ("image_1.PNG", "unknown"),
        ("lateral.png", "lateral"),
        ("pa_view.png", "PA"),
    ]


def test_a_gzipped_report_is_read(folder: Path) -> None:
    report = folder / "a" / "report.txt"
    (folder / "a" / "report.txt.gz").write_bytes(gzip.compress(report.read_bytes()))
    report.unlink()
    assert [row.report for row in read(folder, SourceOptions()) if isinstance(row, Study)] == [REPORT]


def test_a_mapping_says_which_studies_share_a_patient(folder: Path) -> None:
    shutil.copytree(folder / "a", folder / "b")
    shutil.copytree(folder / "a", folder / "c")
    (folder / "patients.csv").write_text("id,patient_id,split\n\ufeffa ,7.0,train\nb,7,train\nz,8,test\n")
    rows = list(read(folder, SourceOptions()))
    found = {row.id: (row.patient_id, row.split) for row in rows if isinstance(row, Study)}
    assert found == {
        "folders/a": ("folders/7", "train"),
        "folders/b": ("folders/7", "train"),
        "folders/c": ("folders/c", None),
    }
    assert [(row.study_id, row.code) for row in rows if isinstance(row, SourceWarning)] == [("folders/c", "no_patient")]
    assert [row.detail for row in rows if isinstance(row, RejectedRow)] == ["there is no folder 'z'"]


def test_a_mapping_that_names_no_study_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,patient_id\nx,1\ny,2\n")
    with pytest.raises(InputError, match=r"none of its 2 ids \(the first: 'x'\)"):
        list(read(folder, SourceOptions(patients=tmp_path / "p.csv")))


@pytest.mark.parametrize("rows", ["a,1\na,2\n", "a,1\n\ufeffa ,2\n"])
def test_a_mapping_that_contradicts_itself_is_refused(rows: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(f"id,patient_id\n{rows}")
    with pytest.raises(InputError, match="otherwise"):
        list(read(folder, SourceOptions(patients=tmp_path / "p.csv")))
