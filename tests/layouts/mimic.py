"""A small MIMIC-CXR 2.1.0 with MIMIC-CXR-JPG 2.1.0 beside it, in the exact layouts; every word is ours.

Seven studies, each odd in its own way. `build` writes the tree; `STUDIES` says what is in it.
"""

import csv
import gzip
import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

BLANK = "\n \n"


class Made(NamedTuple):
    """One study: its report, and its images by view."""

    subject: str
    study: str
    text: str
    views: tuple[str, ...]
    split: str = "train"

    @property
    def folder(self) -> str:
        """`p10/p10000032`."""
        return f"p{self.subject[:2]}/p{self.subject}"

    def dicom(self, number: int) -> str:
        """A made-up id in the form of the real ones: 40 hexadecimal digits in 5 groups."""
        return "-".join([f"{int(self.study):08x}", *(f"{number:08x}",) * 4])


def report(*parts: str, title: str = " " * 33 + "FINAL REPORT") -> str:
    """A report as the files hold it: a title, then every header behind one blank."""
    return title + BLANK[:1] + BLANK.join(parts) + "\n"


TWO_VIEWS = report(
    " EXAMINATION:  CHEST (PA AND LAT)",
    " INDICATION:  ___ year old woman with cough  // rule out pneumonia",
    " TECHNIQUE:  Chest PA and lateral",
    " COMPARISON:  ___",
    " FINDINGS: \n \n The heart is normal in size.  The lungs are clear.\n No pleural effusion.",
    " IMPRESSION: \n \n No acute process.",
)
PORTABLE = report(
    " HISTORY:  ___M with fever.",
    " FINDINGS:  AP portable view of the chest.  A small left effusion.",
    " FINDINGS:  Small left pleural effusion.",  # of two alike the last counts
    " IMPRESSON:  Small effusion.",  # a spelling that the official rules know
)
NO_HEADERS = "The lungs are clear.\n There is no effusion.\n"
PARAGRAPHS = report(" COMPARISON:  None." + BLANK + " The lungs are clear.  The heart is not enlarged.")
WINDOWS = TWO_VIEWS.replace("\n", "\r\n")
BY_HAND = report(" INDICATION:  Fall.", " RECOMMENDATION(S):  The left effusion has grown; follow it up.")
NOTHING = report(" INDICATION:  Line placement.", " TECHNIQUE:  No image was taken.")

STUDIES = (
    Made("10000032", "50414267", TWO_VIEWS, ("PA", "LATERAL")),
    Made("10000032", "53189527", PORTABLE, ("AP",)),
    Made("10000764", "57375967", NO_HEADERS, ("PA",), "validate"),
    Made("11000011", "51000011", PARAGRAPHS, ("",)),
    Made("11000011", "51000012", WINDOWS, ("PA", "LL"), "test"),
    Made("11851243", "50913680", BY_HAND, ("AP",)),
    Made("11573679", "58235663", NOTHING, ("AP",)),
)

METADATA = (
    "dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows", "Columns",
    "StudyDate", "StudyTime", "ProcedureCodeSequence_CodeMeaning", "ViewCodeSequence_CodeMeaning",
    "PatientOrientationCodeSequence_CodeMeaning",
)  # fmt: skip
LABELS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture", "Lung Lesion",
    "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia", "Pneumothorax", "Support Devices",
)  # fmt: skip


def table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], *, zipped: bool) -> Path:
    """A CSV, or its .gz."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    data = text.getvalue().encode()
    file = path.with_name(path.name + ".gz") if zipped else path
    file.write_bytes(gzip.compress(data) if zipped else data)
    return file


def build(
    root: Path,
    studies: Sequence[Made] = STUDIES,
    *,
    archive: bool = False,
    lists: bool = True,
    tables: bool = True,
    zipped: bool = True,
    suffix: str | None = ".jpg",
    pixels: "Callable[[Made, int], bytes] | None" = None,
) -> Path:
    """Write the tree under `root`.

    Args:
        root: a new folder.
        studies: what to write.
        archive: reports in mimic-cxr-reports.zip instead of files/.
        lists: with cxr-study-list and cxr-record-list.
        tables: with the tables of MIMIC-CXR-JPG.
        zipped: lists and tables as .csv.gz.
        suffix: of the images; none: no images.
        pixels: the bytes of a study's image by its number; noise if not given.
    """
    root.mkdir(parents=True, exist_ok=True)
    if archive:
        with zipfile.ZipFile(root / "mimic-cxr-reports.zip", "w", zipfile.ZIP_DEFLATED) as file:
            for made in studies:
                file.writestr(f"files/{made.folder}/s{made.study}.txt", made.text)
    for made in studies:
        patient = root / "files" / made.folder
        patient.mkdir(parents=True, exist_ok=True)
        if not archive:
            (patient / f"s{made.study}.txt").write_bytes(made.text.encode())
        for number, _ in enumerate(made.views if suffix else ()):
            place = patient / f"s{made.study}" / f"{made.dicom(number)}{suffix}"
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(pixels(made, number) if pixels else film(int(made.study) + number, suffix or ""))
    images = [(made, number, view) for made in studies for number, view in enumerate(made.views)]
    if lists:
        rows = [(m.subject, m.study, f"files/{m.folder}/s{m.study}.txt") for m in studies]
        table(root / "cxr-study-list.csv", ("subject_id", "study_id", "path"), rows, zipped=zipped)
        records = [
            (m.subject, m.study, m.dicom(n), f"files/{m.folder}/s{m.study}/{m.dicom(n)}.dcm") for m, n, _ in images
        ]
        table(root / "cxr-record-list.csv", ("subject_id", "study_id", "dicom_id", "path"), records, zipped=zipped)
    if tables:
        name = "mimic-cxr-2.0.0"
        rows_of = [
            (m.dicom(n), m.subject, m.study, "CHEST (PA AND LAT)", v, "3056", "2544", "21800506", "001302.7",
             "CHEST (PA AND LAT)", {"PA": "postero-anterior", "AP": "antero-posterior"}.get(v, ""), "Erect")
            for m, n, v in images
        ]  # fmt: skip
        table(root / f"{name}-metadata.csv", METADATA, rows_of, zipped=zipped)
        splits = [(m.dicom(n), m.study, m.subject, m.split) for m, n, _ in images]
        table(root / f"{name}-split.csv", ("dicom_id", "study_id", "subject_id", "split"), splits, zipped=zipped)
        labels = [(m.subject, m.study, "1.0", "0.0", "-1.0", *[""] * 11) for m in studies[:-1]]  # the last has none
        table(root / f"{name}-chexpert.csv", ("subject_id", "study_id", *LABELS), labels, zipped=zipped)
    return root


def film(seed: int, suffix: str = ".jpg", size: tuple[int, int] = (40, 48)) -> bytes:
    """Noise that differs from seed to seed, as a small image file; `.dcm` is 16-bit MONOCHROME1."""
    noise = np.random.default_rng(seed).integers(0, 255, size=(size[1], size[0]), dtype=np.uint8)
    if suffix == ".dcm":
        return dicom(noise.astype(np.uint16) * 16)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, {".jpg": "JPEG", ".png": "PNG"}[suffix])
    return stream.getvalue()


def dicom(pixels: np.ndarray, *, part: str = "CHEST", view: str = "AP") -> bytes:
    """A DICOM file in MONOCHROME1."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 16, 12, 11
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = 0, "MONOCHROME1"
    dataset.BodyPartExamined, dataset.ViewPosition = part, view
    dataset.PixelData = pixels.astype("<u2").tobytes()
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
