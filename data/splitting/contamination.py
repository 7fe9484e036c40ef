"""Contamination: what studies to learn from share with studies to be tested on, across stores, stages and sources.

    patient        the same patient                                   error
    study          the same study, in two splits                      error
    image          the same image file, byte for byte                 error
    near_image     an image that differs in few bits of its hash      warning
    report         the same words                                     warning: short normal reports are often alike
    near_report    nearly the same words (MinHash)                    warning

Every pair is counted; of each kind the first thousand are listed.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...schemas.study import ImageRef, Study
from ..ids import patient_key
from ..similarity import Searched, Signature, band_keys, likeness
from .alike import NEAR_BITS, Hashes, distance, hash_of, report_signature, stack, words_of

ERRORS = ("patient", "study", "image")
KINDS = (*ERRORS, "near_image", "report", "near_report")
LISTED = 1000
_SOME = 2048


class Pair(NamedTuple):
    """Something that a study to learn from and a held-out one share."""

    kind: str
    train: str
    held: str
    detail: str


class Contamination(NamedTuple):
    """All that was found: how often, and the first of each kind."""

    counts: dict[str, int]
    pairs: tuple[Pair, ...]

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
    workers: int = 2,
    on_progress: Callable[[int], None] | None = None,
) -> Contamination:
    """Compare.

    Args:
        studies: gives all of them, twice.
        similarity: of near reports, the share of equal minima at least.
        images: open the images and compare how they look, too; else only their bytes' hashes are compared.
        workers: threads that decode images.
        on_progress: called with the number of studies that have been compared since the last time.
    """
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    pairs: list[Pair] = []
    with ThreadPoolExecutor(workers) as pool:
        held = Held((one for one in studies() if one.held), pool if images else None)
        others = (one for one in studies() if not one.held)
        while some := list(islice(others, _SOME)):
            for pair in held.shared(some, similarity, pool if images else None):
                if counts[pair.kind] < LISTED:
                    pairs.append(pair)
                counts[pair.kind] += 1
            if on_progress is not None:
                on_progress(len(some))
    return Contamination(dict(counts), tuple(sorted(pairs, key=lambda pair: KINDS.index(pair.kind))))


class Held:
    """The held-out studies, ready to be searched."""

    def __init__(self, ones: Iterable[StudyInSplit], pool: ThreadPoolExecutor | None) -> None:
        self.ids: list[str] = []
        self.patients: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.texts: dict[bytes, list[int]] = {}
        signatures: list[Signature] = []
        hashes: list[Hashes] = []
        self.pictured: list[str] = []
        while some := list(islice(ones, _SOME)) if isinstance(ones, Iterator) else []:
            for one in some:
                study = one.study
                self.texts.setdefault(_text(study), []).append(len(self.ids))
                self.ids.append(study.id)
                self.patients.setdefault(patient_key(study.patient_id), study.id)
                self.files.update((ref.sha256, study.id) for ref in study.images)
                signatures.append(report_signature(study.report))
            for id_, found in _hashes(some, pool):
                self.pictured.append(id_)
                hashes.append(found)
        self.known = set(self.ids)
        self.signatures, self.hashes = stack(signatures), stack(hashes)
        self.reports = Searched(band_keys(self.signatures)) if signatures else None
        self.images = Searched(self.hashes.astype(np.uint64)) if hashes else None

    def shared(
        self, some: Sequence[StudyInSplit], similarity: float, pool: ThreadPoolExecutor | None
    ) -> Iterator[Pair]:
        """What these share with the held-out ones."""
        same: set[tuple[int, int]] = set()
        for number, one in enumerate(some):
            study = one.study
            if study.id in self.known:
                yield Pair("study", study.id, study.id, "in two splits")
            if (other := self.patients.get(patient_key(study.patient_id))) is not None:
                yield Pair("patient", study.id, other, study.patient_id)
            for ref in study.images:
                if (other := self.files.get(ref.sha256)) is not None:
                    yield Pair("image", study.id, other, ref.sha256)
            for place in self.texts.get(_text(study), ()):
                same.add((number, place))
                yield Pair("report", study.id, self.ids[place], "the same words")
        if self.reports is not None:
            signatures = stack([report_signature(one.study.report) for one in some])
            for theirs, ours in self.reports.candidates(band_keys(signatures)):
                alike = likeness(signatures[theirs], self.signatures[ours])
                for at in np.flatnonzero(alike >= similarity).tolist():
                    if (theirs[at], ours[at]) not in same:
                        detail = f"{alike[at]:.0%} alike"
                        yield Pair("near_report", some[theirs[at]].study.id, self.ids[ours[at]], detail)
        if self.images is not None:
            yield from self._near_images(some, pool)

    def _near_images(self, some: Sequence[StudyInSplit], pool: ThreadPoolExecutor | None) -> Iterator[Pair]:
        assert self.images is not None  # the caller saw to it
        found = list(_hashes(some, pool))
        if not found:
            return
        theirs_all = stack([hashed for _, hashed in found])
        for theirs, ours in self.images.candidates(theirs_all.astype(np.uint64)):
            bits = distance(theirs_all[theirs], self.hashes[ours])
            for at in np.flatnonzero(bits <= NEAR_BITS).tolist():
                detail = f"{bits[at]} of 256 bits differ"
                yield Pair("near_image", found[theirs[at]][0], self.pictured[ours[at]], detail)


def _hashes(some: Sequence[StudyInSplit], pool: ThreadPoolExecutor | None) -> Iterator[tuple[str, Hashes]]:
    if pool is None:
        return
    named = [(one.study.id, one.path_of(ref)) for one in some for ref in one.study.images]
    for (id_, _), found in zip(named, pool.map(hash_of, [path for _, path in named]), strict=True):
        if found is not None:
            yield id_, found


def _text(study: Study) -> bytes:
    return hashlib.sha256(" ".join(words_of(study.report)).encode()).digest()[:16]
