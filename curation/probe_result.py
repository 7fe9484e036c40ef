"""What a probe found: how far steps moved when image or report was exchanged, and how far beyond chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from ..data.statistics import bootstrap, by_patient
from ..schemas.trace import Trace
from ..validators.findings import claims
from .auditing.measures import words
from .requests.tally import Tally

Arm = Literal["again", "other_report", "other_image", "blank_image"]


ARMS: tuple[Arm, ...] = ("again", "other_report", "other_image", "blank_image")


_ROUNDS = 2_000


class MeanInterval(NamedTuple):
    """A mean over studies, with its 95 % bootstrap interval over patients; bounds None for fewer than two patients."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Moved:
    """How far one study's steps moved in one arm, each from 0 (nothing) to 1 (everything)."""

    study_id: str
    patient: str
    arm: Arm
    words: float  # 1 minus the Dice index of a step's words, mean over the steps
    claims: float  # 1 minus the Jaccard index of (finding, status, side) over all steps


@dataclass
class Probe:
    """The result of a probe."""

    teacher: str
    sees_images: bool
    chosen: int
    moved: list[Moved]
    tally: Tally

    def arms(self) -> dict[Arm, dict[str, Any]]:
        """For each arm: studies, how far words and claims moved, and how much farther than by chance."""
        found: dict[Arm, dict[str, Any]] = {}
        again = {one.study_id: one for one in self.moved if one.arm == "again"}
        for arm in ARMS:
            mine = [one for one in self.moved if one.arm == arm]
            if not mine:
                continue
            found[arm] = {"studies": len(mine)}
            for name in ("words", "claims"):
                found[arm][name] = mean_over_patients([(one.patient, getattr(one, name)) for one in mine])._asdict()
                if arm != "again":
                    pairs = [
                        (one.patient, getattr(one, name) - getattr(again[one.study_id], name))
                        for one in mine
                        if one.study_id in again
                    ]
                    found[arm][f"{name}_beyond_chance"] = mean_over_patients(pairs)._asdict() if pairs else None
        return found

    def as_dict(self) -> dict[str, Any]:
        """probe.json."""
        return {
            "teacher": self.teacher,
            "sees_images": self.sees_images,
            "studies": self.chosen,
            "arms": self.arms(),
            "asked": self.tally.asked,
            "recalled": self.tally.recalled,
            "no_answer": self.tally.unknown + self.tally.failed + self.tally.refused,
            "spend_usd": self.tally.spend_usd,
            "ended": self.tally.ended,
            "reading": self.reading(),
        }

    def reading(self) -> list[str]:
        """What the numbers say, in sentences."""
        arms = self.arms()
        said = []
        if not self.sees_images:
            said.append("The teacher sees no image: whatever its steps say comes from the report.")
        changes: tuple[tuple[Arm, str], ...] = (
            ("other_report", "the report"),
            ("other_image", "the image"),
            ("blank_image", "the image"),
        )
        for arm, what in changes:
            beyond = (arms.get(arm) or {}).get("claims_beyond_chance")
            if beyond is None or beyond["low"] is None:
                continue
            changed = "is replaced by grey" if arm == "blank_image" else "is another patient's"
            if beyond["low"] > 0:
                said.append(f"What the steps claim moves when {what} {changed}: by {beyond['mean']:.0%} beyond chance.")
            else:
                said.append(f"It is not shown that what the steps claim moves when {what} {changed}.")
        return said


def words_moved(one: Trace, other: Trace) -> float:
    """Step by step; a step that the other lacks has moved altogether."""
    count = max(len(one.steps), len(other.steps))
    both = zip(one.texts, other.texts, strict=False)
    alike = sum(_dice(set(words(first)), set(words(second))) for first, second in both)
    return 1 - alike / count if count else 0.0


def _dice(one: set[str], other: set[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one or other else 1.0


def claims_moved(one: Trace, other: Trace) -> float:
    first, second = (
        {(claim.finding, claim.status, claim.side) for text in trace.texts for claim in claims(text)}
        for trace in (one, other)
    )
    return 1 - len(first & second) / len(first | second) if first | second else 0.0


def mean_over_patients(values: Sequence[tuple[str, float]]) -> MeanInterval:
    """The mean, and the percentiles of means over patients drawn with replacement."""
    sums = by_patient(np.array([[value, 1.0] for _, value in values]), [patient for patient, _ in values])
    bounds = bootstrap(sums, lambda drawn: drawn[:, 0] / drawn[:, 1], rounds=_ROUNDS)
    return MeanInterval(float(sums[:, 0].sum() / sums[:, 1].sum()), *(bounds or (None, None)))
