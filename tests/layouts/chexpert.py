"""A small CheXpert Plus table in the release's columns, every word ours, with what the real one is known for."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from .mimic import film

COLUMNS = (
    "path_to_image", "path_to_dcm", "frontal_lateral", "ap_pa", "deid_patient_id", "patient_report_date_order",
    "report", "section_narrative", "section_clinical_history", "section_history", "section_comparison",
    "section_technique", "section_procedure_comments", "section_findings", "section_impression",
    "section_end_of_impression", "section_summary", "section_accession_number", "age", "sex", "race", "ethnicity",
    "interpreter_needed", "insurance_type", "recent_bmi", "deceased", "split",
)  # fmt: skip
DEMOGRAPHICS = {
    "age": "61.5", "sex": "Female", "race": "canary-race", "ethnicity": "canary-ethnicity", "interpreter_needed": "No",
    "insurance_type": "canary-insurance", "recent_bmi": "31.7", "deceased": "Yes",
}  # fmt: skip
FINDINGS = "\nThe lungs are clear.  No pleural effusion."
IMPRESSION = "\n1.  No acute disease of the chest.\n\n"


def row(patient: int = 1, study: int = 1, view: int = 1, plane: str = "frontal", **cells: str) -> dict[str, str]:
    """One image's row; `cells` replace what it would say."""
    split = cells.pop("split", "train")
    findings, impression = cells.pop("section_findings", FINDINGS), cells.pop("section_impression", IMPRESSION)
    stem = f"{split}/patient{patient:05}/study{study}/view{view}_{plane}"
    report = (
        f"NARRATIVE:\nCHEST 2 VIEWS\n\nCLINICAL HISTORY: 61-year-old female with cough.\n\nFINDINGS:{findings}\n\n"
        f"IMPRESSION:{impression}END OF IMPRESSION\nSUMMARY 1: NO SIGNIFICANT ABNORMALITY\n\n"
        "I have personally reviewed the images for this examination and agree with this text.\n"
    )
    return {
        "path_to_image": f"{stem}.jpg",
        "path_to_dcm": f"{stem}.dcm",
        "frontal_lateral": plane.capitalize(),
        "ap_pa": "PA" if plane == "frontal" else "",
        "deid_patient_id": f"patient{patient:05}",
        "patient_report_date_order": str(study),
        "report": report,
        "section_narrative": "\nCHEST 2 VIEWS",
        "section_clinical_history": " 61-year-old female with cough.",
        "section_findings": findings,
        "section_impression": impression and f"{impression}I have personally reviewed the images for this examination.",
        "section_end_of_impression": "\nSUMMARY 1: NO SIGNIFICANT ABNORMALITY",
        "section_summary": "1: NO SIGNIFICANT ABNORMALITY",
        "split": split,
        **DEMOGRAPHICS,
    } | cells


def write(path: Path, rows: Sequence[dict[str, str]], *, index: bool = False, end: str = "\n") -> Path:
    """Write the table, perhaps with its unnamed first column."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end)
    writer.writerow([*([""] if index else []), *COLUMNS])
    for number, cells in enumerate(rows):
        writer.writerow([*([str(number)] if index else []), *(cells.get(column, "") for column in COLUMNS)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.getvalue().encode())
    return path


def images(root: Path, rows: Sequence[dict[str, str]], suffix: str = ".png") -> Path:
    """Write the rows' images under `root`."""
    for number, cells in enumerate(rows):
        file = (root / cells["path_to_image"]).with_suffix(suffix)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(film(number, suffix))
    return root
