"""Contamination: what studies to learn from share with studies to be tested on, across stores, stages and sources.

    patient        the same patient                                   error
    study          the same study, in two splits                      error
    image          the same image file, byte for byte                 error
    patient_alike  the same patient id of another source              warning: two hospitals may both have a patient 17
    near_image     an image that differs in few bits of its hash      warning
    report         the same words                                     warning: short normal reports are often alike
    near_report    nearly the same words (MinHash)                    warning

Every pair is counted; of each kind the first thousand are listed.
"""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...schemas.study import ImageRef, Study
from ..executor import Executor, sure
from ..ids import native_key, patient_key
from ..processes import THIS_PROCESS
from ..similarity import Searched, Signature, band_keys, likeness
from .alike import NEAR_BITS, Hashes, Looks, distance, looks, stack

ERRORS = ("patient", "study", "image")
KINDS = (*ERRORS, "patient_alike", "near_image", "report", "near_report")
LISTED = 1000
_SOME = 2048


class SharedItem(NamedTuple):
    """Something that a study to learn from and a held-out one share."""

    kind: str
    train: str
    held: str
    detail: str


class Contamination(NamedTuple):
    """All that was found: how often, and the first of each kind."""

    counts: dict[str, int]
    pairs: tuple[SharedItem, ...]

    @property
    def contaminated(self) -> bool:
        """Whether a test would not be one."""
        return any(self.counts[kind] for kind in ERRORS)


class StudyInSplit(NamedTuple):
    """A study, where its images lie, and whether it is held out."""

    study: Study
    path_of: Callable[[ImageRef], Path]
    held: bool


def contamination(
    studies: Callable[[], Iterable[StudyInSplit]],
    *,
    similarity: float = 0.8,
    images: bool = False,
    executor: Executor = THIS_PROCESS,
    on_progress: Callable[[int], None] | None = None,
) -> Contamination:
    """Compare.

    Args:
        studies: gives all of them, twice.
        similarity: of near reports, the share of equal minima at least.
        images: open the images and compare how they look, too; else only their bytes' hashes are compared.
        executor: makes signatures and opens images (data/executor.py).
        on_progress: called with the number of studies that have been compared since the last time.

    Raises:
        RunError: a study cannot be compared.
    """
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    pairs: list[SharedItem] = []
    made = partial(looked, images=images, executor=executor)
    held = Held(made(one for one in studies() if one.held))
    others = made(one for one in studies() if not one.held)
    while some := list(islice(others, _SOME)):
        for pair in held.shared(some, similarity):
            if counts[pair.kind] < LISTED:
                pairs.append(pair)
            counts[pair.kind] += 1
        if on_progress is not None:
            on_progress(len(some))
    return Contamination(dict(counts), tuple(sorted(pairs, key=lambda pair: KINDS.index(pair.kind))))


def looked(
    ones: Iterable[StudyInSplit], *, images: bool = False, executor: Executor = THIS_PROCESS
) -> Iterator[tuple[Study, Looks]]:
    """Studies with what of them is compared; see `contamination`."""
    held: deque[Study] = deque()

    def asked() -> Iterator[tuple[str, tuple[Path, ...]]]:
        for study, path_of, _ in ones:
            held.append(study)
            yield study.report, tuple(path_of(ref) for ref in study.images) if images else ()

    for _, found in executor.map_rows(looks, asked(), _content):
        study = held.popleft()
        yield study, sure(found, f"study '{study.id}'")


def _content(asked: tuple[str, tuple[Path, ...]]) -> str:
    """The report, and its images as far as a glance tells whether they are the same."""
    report, places = asked
    return json.dumps([report, [(str(p), (s := p.stat()).st_size, s.st_mtime_ns) for p in places if p.exists()]])


class Held:
    """The held-out studies, ready to be searched."""

    def __init__(self, ones: Iterable[tuple[Study, Looks]]) -> None:
        self.ids: list[str] = []
        self.patients: dict[str, str] = {}
        self.natives: dict[str, str] = {}  # study by patient id without its source
        self.files: dict[str, str] = {}
        self.texts: dict[bytes, list[int]] = {}
        signatures: list[Signature] = []
        hashes: list[Hashes] = []
        self.pictured: list[str] = []
        for study, found in ones:
            self.texts.setdefault(found.text, []).append(len(self.ids))
            self.ids.append(study.id)
            self.patients.setdefault(patient_key(study.patient_id), study.id)
            self.natives.setdefault(native_key(study.patient_id), study.id)
            self.files.update((ref.sha256, study.id) for ref in study.images)
            signatures.append(found.signature)
            hashes += found.images
            self.pictured += [study.id] * len(found.images)
        self.known = set(self.ids)
        self.signatures, self.hashes = stack(signatures), stack(hashes)
        self.reports = Searched(band_keys(self.signatures)) if signatures else None
        self.images = Searched(self.hashes.astype(np.uint64)) if hashes else None

    def shared(self, some: Sequence[tuple[Study, Looks]], similarity: float) -> Iterator[SharedItem]:
        """What these share with the held-out ones."""
        same: set[tuple[int, int]] = set()
        for number, (study, found) in enumerate(some):
            if study.id in self.known:
                yield SharedItem("study", study.id, study.id, "in two splits")
            if (other := self.patients.get(patient_key(study.patient_id))) is not None:
                yield SharedItem("patient", study.id, other, study.patient_id)
            elif (other := self.natives.get(native_key(study.patient_id))) is not None:
                yield SharedItem("patient_alike", study.id, other, f"{study.patient_id}, perhaps the same patient")
            for ref in study.images:
                if (other := self.files.get(ref.sha256)) is not None:
                    yield SharedItem("image", study.id, other, ref.sha256)
            for place in self.texts.get(found.text, ()):
                same.add((number, place))
                yield SharedItem("report", study.id, self.ids[place], "the same words")
        if self.reports is not None:
            signatures = stack([found.signature for _, found in some])
            for theirs, ours in self.reports.candidates(band_keys(signatures)):
                alike = likeness(signatures[theirs], self.signatures[ours])
                for at in np.flatnonzero(alike >= similarity).tolist():
                    if (theirs[at], ours[at]) not in same:
                        detail = f"{alike[at]:.0%} alike"
                        yield SharedItem("near_report", some[theirs[at]][0].id, self.ids[ours[at]], detail)
        if self.images is not None:
            yield from self._near_images(some)

    def _near_images(self, some: Sequence[tuple[Study, Looks]]) -> Iterator[SharedItem]:
        assert self.images is not None  # the caller saw to it
        named = [(study.id, hashed) for study, found in some for hashed in found.images]
        if not named:
            return
        theirs_all = stack([hashed for _, hashed in named])
        for theirs, ours in self.images.candidates(theirs_all.astype(np.uint64)):
            bits = distance(theirs_all[theirs], self.hashes[ours])
            for at in np.flatnonzero(bits <= NEAR_BITS).tolist():
                detail = f"{bits[at]} of 256 bits differ"
                yield SharedItem("near_image", named[theirs[at]][0], self.pictured[ours[at]], detail)
