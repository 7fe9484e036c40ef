"""A MIMIC-CXR and a CheXpert Plus to practise on, in the releases' layouts: chest phantoms, and every word ours.

    python -m tests.layouts.practice DIR

    DIR/mimic-cxr-2.1.0/        reports in mimic-cxr-reports.zip, lists of studies and records
    DIR/mimic-cxr-jpg-2.1.0/    JPEG images, and the tables of views, splits and labels
    DIR/chexpert-plus/          df_chexpert_plus_240401.csv, and PNG/

Films are phantoms. Their reports also say things that no phantom shows: reports that are all alike could not be told
apart by what looks for copies. Beside them there are the seven odd studies of `mimic.py`, and two CheXpert rows as the
real table has them: one without its image, one without a report.
"""

import io
import random
import sys
from pathlib import Path

from tenstep.data.demo.phantom import phantom
from tenstep.data.demo.words import sections

from . import chexpert, mimic

MIMIC, CHEXPERT = 480, 60  # studies
_PER_PATIENT = 2
_CHEXPERT_SEED = 50_000  # of the first CheXpert phantom
_MORE = (
    ("The mediastinal contours are normal.", "The mediastinum is not widened.", "The aorta is not dilated.",
     "The mediastinal contours are unremarkable.", "The aorta is tortuous.", "The aortic arch is calcified."),
    ("There is no focal consolidation.", "There is no airspace opacity.", "No consolidation is seen.",
     "There is a calcified granuloma in the {side} {zone} lobe.", "There is scarring at the {side} apex.",
     "There is linear atelectasis at the {side} base.", "The lungs are hyperinflated.", "The lung volumes are low."),
    ("There is no interstitial edema.", "The pulmonary vasculature is normal.", "There is no vascular congestion.",
     "The hila are normal.", "The hilar contours are normal."),
    ("There is no acute fracture.", "The ribs are intact.", "The visualized bones are unremarkable.",
     "There is an old healed fracture of the {side} {rib} rib.", "The bones are demineralized.",
     "There is mild scoliosis of the thoracic spine.", "There are degenerative changes of the thoracic spine."),
)  # fmt: skip


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


def _sections(seed: int) -> dict[str, str]:
    """A phantom's report in parts, with four further sentences."""
    parts = sections(phantom(seed, 8)[1])
    draw = random.Random(seed)
    for choices in _MORE:
        words = {"side": ("left", "right"), "zone": ("upper", "lower"), "rib": ("fourth", "fifth", "sixth", "seventh")}
        chosen = {name: draw.choice(values) for name, values in words.items()}
        parts["findings"] += f" {draw.choice(choices).format(**chosen)}"
    return parts


def _mimic_study(number: int) -> mimic.Made:
    patient = number // _PER_PATIENT
    parts = _sections(number)
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
    parts = _sections(_CHEXPERT_SEED + number)
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
