"""The rubric: the questions that a judge is asked about a trace, and its answer read strictly.

A score counts only with its citation: words that really stand in the step it names, or in the reference. An answer with
a question left out, a score that is none, or a made-up quotation is unreadable: an error, never a score. The
judge does not learn who wrote the steps, nor what became of them; the order of the questions turns with each repeat.
"""

import json
from collections.abc import Mapping
from importlib import resources
from string import Template
from typing import Any, Self

from pydantic import Field, model_validator

from ...schemas.base import Noun
from ...schemas.study import Study
from ...schemas.trace import Trace
from ..cited import one_object, place_of, storable
from ..prompt import FilledPrompt
from ..prompt_file import VersionedFile, read_prompt_file

_FIELDS = ("score", "step", "quote", "reason")
_BEST = 5


class Dimension(Noun):
    """One question."""

    question: str
    anchors: dict[int, str] = Field(description="What a score means; those between are between.")


class RubricFile(VersionedFile):
    """judge.yaml, or a file of one's own."""

    dimensions: dict[str, Dimension] = Field(min_length=1)
    system: str = Field(description="$questions stands for the questions and their anchors.")
    user: str = Field(description="$data is the study and the steps.")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for text, name in ((self.system, "questions"), (self.user, "data")):
            if set(Template(text).get_identifiers()) != {name}:
                raise ValueError("system needs $questions, user needs $data")
        return self


class RubricScore(Noun):
    """What a judge answered to one question."""

    dimension: str
    score: int = Field(ge=1, le=_BEST)
    step: int | None = Field(description="Counted by position from 1; none for the whole.")
    span: tuple[int, int] | None = Field(None, description="Of the quotation in that step.")
    quote: str
    reason: str


class UnreadableJudgement(Exception):
    """An answer that is no judgement; says why."""


class Rubric:
    """A rubric file, ready to ask and to read.

    Args:
        path: of the file; ours if none.

    Raises:
        RecipeError: it cannot be read.
    """

    def __init__(self, path: str | None = None) -> None:
        source = path or resources.files(__package__).joinpath("judge.yaml")
        self._file, name, sha256 = read_prompt_file(RubricFile, source, "rubric", "rubric")
        self.id = f"{name}:{sha256[:12]}"  # as records cite it
        self.dimensions = tuple(self._file.dimensions)

    def ask(self, study: Study, trace: Trace, repeat: int = 0) -> FilledPrompt:
        """The question about one trace.

        Args:
            study: with its reference.
            trace: whose it is, is not said.
            repeat: from 0; turns the order of the questions.
        """
        file, names = self._file, list(self.dimensions)
        names = names[repeat % len(names) :] + names[: repeat % len(names)]
        questions = "\n".join(_question(name, file.dimensions[name]) for name in names)
        data = {
            "views": list(study.views),
            "reference_report": study.report,
            "steps": {str(number): step.text for number, step in enumerate(trace.steps, 1)},
        }
        user = Template(file.user).substitute(data=json.dumps(data, ensure_ascii=False, indent=1))
        keys = tuple(f"{name}_{field}" for name in names for field in _FIELDS)
        return FilledPrompt(self.id, Template(file.system).substitute(questions=questions), user, False, keys)

    def read(self, text: str, study: Study, trace: Trace) -> tuple[RubricScore, ...]:
        """Read a judge's answer; marks stand in the rubric's order.

        Raises:
            UnreadableJudgement: it is no judgement of this trace.
        """
        try:
            found = one_object(text)
        except ValueError as error:
            raise UnreadableJudgement(str(error)) from None
        return tuple(_mark(name, found, study, trace) for name in self.dimensions)


def _question(name: str, dimension: Dimension) -> str:
    anchors = "; ".join(f"{score}: {meaning}" for score, meaning in sorted(dimension.anchors.items()))
    return f'- "{name}": {dimension.question} {anchors}.'


def _mark(name: str, found: Mapping[str, Any], study: Study, trace: Trace) -> RubricScore:
    score, step, quote, reason = (storable(found.get(f"{name}_{field}", "")) for field in _FIELDS)
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
    return RubricScore(
        dimension=name,
        score=int(score),
        step=number,
        span=span if number is not None else None,
        quote=quote[:500],
        reason=reason[:800],
    )
