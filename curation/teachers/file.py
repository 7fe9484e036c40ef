"""A file between us and whoever answers: an offline batch, a cluster's queue, a person. It needs no server.

    options:
      model: google/medgemma-27b-it      who will answer; the answers' own word if not given
      folder: handover                   RUN/handover/NAME if not given
      endpoint: https://cluster.example  where the questions are taken, if they leave this machine: then the policy
                                         guard treats it as any other endpoint

The first call writes questions.jsonl, one object a line: `id`, `system`, `prompt`, `images` (paths), `schema` (of the
answer). Put answers.jsonl into the same folder, one object a line: `id` as in the question, `text`, and `model`
(`usage`, `cost_usd`, `stop_reason` and `reasoning` are taken where they are given). The same command again reads the
answers and goes on; what it then has to ask, a repair or a second look, stands in a new questions.jsonl.

A question without an answer waits and is named; an answer that is given twice, or to a question that this run never
asked, ends the call before anything is read; an answer to a question that was answered before, or that is asked no more
(the prompt changed), is named and left alone.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from ...data.files import readable_by, replacing
from ...data.formats.json_lines import json_lines
from ...schemas.base import Noun
from ...schemas.candidate import Usage
from ...schemas.errors import InputError, first_fault
from ...schemas.run import State
from ..clients.answers import without_plan
from ..clients.bodies import answer_schema
from ..teacher import Question, Reply, Unanswered, request_key

_NAMED = 3  # ids in a note


class Options(Noun):
    """See the module."""

    model: str | None = Field(
        None,
        min_length=1,
        description="Who will answer; an answer by another model is an error. None: what the answers say.",
    )
    folder: str | None = Field(
        None, description="Where questions.jsonl and answers.jsonl are. None: RUN/handover/NAME."
    )
    endpoint: str | None = Field(
        None,
        description="Where the questions are answered, if not on this machine: the policy guard decides on it.",
    )
    images: bool = Field(True, description="Whether whoever answers is given the images' paths.")


class _Row(Noun, extra="ignore"):
    """One line of answers.jsonl."""

    id: str
    text: str | dict[str, Any]
    model: str | None = None
    usage: Usage = Usage()
    cost_usd: float | None = Field(None, ge=0)
    stop_reason: str | None = None
    reasoning: str | None = None


class Teacher:
    """See the module."""

    can_repair = True
    stored = background = batch = False
    handed_over = True  # what an answer costs is unknown unless it says so

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.model = options.model or "unnamed"
        self.sees_images = options.images
        self.endpoints: tuple[str, ...] = (options.endpoint,) if options.endpoint else ()
        self.notes: tuple[str, ...] = ()
        self._options = options
        self.folder = Path(options.folder) if options.folder else None
        self._answers: dict[str, tuple[int, _Row]] = {}
        self._waiting: dict[str, dict[str, Any]] = {}
        self._unused: set[str] = set()
        self._private = False

    def identity(self) -> Mapping[str, Any]:
        """See `curation.teacher.Teacher`."""
        return {"provider": "file", "version": 1, "model": self._options.model, "images": self.sees_images}

    def attach(self, run: Path, state_of: Callable[[str], State | None]) -> None:
        """Take the folder, and read the answers that lie there.

        Args:
            run: the run folder.
            state_of: where a request of this run stands, by key; none if it was never asked.

        Raises:
            InputError: an answer cannot be read, is given twice, or belongs to another run or model.
        """
        self._waiting = {}
        self.folder = self.folder or run / "handover" / self.name
        answers = self.folder / "answers.jsonl"
        self._answers = _read(answers) if answers.exists() else {}
        for key, (row, answer) in self._answers.items():
            if state_of(key) is None:
                message = f"answers the question '{key[:12]}…', which this run never asked: is it another run's file?"
                raise InputError(message, file=answers, row=row, field="id")
            if self._options.model and answer.model not in (None, self._options.model):
                message = f"is by '{answer.model}', and the recipe names '{self._options.model}'"
                raise InputError(message, file=answers, row=row, field="model")
        models = {answer.model for _, answer in self._answers.values() if answer.model}
        if len(models) > 1 and not self._options.model:
            message = f"answers are by several models ({', '.join(sorted(models))}); name one teacher for each"
            raise InputError(message, file=answers, field="model")
        self.model = self._options.model or next(iter(models), self.model)
        done = (State.RECEIVED, State.JUDGED, State.REFUSED)
        stale = [key for key in self._answers if state_of(key) in done]
        self._unused = set(self._answers) - set(stale)
        self.notes = (
            *((f"{answers}: {_answers(len(self._unused))} read",) if self._unused else ()),
            *((f"{answers}: {_named(stale)} to questions answered before, left alone",) if stale else ()),
        )

    async def ask(self, question: Question) -> bytes:
        """See `curation.teacher.Teacher`; a question without an answer is written down, and waits."""
        key = request_key(self, question)
        if key in self._answers:
            self._unused.discard(key)
            return self._answers[key][1].model_dump_json().encode()
        path_of = question.path_of
        seen = question.study.images if self.sees_images and path_of is not None else ()
        self._private |= question.study.data_class == "restricted"
        self._waiting[key] = {
            "id": key,
            "system": question.prompt.system,
            "prompt": question.prompt.user,
            "images": [str(path_of(ref).resolve()) for ref in seen] if path_of is not None else [],
            "schema": answer_schema(question.prompt),
        }
        raise Unanswered(State.FAILED, "it waits for its answer in answers.jsonl", sent=False, waits=True)

    def read(self, raw: bytes) -> Reply:
        """See `curation.teacher.Teacher`."""
        row = _Row.model_validate_json(raw)
        text = row.text if isinstance(row.text, str) else json.dumps(row.text, ensure_ascii=False)
        text, plan = without_plan(text)
        reasoning = "\n\n".join(part for part in (row.reasoning, plan) if part)
        stop = row.stop_reason or "stop"
        return Reply(text, row.usage, row.cost_usd, stop_reason=stop, reasoning=reasoning or None)

    async def close(self) -> None:
        """Write the questions that wait."""
        if self.folder is None:
            return
        questions = self.folder / "questions.jsonl"
        missing = [key for key in _ids(questions) if key in self._waiting] if self._answers else []
        with readable_by(owner_only=self._private):
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(questions) as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in self._waiting.values())
        if self._unused:
            unused = _named(sorted(self._unused))
            self.notes += (f"{self.folder / 'answers.jsonl'}: {unused} to questions that this call did not ask",)
        if missing:
            self.notes += (f"{self.folder / 'answers.jsonl'}: {_named(missing)} missing to the last questions",)
        if self._waiting:
            n = len(self._waiting)
            wait = "1 question waits; put its answer" if n == 1 else f"{n} questions wait; put their answers"
            self.notes += (
                f"{questions}: {wait} into answers.jsonl next to it (id, text, model), then run the same command again",
            )


def _read(path: Path) -> dict[str, tuple[int, _Row]]:
    """Answers by question, each with its row in the file."""
    found: dict[str, tuple[int, _Row]] = {}
    for line in json_lines(path):
        number = line.row
        if line.found is None:
            message = f'is not one JSON object: {{"id": ..., "text": ...}} ({line.problem})'
            raise InputError(message, file=path, row=number)
        try:
            row = _Row.model_validate(line.found)
        except ValidationError as error:
            message, field = first_fault(error)
            raise InputError(message, file=path, row=number, field=field) from None
        if row.id in found:
            message = f"answers the question '{row.id[:12]}…' again, after row {found[row.id][0]}; keep one of the two"
            raise InputError(message, file=path, row=number, field="id")
        found[row.id] = number, row
    return found


def _ids(questions: Path) -> list[str]:
    """What the call before this one asked."""
    try:
        return [str(json.loads(line)["id"]) for line in questions.read_text("utf-8").split("\n") if line]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # none yet, or not ours to read: it is written anew


def _named(keys: Sequence[str]) -> str:
    some = ", ".join(f"{key[:12]}…" for key in keys[:_NAMED])
    return f"{_answers(len(keys))} ({some}{' and more' if len(keys) > _NAMED else ''})"


def _answers(n: int) -> str:
    return "1 answer" if n == 1 else f"{n} answers"
