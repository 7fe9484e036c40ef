"""A MIMIC-CXR and a CheXpert Plus to practise on, in the releases' layouts: chest phantoms, and every word ours.

    python -m tests.layouts.practice DIR

    DIR/mimic-cxr-2.1.0/        reports in mimic-cxr-reports.zip, lists of studies and records
    DIR/mimic-cxr-jpg-2.1.0/    JPEG images, and the tables of views, splits and labels
    DIR/chexpert-plus/          df_chexpert_plus_240401.csv, and PNG/

Beside the phantoms there are the seven odd studies of `mimic.py`, and CheXpert rows with what the real table is known
for: a row without its image, and one without a report.
"""

import io
import sys
from pathlib import Path

from tenstep.data.demo.phantom import phantom
from tenstep.data.demo.words import sections

from . import chexpert, mimic

MIMIC, CHEXPERT = 480, 60  # studies
_PER_PATIENT = 2
_CHEXPERT_SEED = 50_000  # of the first CheXpert phantom


def write(root: Path) -> None:
    """Write the three folders under `root`."""
    studies = (*map(_mimic_study, range(MIMIC)), *mimic.STUDIES)
    mimic.build(root / "mimic-cxr-2.1.0", studies, archive=True, tables=False, suffix=None)
    jpg = mimic.build(root / "mimic-cxr-jpg-2.1.0", studies, archive=True, lists=False, pixels=_mimic_image)
    (jpg / "mimic-cxr-reports.zip").unlink()  # that release has none
    rows = [_chexpert_row(number) for number in range(CHEXPERT)]
    no_image, no_report = chexpert.row(90), chexpert.row(91, section_findings="", section_impression="", report="")
    for number, row in enumerate([*rows, no_report]):
        file = (root / "chexpert-plus" / "PNG" / row["path_to_image"]).with_suffix(".png")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_bytes(_CHEXPERT_SEED + number, "PNG"))
    chexpert.write(root / "chexpert-plus" / "df_chexpert_plus_240401.csv", [*rows, no_image, no_report])


def _mimic_study(number: int) -> mimic.Made:
    patient = number // _PER_PATIENT
    parts = sections(phantom(number, 8)[1])
    text = mimic.report(
        " EXAMINATION:  CHEST RADIOGRAPH",
        " INDICATION:  ___ year old patient with cough.",
        f" TECHNIQUE:  {parts['technique']}",
        f" FINDINGS: \n \n {parts['findings']}",
        f" IMPRESSION: \n \n {parts['impression']}",
    )
    split = "test" if patient % 10 == 3 else "validate" if patient % 20 == 7 else "train"
    return mimic.Made(str(12_000_000 + patient), str(52_000_000 + number), text, (phantom(number, 8)[1].view,), split)


def _mimic_image(made: mimic.Made, number: int) -> bytes:
    seed = int(made.study) - 52_000_000
    return _bytes(seed, "JPEG") if 0 <= seed < MIMIC else mimic.film(int(made.study) + number)


def _chexpert_row(number: int) -> dict[str, str]:
    truth = phantom(_CHEXPERT_SEED + number, 8)[1]
    parts = sections(truth)
    row = chexpert.row(
        100 + number // _PER_PATIENT,
        1 + number % _PER_PATIENT,
        split="valid" if number >= CHEXPERT - 6 else "train",
        ap_pa=truth.view,
        section_technique=f" {parts['technique']}",
        section_findings=f"\n{parts['findings']}",
        section_impression=f"\n{parts['impression']}\n\n",
    )
    return {name: cell.replace("CHEST 2 VIEWS", "CHEST RADIOGRAPH") for name, cell in row.items()}


def _bytes(seed: int, form: str) -> bytes:
    stream = io.BytesIO()
    phantom(seed)[0].save(stream, form)
    return stream.getvalue()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
