"""Evaluation: every metric that is at hand, over the report and over the whole output, with intervals by patient.

    sources ──► pairs ──► measures (one file a metric) ──► intervals, and paired tests against other students

Figures are compared only if implementation, version and preprocessing are the same. Nothing is fetched, and an
evaluation holds figures only, no text.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from ...schemas.errors import InputError
from ...schemas.evaluation import EvaluatedStudent, Evaluation, Figure, OtherFigure
from ...schemas.version import __version__
from . import coco, plain, uncertainty
from .bertscore import bertscore
from .chexbert import chexbert_f1
from .external import External, check_external, external
from .finding_f1 import finding_f1
from .inputs import REPORT, By, StudentOutputs, check_same, with_parts
from .measure import Measure, MeasureOf, Pair
from .radeval import RadEval
from .words import Preprocessing

Implementation = Literal["auto", "coco", "python", "both"]


class EvaluateOptions(NamedTuple):
    """What is measured besides finding-F1."""

    implementation: Implementation = "auto"
    preprocessing: Preprocessing = "ptb"
    bertscore: Path | None = None  # an encoder's folder
    bertscore_layer: int | None = None
    chexbert: Path | None = None  # chexbert.pth
    chexbert_tokenizer: Path | None = None
    radeval: RadEval | None = None  # RadGraph-F1, RaTEScore, GREEN
    external: tuple[External, ...] = ()
    external_stays_local: bool = False  # the user's statement; without it only public texts go to `external`
    by: tuple[By, ...] = ()  # also for each section of the report, or for normal and abnormal studies
    resamples: int = uncertainty.RESAMPLES
    seed: int = 0


def evaluate(
    source: StudentOutputs,
    options: EvaluateOptions,
    others: Sequence[StudentOutputs] = (),
    on_progress: Callable[[str], object] = lambda _what: None,
) -> Evaluation:
    """Measure a student, and test it against others.

    Args:
        source: what it wrote.
        options: which metrics.
        others: what other students wrote of the same studies.
        on_progress: called before each family of metrics.

    Raises:
        InputError, MissingExtraError: a chosen metric is not available here, or the students cannot be compared.
        PolicyError: texts that are not known to be public would go to an external command.
    """
    students = [source, *others]
    public = all(student.public for student in students)
    check_external(options.external, public=public, stays_local=options.external_stays_local)
    for other in others:
        check_same(source, other)
    students = [with_parts(student, options.by) for student in students]
    parts = [part for part in students[0].parts if all(part in student.parts for student in students)]
    texts = [pair for student in students for part in parts for pair in student.parts[part]]
    families, notes = _families(options, texts, on_progress)
    figures: list[Figure] = []
    remarks: dict[str, None] = {}
    for part in parts:
        patients = [pair.patient for pair in students[0].parts[part]]
        for name, family in families:
            on_progress(f"{part}: {name}")
            found = [family(student.parts[part]) for student in students]
            for student, measures in zip(students, found, strict=True):
                remarks |= {f"{student.name}, {part}: {said}": None for one in measures for said in one.remarks}
            absent = _labels_of_no_text(found)
            figures += (
                _figure(part, one, rest, patients, options)
                for one, *rest in zip(*found, strict=True)
                if one.label not in absent and any(measure.stats.any() for measure in (one, *rest))
            )
    notes += [*remarks, *_remarks(students)]
    if options.external and options.external_stays_local:
        notes.append("the user states that the external commands run on this machine alone")
    pairs = students[0].parts[REPORT]
    return Evaluation(
        student=_student(source),
        others=tuple(map(_student, others)),
        pairs=len(pairs),
        patients=len({pair.patient for pair in pairs}),
        sources=source.sources,
        resamples=options.resamples,
        seed=options.seed,
        figures=tuple(figures),
        notes=tuple(notes),
        code_version=__version__,
    )


Family = Callable[[Sequence[Pair]], list[Measure]]


def _families(
    options: EvaluateOptions, texts: Sequence[Pair], on_progress: Callable[[str], object]
) -> tuple[list[tuple[str, Family]], list[str]]:
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
    return [*found, *_with_models(options, texts, on_progress)], notes


def _with_models(
    options: EvaluateOptions, texts: Sequence[Pair], on_progress: Callable[[str], object]
) -> Iterator[tuple[str, Family]]:
    """Metrics that load a model or start a command do so here, once for all students and parts."""
    if options.bertscore is not None:
        on_progress("BERTScore")
        yield "BERTScore", partial(_scored, [bertscore(texts, options.bertscore, options.bertscore_layer)])
    if options.chexbert is not None:
        if options.chexbert_tokenizer is None:
            raise InputError("give the folder of bert-base-uncased's tokenizer", field="chexbert-tokenizer")
        on_progress("CheXbert-F1")
        yield "CheXbert-F1", chexbert_f1(texts, options.chexbert, options.chexbert_tokenizer)
    if options.radeval is not None:
        on_progress("RadEval")
        yield "RadEval", partial(_scored, options.radeval.scores(texts).values())
    for metric in options.external:
        on_progress(metric.name)
        yield metric.name, partial(_scored, external(texts, metric).values())


def _scored(scores: Iterable[MeasureOf], pairs: Sequence[Pair]) -> list[Measure]:
    return [score(pairs) for score in scores]


def _labels_of_no_text(found: Sequence[Sequence[Measure]]) -> set[str]:
    """Labels that are in no reference and no hypothesis: a specificity of 1 would say nothing."""
    f1 = [one for measures in found for one in measures if one.label and one.name.endswith(f" {one.label}")]
    return {one.label for one in f1 if one.label} - {one.label for one in f1 if one.label and one.stats.any()}


def _figure(
    part: str, one: Measure, others: Sequence[Measure], patients: Sequence[str], options: EvaluateOptions
) -> Figure:
    def bounds(measure: Measure) -> uncertainty.Bounds | tuple[None, None]:
        return uncertainty.interval(measure, patients, resamples=options.resamples, seed=options.seed) or (None, None)

    def against(other: Measure) -> OtherFigure:
        test = uncertainty.compare(one, other, patients, shuffles=options.resamples, seed=options.seed)
        (low, high), (down, up) = bounds(other), test.interval or (None, None)
        return OtherFigure(
            value=other.point,
            low=low,
            high=high,
            difference=test.difference,
            difference_low=down,
            difference_high=up,
            p=test.p,
        )

    low, high = bounds(one)
    return Figure(
        part=part,
        metric=one.name,
        label=one.label,
        implementation=one.implementation,
        version=one.version,
        preprocessing=one.preprocessing,
        value=one.point,
        low=low,
        high=high,
        others=tuple(map(against, others)),
    )


def _remarks(students: Sequence[StudentOutputs]) -> Iterator[str]:
    yield "a label that no text has counts as 0 in macro figures, and has no line of its own"
    count = len(students[0].parts[REPORT])
    for one in students:
        if one.without_report:
            yield f"{one.name}: {one.without_report} of {count} without a readable report; they count as empty ones"
        if one.not_answered:
            how = "count as empty ones" if one.unanswered == "empty" else "are not in these figures"
            yield f"{one.name}: {one.not_answered} answers are missing, and {how}"
    if len(students) > 1:
        yield "p is of each figure alone; of many figures some will be small by chance"


def _student(source: StudentOutputs) -> EvaluatedStudent:
    return EvaluatedStudent(
        name=source.name,
        model=source.model,
        model_sha256=source.model_sha256,
        temperature=source.temperature,
        without_report=source.without_report,
        not_asked=source.not_answered,
    )
