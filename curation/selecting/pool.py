"""The pool: what is known of every accepted example while a small set is chosen from them.

A row keeps no example, only what the stages ask for, so that a pool of hundreds of thousands fits into memory. Its id
is a hash of what a student would see, so that rows have an order that depends on neither files nor clocks.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ...data.ids import patient_key
from ...data.similarity import Signature
from ...schemas.example import Example
from ...schemas.views import view_kinds
from ...validators.findings import claims
from .quality import quality


@dataclass(slots=True)
class PoolExample:
    """One accepted example of the pool."""

    id: str  # content hash
    run: int
    key: str
    study_id: str
    patient: tuple[str, str]
    source: str
    views: tuple[str, ...]
    quality: tuple[float, ...]  # lower is better (quality.py)
    text: str
    report: str
    findings: tuple[str, ...] = ()  # present in the reference, sorted
    difficulty: float = 0.0
    why: str = ""  # of the difficulty
    signature: Signature | None = field(default=None, compare=False)  # of the text (data/similarity.py)

    @property
    def normal(self) -> bool:
        """Whether the reference asserts no finding and no device."""
        return not self.findings

    @property
    def groups(self) -> tuple[str, ...]:
        """What caps and minimums count."""
        return (
            f"normality:{'normal' if self.normal else 'abnormal'}",
            f"source:{self.source}",
            *(f"view:{view}" for view in self.views),
            *(f"finding:{name}" for name in self.findings),
        )

    @property
    def stratum(self) -> tuple[str, ...]:
        """Stages shorten each stratum alike, so that none of them decides the mix."""
        return ("normal" if self.normal else "abnormal", self.source, *self.views)


def content_id(example: Example) -> str:
    """Hash of what a student would see and write: images, steps, report."""
    digest = hashlib.sha256()
    for part in (*(image.sha256 for image in example.study.images), example.study.id, example.target):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def row_of(number: int, example: Example) -> PoolExample:
    """The row of an accepted example of run `number`; its findings and difficulty are not known yet."""
    study = example.study
    return PoolExample(
        id=content_id(example),
        run=number,
        key=example.provenance.key,
        study_id=study.id,
        patient=(study.source, patient_key(study.patient_id)),
        source=study.source,
        views=_views(study.views or tuple(image.view for image in study.images)),
        quality=quality(example.provenance),
        text=example.target,
        report=study.report,
    )


def present(report: str) -> tuple[str, ...]:
    """The findings and devices that a reference asserts as present."""
    return tuple(sorted({claim.finding for claim in claims(report) if claim.status == "present"}))


def _views(views: Iterable[str]) -> tuple[str, ...]:
    """Frontal, lateral, ... or unknown: sources spell views in too many ways to count them one by one."""
    kinds = {kind for view in views for kind in view_kinds(view)} - {"PA", "AP"}
    return tuple(sorted(kinds)) or ("unknown",)
