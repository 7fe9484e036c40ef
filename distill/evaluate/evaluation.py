"""Evaluation: every metric that is at hand, over the report and over the whole output, with intervals by patient.

    source ──► pairs ──► measures (metrics/) ──► intervals, and a paired test against another student ──► Evaluation

Figures are compared only if implementation, version and preprocessing are the same. Nothing is fetched, and an
evaluation holds figures only, no text.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from ... import __version__
from ...schemas.base import Noun, Record
from ...schemas.errors import InputError
from . import coco, plain, uncertainty
from .bertscore import bertscore
from .chexbert import chexbert_f1
from .external import External, check_external, external
from .finding_f1 import finding_f1
from .inputs import By, Source, check_same, with_parts
from .labels import LABELS, SENSITIVITY, SPECIFICITY
from .measure import Measure, Pair
from .words import Preprocessing

Implementation = Literal["auto", "coco", "python", "both"]


class Options(NamedTuple):
    """What is measured besides finding-F1."""

    implementation: Implementation = "auto"
    preprocessing: Preprocessing = "ptb"
    bertscore: Path | None = None  # an encoder's folder
    bertscore_layer: int | None = None
    chexbert: Path | None = None  # chexbert.pth
    chexbert_tokenizer: Path | None = None
    external: tuple[External, ...] = ()
    external_stays_local: bool = False  # the user's statement; without it only public texts go to `external`
    by: tuple[By, ...] = ()  # also for each section of the report, or for normal and abnormal studies
    resamples: int = uncertainty.RESAMPLES
    seed: int = 0


class Figure(Noun):
    """One number, and everything needed to know what it is."""

    part: str
    metric: str
    implementation: str
    version: str
    preprocessing: str
    value: float
    low: float | None = Field(None, description="Of 95 %, by patient; none for a single patient.")
    high: float | None = None
    other: float | None = Field(None, description="The other student's.")
    other_low: float | None = None
    other_high: float | None = None
    difference: float | None = None
    difference_low: float | None = Field(None, description="Of 95 %, both students drawn for the same patients.")
    difference_high: float | None = None
    p: float | None = Field(None, description="Approximate randomisation by patient, two-sided.")

    @property
    def label(self) -> str | None:
        """The finding that it is about; none for a figure over all."""
        name = self.metric.removesuffix(SENSITIVITY).removesuffix(SPECIFICITY)
        return next((label for label in LABELS if name.endswith(f" {label}")), None)


class Student(Noun):
    """Who was evaluated."""

    name: str
    model: str | None = None
    model_sha256: str | None = None
    temperature: float | None = None
    without_report: int = 0
    not_asked: int = 0


class Evaluation(Record):
    """The result."""

    student: Student
    other: Student | None = None
    pairs: int
    patients: int
    resamples: int
    seed: int
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    code_version: str = __version__


def evaluate(
    source: Source,
    options: Options,
    against: Source | None = None,
    on_progress: Callable[[str], object] = lambda _what: None,
) -> Evaluation:
    """Measure a student, and test it against another one.

    Args:
        source: what it wrote.
        options: which metrics.
        against: what another student wrote of the same studies.
        on_progress: called before each family of metrics.

    Raises:
        InputError, MissingExtraError: a metric that was asked for cannot be had, or the students cannot be compared.
        PolicyError: texts that are not known to be public would go to an external command.
    """
    public = source.public and (against is None or against.public)
    check_external(options.external, public=public, stays_local=options.external_stays_local)
    if against is not None:
        check_same(source, against)
        against = with_parts(against, options.by)
    source = with_parts(source, options.by)
    families, notes = _families(options)
    parts = [part for part in source.parts if against is None or part in against.parts]
    figures: list[Figure] = []
    for part in parts:
        patients = [pair.patient for pair in source.parts[part]]
        for name, family in families:
            on_progress(f"{part}: {name}")
            ours = family(source.parts[part])
            theirs = family(against.parts[part]) if against is not None else [None] * len(ours)
            figures += (
                _figure(part, one, other, patients, options)
                for one, other in zip(ours, theirs, strict=True)
                if one.stats.any() or (other is not None and other.stats.any())  # else nobody has the label
            )
    notes += _remarks(source, against)
    if options.external and options.external_stays_local:
        notes.append("the user states that the external commands run on this machine alone")
    pairs = next(iter(source.parts.values()))
    return Evaluation(
        student=_student(source),
        other=None if against is None else _student(against),
        pairs=len(pairs),
        patients=len({pair.patient for pair in pairs}),
        resamples=options.resamples,
        seed=options.seed,
        figures=tuple(figures),
        notes=tuple(notes),
    )


Family = Callable[[Sequence[Pair]], list[Measure]]


def _families(options: Options) -> tuple[list[tuple[str, Family]], list[str]]:
    """What will be measured, and notes about the choice."""
    notes = []
    chosen = options.implementation
    if chosen == "auto":
        why = coco.missing()
        chosen = "coco" if why is None else "python"
        if why is not None:
            notes.append(
                f"BLEU, ROUGE-L and METEOR are those of Python packages ({why}); they are not to be compared with "
                "pycocoevalcap's, which most papers report: METEOR is about twice as high"
            )
    found: list[tuple[str, Family]] = [("finding-F1", finding_f1)]
    if chosen in ("coco", "both"):
        found.append((coco.PACKAGE, lambda pairs: coco.coco(pairs, options.preprocessing)))
    if chosen in ("python", "both"):
        found.append(("python", plain.plain))
    return [*found, *_with_weights(options)], notes


def _with_weights(options: Options) -> Iterator[tuple[str, Family]]:
    if options.bertscore is not None:
        encoder = options.bertscore
        yield "BERTScore", lambda pairs: [bertscore(pairs, encoder, options.bertscore_layer)]
    if options.chexbert is not None:
        weights, tokenizer = options.chexbert, options.chexbert_tokenizer
        if tokenizer is None:
            raise InputError("give the folder of bert-base-uncased's tokenizer", field="chexbert-tokenizer")
        yield "CheXbert-F1", lambda pairs: chexbert_f1(pairs, weights, tokenizer)
    for metric in options.external:
        yield metric.name, partial(_external, metric)


def _external(metric: External, pairs: Sequence[Pair]) -> list[Measure]:
    return [external(pairs, metric)]


def _figure(part: str, one: Measure, other: Measure | None, patients: Sequence[str], options: Options) -> Figure:
    def bounds(measure: Measure) -> uncertainty.Bounds | tuple[None, None]:
        return uncertainty.interval(measure, patients, resamples=options.resamples, seed=options.seed) or (None, None)

    low, high = bounds(one)
    figure = Figure(
        part=part,
        metric=one.name,
        implementation=one.implementation,
        version=one.version,
        preprocessing=one.preprocessing,
        value=one.point,
        low=low,
        high=high,
    )
    if other is None:
        return figure
    low, high = bounds(other)
    test = uncertainty.compare(one, other, patients, shuffles=options.resamples, seed=options.seed)
    paired = {"other": other.point, "other_low": low, "other_high": high, "difference": test.difference, "p": test.p}
    paired["difference_low"], paired["difference_high"] = test.interval or (None, None)
    return figure.model_copy(update=paired)


def _remarks(source: Source, against: Source | None) -> list[str]:
    notes = ["a label that nobody has counts as 0 in macro figures, and has no line of its own"]
    count = len(next(iter(source.parts.values())))
    for one in (source, against):
        if one is not None and one.without_report:
            notes.append(
                f"{one.name}: {one.without_report} of {count} without a readable report; they count as empty ones"
            )
        if one is not None and one.not_asked:
            how = "count as empty answers" if one.unanswered == "empty" else "are not in these figures"
            notes.append(f"{one.name}: {one.not_asked} studies were not answered, and {how}")
    if against is not None:
        notes.append("p is of each figure alone; of many figures some will be small by chance")
    return notes


def _student(source: Source) -> Student:
    return Student(
        name=source.name,
        model=source.model,
        model_sha256=source.model_sha256,
        temperature=source.temperature,
        without_report=source.without_report,
        not_asked=source.not_asked,
    )
