"""One row judged: by every rule where it is written as we write, else by all but one of the rules of structure.

A trace in another layout (layouts.py) is split into its steps or sentences, and what they say is held against the
reference like any other: a hallucinated finding is found in prose as well. That it is not ten numbered steps is said
once, by the finding that tells most; with `steps="any"` it is not held against it at all.

Rules read ten steps; a trace of more is read ten by ten, and what no part mentions is what none of them does.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from ...schemas.candidate import Candidate
from ...schemas.study import Study
from ...schemas.trace import STEPS, Step, Trace
from ...schemas.verdict import Finding, Verdict
from ...validators.check import as_pair
from ...validators.findings.text import sentences
from ...validators.gate import findings, group, judge
from .layouts import Kind, LayoutName, ParsedLayout, read_layout
from .rows import AuditRow

Steps = Literal["10", "any"]
_STRUCTURE = frozenset(rule.__name__.rpartition(".")[2] for rule in group("structure"))
_TELLING = ("think_tags", "code_fence", "control_tokens", "numbering_style", "steps_on_one_line", "step_count")
_OF_STEPS: Mapping[Kind, frozenset[str]] = {  # codes that say something about steps alone
    "steps": frozenset(),
    "bullets": frozenset({"step_too_short", "step_too_long"}),
    "sentences": frozenset({"step_too_short", "step_too_long", "off_topic"}),
}
_OF_FORM = "markup"  # no error where any form will do

Layout = Literal["auto", "ours"] | LayoutName
LAYOUTS: tuple[str, ...] = ("auto", "ours", *get_args(LayoutName))


class Reader(NamedTuple):
    """How rows are read."""

    columns: Mapping[str, str] = {}  # a row's field -> what it is called there
    layout: Layout = "auto"
    steps: Steps = "10"
    images: Path | None = None  # the folder below which rows name their films; they are opened if it is given


AS_IT_IS = Reader()


class JudgedRow(NamedTuple):
    """A row with its verdict."""

    study: Study
    candidate: Candidate  # its trace holds the steps or sentences that were judged
    verdict: Verdict
    layout: str


def judge_row(row: AuditRow, reader: Reader) -> JudgedRow:
    """Judge a row: a pure function of its arguments."""
    study, candidate = _pair(row, row.reference_report)
    verdict = judge(study, candidate)
    structure = [finding for finding in verdict.findings if finding.rule in _STRUCTURE]
    reading = _other_layout(row, candidate, reader, faulty=bool(structure))
    if reading is None:
        trace = candidate.trace
        return JudgedRow(study, candidate, verdict, trace.layout if trace else "unreadable")
    study, candidate = _pair(row, row.reference_report or reading.report)
    steps = tuple(Step(number=at, text=text) for at, text in enumerate(reading.units, 1))
    trace = Trace(steps=steps, report=reading.report, preamble=reading.preamble)
    candidate = candidate.model_copy(
        update={"trace": trace, "parse_error": None, "writes_report": reading.report is not None}
    )
    found = [] if reader.steps == "any" and reading.units else _one(structure, reading)
    if row.has_reference and reading.report is not None:
        found += findings(group("report"), study, candidate)
    found += _in_parts(study, candidate, reading.kind)
    if reader.steps == "any":
        found = [one.model_copy(update={"severity": "warning"}) if one.code == _OF_FORM else one for one in found]
    return JudgedRow(study, candidate, Verdict(findings=tuple(found)), reading.layout)


def _pair(row: AuditRow, reference: str | None) -> tuple[Study, Candidate]:
    return as_pair(
        row.text,
        row.id,
        reference,
        patient_id=row.patient_id or None,
        views=row.views,
        labels=row.labels,
        has_prior=row.has_prior,
        author=row.author,
    )


def _other_layout(row: AuditRow, candidate: Candidate, reader: Reader, *, faulty: bool) -> ParsedLayout | None:
    """The row as it is written otherwise, or none where it is ours, be it with faults."""
    trace = candidate.trace
    if reader.layout == "ours":
        return None
    if reader.layout != "auto":
        return _read(row, reader.layout)
    if trace is None or trace.layout == "json":
        return None
    if not faulty:
        return None
    ours = len(trace.steps)
    if ours > STEPS or (reader.steps == "any" and ours > 1 and not trace.preamble):
        return ParsedLayout("numbered", trace.preamble, trace.texts, trace.report, "steps")
    if trace.layout == "tagged":
        return None
    reading = _read(row, None)
    # half the steps and more were read our way: then what is wrong with the others is worth its own findings
    framed = reading.layout in ("think", "tags")
    return reading if framed or 2 * ours <= len(reading.units) or (ours < 2 and reading.units) else None


def _read(row: AuditRow, layout: LayoutName | None) -> ParsedLayout:
    if row.reasoning is None:
        return read_layout(row.text, layout)
    return read_layout(row.reasoning, layout, answer=row.answer or "")


def _one(found: Sequence[Finding], reading: ParsedLayout) -> list[Finding]:
    """Of the findings about structure, the one that tells most, and how the trace was read nevertheless."""
    ranked = sorted(found, key=lambda one: _TELLING.index(one.code) if one.code in _TELLING else len(_TELLING))
    read = f" It was read as {len(reading.units)} {reading.kind} ({reading.layout})."
    return [one.model_copy(update={"message": one.message + read}) for one in ranked[:1]]


def _in_parts(study: Study, candidate: Candidate, kind: Kind) -> Iterator[Finding]:
    """What the rules of form, honesty and grounding find, ten steps at a time."""
    assert candidate.trace is not None
    trace, rules = candidate.trace, group("form", "honesty", "grounding")
    parts: list[tuple[int | None, Sequence[str]]] = [
        (start, trace.texts[start : start + STEPS]) for start in range(0, max(1, len(trace.steps)), STEPS)
    ]
    before = [trace.preamble[start:end] for start, end in sentences(trace.preamble)]
    parts += [(None, before[start : start + STEPS]) for start in range(0, len(before), STEPS)]
    whole: list[list[Finding]] = []
    for start, texts in parts:
        steps = tuple(Step(number=at, text=text) for at, text in enumerate(texts, 1))
        part = candidate.model_copy(update={"trace": trace.model_copy(update={"steps": steps})})
        whole.append([])
        for finding in findings(rules, study, part):
            if finding.code in _OF_STEPS[kind]:
                continue
            if finding.step is None:
                whole[-1].append(finding)
            elif start is None:
                yield finding.model_copy(update={"step": None, "span": None})
            else:
                yield finding.model_copy(update={"step": finding.step + start})
    for finding in whole[0]:  # of the whole trace: what is true of every part
        if all(any(_same(finding, other) for other in found) for found in whole[1:]):
            yield finding


def _same(one: Finding, other: Finding) -> bool:
    return (one.code, one.message) == (other.code, other.message)
