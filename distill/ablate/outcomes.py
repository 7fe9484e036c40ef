"""What each arm's student did, study by study: accepted or not, which of the reference's findings it asserts.

Findings are the 14 labels (evaluate/labels.py), read in the steps and in the report separately: a student copies what
it was shown, so wrong steps do not show in the report that follows them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...data.run import RunFolder
from ...schemas.study import Study
from ...validators.findings.reference import abnormal
from ...validators.grounding import reference_of
from ...validators.samples import well_formed
from ..evaluate.finding_f1 import positive
from ..evaluate.labels import LABELS
from ..evaluate.measure import Floats
from ..sampled import agreeing_claims

FEWEST = 5  # studies with (or without) a label, below which its figure says nothing
STEPS, REPORT = "steps", "report"


class Outcomes(NamedTuple):
    """Figures of one student on the unseen studies; each is an array of numerators and denominators, (studies, 2)."""

    studies: tuple[str, ...]
    patients: tuple[str, ...]
    figures: dict[str, Floats]


def outcomes(folder: Path, *, steps: bool) -> Outcomes:
    """Read a sampling run with one answer a study.

    Args:
        folder: the run.
        steps: whether the prompt asked for steps.
    """
    with RunFolder.read(folder) as run:
        judged = sorted(run.judged(), key=lambda one: one.candidate.study_id)
        studies = [run.studies.get(one.candidate.study_id) for one in judged]
    rows: dict[str, list[tuple[float, float]]] = {"accepted": [], "well-formed": []}
    answered: dict[str, list[list[bool]]] = {STEPS: [], REPORT: []}
    if steps:
        rows["findings asserted in steps"] = []
    for (candidate, verdict), study in zip(judged, studies, strict=True):
        rows["accepted"].append((verdict.accepted, 1))
        rows["well-formed"].append((well_formed(verdict), 1))
        trace = candidate.trace
        if steps:
            wanted = sum(1 for _ in abnormal(reference_of(study)))
            found = agreeing_claims(study, candidate) if trace is not None else 0
            rows["findings asserted in steps"].append((found, wanted))
            answered[STEPS].append(positive("\n".join(trace.texts) if trace is not None else ""))
        answered[REPORT].append(positive((trace.report if trace is not None else None) or ""))
    figures = {name: np.array(values, dtype=np.float64).reshape(-1, 2) for name, values in rows.items()}
    for part, labels in answered.items():
        figures |= _by_label(studies, np.array(labels, dtype=np.bool_), part) if labels else {}
    ids = tuple(study.id for study in studies)
    return Outcomes(ids, tuple(f"{study.source}/{study.patient_id}" for study in studies), figures)


def _by_label(studies: Sequence[Study], found: np.ndarray, part: str) -> dict[str, Floats]:
    """Sensitivity and specificity of each label that enough references have, and enough have not."""
    wanted = np.array([positive(study.report) for study in studies], dtype=np.bool_)
    figures = {}
    for at, label in enumerate(LABELS):
        has, lacks = wanted[:, at], ~wanted[:, at]
        if label == "No Finding" or has.sum() < FEWEST or lacks.sum() < FEWEST:
            continue
        figures[f"{label} seen, {part}"] = np.stack([has & found[:, at], has], axis=1).astype(np.float64)
        figures[f"{label} rightly absent, {part}"] = np.stack([lacks & ~found[:, at], lacks], axis=1).astype(np.float64)
    return figures
