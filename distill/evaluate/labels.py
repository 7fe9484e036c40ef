"""The 14 labels of CheXpert, the five that matter most, and F1 over them. Where labels come from is not known here.

F1 follows the field: a label that is uncertain counts as positive; macro is the plain mean over labels, in which a
label that no text has counts as 0. So the macro figure of a small set is low, and only comparable on the same set.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .measure import Floats, Measure, mean, ratio

LABELS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "No Finding",
)
SENSITIVITY, SPECIFICITY = " sensitivity", " specificity"
FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
_AT = tuple(LABELS.index(name) for name in FIVE)
_ALL = tuple(range(len(LABELS)))

Positive = NDArray[np.bool_]  # shape (texts, 14)


def f1_measures(
    name: str,
    hypotheses: Positive,
    references: Positive,
    implementation: tuple[str, str, str],
    remarks: tuple[str, ...] = (),
) -> list[Measure]:
    """Micro and macro F1 over all 14 and over the five, then F1, sensitivity and specificity of each label.

    Args:
        name: of the family, e.g. CheXbert-F1.
        hypotheses, references: which labels are positive, shape (pairs, 14).
        implementation: its name, version and preprocessing.
        remarks: see Measure.
    """
    stats = np.concatenate([hypotheses & references, hypotheses & ~references, ~hypotheses & references], axis=1)
    counts = stats.astype(np.float64)
    found = [
        Measure(f"{name}-{len(chosen)} {kind}", *implementation, counts, partial(value, chosen), remarks=remarks)
        for chosen in (_ALL, _AT)
        for kind, value in (("micro", _micro), ("macro", _macro))
    ]
    for at, label in enumerate(LABELS):
        own = counts[:, [at, at + len(LABELS), at + 2 * len(LABELS)]]
        found.append(Measure(f"{name} {label}", *implementation, own, _f1, label=label))
        has, says = references[:, at], hypotheses[:, at]
        for kind, of, right in ((SENSITIVITY, has, says), (SPECIFICITY, ~has, ~says)):
            both = np.stack([of & right, of], axis=1).astype(np.float64)
            found.append(Measure(f"{name} {label}{kind}", *implementation, both, mean, label=label))
    return found


def _f1(sums: Floats) -> Floats:
    right, extra, missed = sums[..., 0], sums[..., 1], sums[..., 2]
    return ratio(2 * right, 2 * right + extra + missed)


def _counts(chosen: Sequence[int], sums: Floats) -> Floats:
    """True positives, false positives and false negatives of the chosen labels, shape (3, ..., chosen)."""
    return np.stack([sums[..., [at + shift for at in chosen]] for shift in (0, len(LABELS), 2 * len(LABELS))])


def _micro(chosen: Sequence[int], sums: Floats) -> Floats:
    right, extra, missed = _counts(chosen, sums).sum(axis=-1)
    return ratio(2 * right, 2 * right + extra + missed)


def _macro(chosen: Sequence[int], sums: Floats) -> Floats:
    right, extra, missed = _counts(chosen, sums)
    result: Floats = ratio(2 * right, 2 * right + extra + missed).mean(axis=-1)
    return result
