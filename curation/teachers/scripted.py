"""The scripted teacher: replays given texts, or the checklist's with labelled mistakes first.

No model: it exists so that rejection and repair can be seen and tested without one. Each of its records
carries the label of the mistake that was made on purpose.

    options:
      script: answers.jsonl        one object a line: {"id": study, "texts": [first attempt, second, ...]}
    or
      mistakes: [nine_steps, preamble]   one of these first, for a share of the studies
      share: 0.3
      stubborn: 0.1                      the share of those mistakes that is made at every attempt
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from ...data.formats.json_lines import json_lines
from ...schemas.base import Noun
from ...schemas.errors import InputError
from ...schemas.run import State
from ..labelled import LabelledTeacher, answer, chances
from ..teacher import Question, Unanswered
from .checklist import numbered, steps

Mistake = Literal[
    "nine_steps",
    "eleven_steps",
    "preamble",
    "empty_step",
    "out_of_order",
    "trailing_report",
    "one_line",
    "other_side",
    "added_finding",
]


class Options(Noun):
    """See the module."""

    script: str | None = Field(
        None, description="A JSON Lines file of answers: id of the study, texts by attempt. Either this or mistakes."
    )
    mistakes: tuple[Mistake, ...] = Field((), description="Mistakes that are made on purpose.")
    share: float = Field(0.3, ge=0, le=1, description="Of the studies that get a mistake.")
    stubborn: float = Field(0.0, ge=0, le=1, description="Share of those mistakes that is made at every attempt.")
    seed: int = Field(0, description="Of the draw of studies and mistakes.")
    seconds: float = Field(0.0, ge=0, description="How long each answer takes.")
    log: str | None = Field(None, description="A file that gets one line a question: who was asked, and when.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.script and self.mistakes:
            raise ValueError("give either script or mistakes")
        return self


class Teacher(LabelledTeacher):
    """See the module."""

    def __init__(self, name: str, options: Options) -> None:
        self._options = options
        self._script = _read_script(Path(options.script)) if options.script else None
        text = json.dumps(self._script, sort_keys=True) if self._script else None
        identity = {
            "provider": "scripted",
            "version": 1,
            **options.model_dump(exclude={"log", "seconds"}),
            "script": hashlib.sha256(text.encode()).hexdigest() if text else None,
        }
        super().__init__(name, identity)

    async def ask(self, question: Question) -> bytes:
        """See `curation.teacher.Teacher`."""
        if self._options.log:
            with Path(self._options.log).open("a", encoding="utf-8") as log:
                log.write(json.dumps([question.study.id, question.attempt]) + "\n")
        await asyncio.sleep(self._options.seconds)
        if self._script is not None:
            texts = self._script.get(question.study.id, ())
            if len(texts) < question.attempt:
                raise Unanswered(State.REFUSED, f"the script has no text for attempt {question.attempt}")
            return answer(texts[question.attempt - 1], None)
        right = steps(question.study)
        mistake = self._mistake(question)
        text = _MAKE[mistake](right) if mistake else numbered(right)
        return answer(text, mistake)

    def _mistake(self, question: Question) -> Mistake | None:
        if not self._options.mistakes:
            return None
        whether, lasting, which, _ = chances(self._options.seed, question.study.id)
        wrong = whether < self._options.share and (question.attempt == 1 or lasting < self._options.stubborn)
        return self._options.mistakes[int(which * len(self._options.mistakes))] if wrong else None


def _other_side(ten: list[str]) -> list[str]:
    """Left and right exchanged in the first step that names one; where none does, the last."""
    at = next((at for at, text in enumerate(ten) if _SIDE.search(text)), None)
    if at is None:
        return _added_finding(ten)
    return [*ten[:at], _SIDE.sub(lambda side: _SIDES[side[0]], ten[at]), *ten[at + 1 :]]


def _added_finding(ten: list[str]) -> list[str]:
    return [*ten[:4], f"{ten[4]} There is a small nodule in the right upper lobe.", *ten[5:]]


_SIDES = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
_SIDE = re.compile(r"\b(?:left|right|Left|Right)\b")
_MAKE: dict[Mistake, Callable[[list[str]], str]] = {
    "nine_steps": lambda ten: numbered(ten[:8] + ten[9:]),
    "eleven_steps": lambda ten: numbered([*ten, "The film was looked at once more."]),
    "preamble": lambda ten: "Sure, here are the ten steps:\n\n" + numbered(ten),
    "empty_step": lambda ten: numbered([*ten[:3], "-", *ten[4:]]),
    "out_of_order": lambda ten: "\n".join(reversed(numbered(ten).split("\n"))),
    "trailing_report": lambda ten: numbered(ten) + "\n\nImpression: as above.",
    "one_line": lambda ten: numbered(ten).replace("\n", " "),
    "other_side": lambda ten: numbered(_other_side(ten)),
    "added_finding": lambda ten: numbered(_added_finding(ten)),
}


class _Line(Noun, extra="ignore"):
    id: str
    texts: tuple[str, ...]


def _read_script(path: Path) -> dict[str, list[str]]:
    script: dict[str, list[str]] = {}
    for line in json_lines(path):
        try:
            found = _Line.model_validate(line.found or {})
        except ValidationError:
            message = 'must be one JSON object: {"id": ..., "texts": [...]}'
            raise InputError(line.problem or message, file=path, row=line.row) from None
        if found.id in script:
            raise InputError(
                "a study of its own is wanted in each row; put its texts together", file=path, row=line.row
            )
        script[found.id] = list(found.texts)
    return script
