"""Made-up CheXpert Plus tables of any size, seeded: the release's columns, every word ours."""

import csv
import random
from pathlib import Path

COLUMNS = (
    "path_to_image", "path_to_dcm", "frontal_lateral", "ap_pa", "deid_patient_id", "patient_report_date_order",
    "report", "section_narrative", "section_clinical_history", "section_history", "section_comparison",
    "section_technique", "section_procedure_comments", "section_findings", "section_impression",
    "section_end_of_impression", "section_summary", "section_accession_number", "age", "sex", "race", "ethnicity",
    "interpreter_needed", "insurance_type", "recent_bmi", "deceased", "split",
)  # fmt: skip
_WHERE = ("left lower lobe", "right base", "left apex", "right middle lobe", "both bases", "right costophrenic angle")
_WHAT = ("opacity", "effusion", "pneumothorax", "atelectasis", "nodule", "consolidation", "scarring", "thickening")
_HOW = ("A small", "No", "A moderate", "Unchanged", "New", "Resolved", "Subtle", "A large")
_ENDS = (
    "The heart is normal in size.",
    "The mediastinum is not widened.",
    "A central line ends in the upper vena cava.",
    "No free air under the diaphragm.",
    "Old healed rib fractures on the left.",
    "The trachea is in the midline.",
)


def sentences(rng: random.Random, count: int) -> str:
    """Sentences of a findings section."""
    told = [
        f"{rng.choice(_HOW)} {rng.choice(_WHAT)} in the {rng.choice(_WHERE)}."
        if rng.random() < 0.7
        else rng.choice(_ENDS)
        for _ in range(count)
    ]
    return "  ".join(told)


def write_table(path: Path, rows: int, seed: int = 0) -> Path:
    """Write a table of `rows` studies of one image each, some 1.8 kB a row; one in fifty lacks its findings."""
    rng = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for number in range(rows):
            patient, study = f"patient{number // 4:05}", f"study{number % 4 + 1}"
            findings = "" if rng.random() < 0.02 else f"\n{sentences(rng, rng.randrange(4, 9))}"
            impression = f"\n1.  {sentences(rng, 1)}\n2.  {sentences(rng, 1)}\n"
            history = f" {rng.randrange(18, 95)}-year-old {rng.choice(('male', 'female'))} with cough."
            lateral = rng.random() < 0.15
            name = f"train/{patient}/{study}/view1_{'lateral' if lateral else 'frontal'}"
            writer.writerow(
                {
                    "path_to_image": f"{name}.jpg",
                    "path_to_dcm": f"{name}.dcm",
                    "frontal_lateral": "Lateral" if lateral else "Frontal",
                    "ap_pa": "" if lateral else rng.choice(("AP", "AP", "PA")),
                    "deid_patient_id": patient,
                    "patient_report_date_order": number % 4 + 1,
                    "report": f"NARRATIVE:\nCHEST 1 VIEW\n\nCLINICAL HISTORY:{history}\n\nCOMPARISON: None.\n\n"
                    f"FINDINGS:{findings}\n\nIMPRESSION:{impression}\nEND OF IMPRESSION:\n",
                    "section_narrative": "\nCHEST 1 VIEW",
                    "section_clinical_history": history,
                    "section_comparison": " None.",
                    "section_findings": findings,
                    "section_impression": f"{impression}I have personally reviewed the images for this examination.",
                    "age": f"{rng.uniform(18, 95):.1f}",
                    "sex": "Female",
                    "split": "train",
                }
            )
    return path
