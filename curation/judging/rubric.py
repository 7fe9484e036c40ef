"""The rubric: the questions that a judge is asked about a trace, and its answer read without mercy.

A score counts only with its citation: words that really stand in the step it names, or in the reference. An answer with
a question left out, a score that is none, or a quotation that nobody wrote is unreadable: an error, never a score. The
judge is not told who wrote the steps, nor what became of them; the order of the questions turns with each repeat.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from string import Template
from typing import Any

import yaml
from pydantic import Field

from ...schemas.base import Noun
from ...schemas.study import Study
from ...schemas.trace import Trace
from ..prompt import Prompt
from ..quotes import place_of

_PACKAGE = __package__ or ""
_FIELDS = ("score", "step", "quote", "reason")
_BEST = 5
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.S)


class Dimension(Noun):
    """One question."""

    question: str
    anchors: dict[int, str] = Field(description="What a score means; those between are between.")


class RubricFile(Noun):
    """rubric.yaml."""

    version: int = Field(ge=1)
    dimensions: dict[str, Dimension]
    system: str
    user: str


class Mark(Noun):
    """What a judge answered to one question."""

    dimension: str
    score: int = Field(ge=1, le=_BEST)
    step: int | None = Field(description="Counted by position from 1; none for the whole.")
    span: tuple[int, int] | None = Field(None, description="Of the quotation in that step.")
    quote: str
    reason: str


class UnreadableJudgement(Exception):
    """An answer that is no judgement; says why."""


@cache
def rubric() -> RubricFile:
    """The file, read once."""
    return RubricFile.model_validate(yaml.safe_load(_content()))


def rubric_id() -> str:
    """Name, version and hash, as records cite it."""
    return f"judge@{rubric().version}:{hashlib.sha256(_content().encode()).hexdigest()[:12]}"


def _content() -> str:
    return resources.files(_PACKAGE).joinpath("rubric.yaml").read_text("utf-8")


def ask(study: Study, trace: Trace, repeat: int = 0) -> Prompt:
    """The question about one trace.

    Args:
        study: with its reference.
        trace: whose it is, is not said.
        repeat: from 0; turns the order of the questions.
    """
    file = rubric()
    names = list(file.dimensions)
    names = names[repeat % len(names) :] + names[: repeat % len(names)]
    questions = "\n".join(_question(name, file.dimensions[name]) for name in names)
    data = {
        "views": list(study.views),
        "reference_report": study.report,
        "steps": {str(number): step.text for number, step in enumerate(trace.steps, 1)},
    }
    user = Template(file.user).substitute(data=json.dumps(data, ensure_ascii=False, indent=1))
    keys = tuple(f"{name}_{field}" for name in names for field in _FIELDS)
    return Prompt(rubric_id(), Template(file.system).substitute(questions=questions), user, False, keys)


def _question(name: str, dimension: Dimension) -> str:
    anchors = "; ".join(f"{score}: {meaning}" for score, meaning in sorted(dimension.anchors.items()))
    return f'- "{name}": {dimension.question} {anchors}.'


def read_judgement(text: str, study: Study, trace: Trace) -> tuple[Mark, ...]:
    """Read a judge's answer; marks stand in the rubric's order.

    Raises:
        UnreadableJudgement: it is no judgement of this trace.
    """
    fenced = _FENCE.match(text)
    try:
        found = json.loads(fenced[1] if fenced else text, strict=False, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise UnreadableJudgement(f"it is not one JSON object ({str(error)[:100]})") from None
    if not isinstance(found, dict):
        raise UnreadableJudgement("it is not one JSON object")
    return tuple(_mark(name, found, study, trace) for name in rubric().dimensions)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(values := dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return values


def _mark(name: str, found: Mapping[str, Any], study: Study, trace: Trace) -> Mark:
    score, step, quote, reason = (_text(found.get(f"{name}_{field}", "")) for field in _FIELDS)
    if score not in {str(n) for n in range(1, _BEST + 1)}:
        raise UnreadableJudgement(f"{name}: {score[:20]!r} is no score from 1 to {_BEST}")
    if step and (not step.isdecimal() or not 1 <= int(step) <= len(trace.steps)):
        raise UnreadableJudgement(f"{name}: there is no step {step[:20]!r}")
    if not quote and int(score) < _BEST:
        raise UnreadableJudgement(f"{name}: a score of {score} without a quotation")
    number = int(step) if step else None
    span = None
    if quote:
        where = study.report if number is None else trace.steps[number - 1].text
        span = place_of(quote, where)
        if span is None:
            raise UnreadableJudgement(
                f"{name}: the quotation does not stand in {f'step {step}' if step else 'the reference'}"
            )
    if not reason:
        raise UnreadableJudgement(f"{name}: no reason")
    return Mark(
        dimension=name,
        score=int(score),
        step=number,
        span=span if number is not None else None,
        quote=quote[:500],
        reason=reason[:800],
    )


def _text(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode().strip()  # JSON can hold half a character; no file can
