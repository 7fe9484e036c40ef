"""What a teacher is: something that is asked once and answers with bytes, and reads its own answers.

`ask` and `read` are two steps so that an answer is on disk before anything looks at it, and so that it can be read
again without asking again. A teacher is one file in curation/teachers with a class `Teacher` and a noun
`Options`; the file's name is its kind in a recipe.
"""

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import ValidationError

from ..data.recipes import KEPT_OUT
from ..data.secrets import secret_in
from ..schemas import plugins
from ..schemas.candidate import Candidate, Usage
from ..schemas.errors import RecipeError, TeacherError, first_fault
from ..schemas.recipe import TeacherSpec
from ..schemas.run import State
from ..schemas.study import ImageRef, Study
from .prompt import FilledPrompt


@dataclass(frozen=True, slots=True)
class Question:
    """One attempt at one study."""

    study: Study
    prompt: FilledPrompt
    attempt: int = 1
    sample: int = 0
    previous: Candidate | None = None
    path_of: Callable[[ImageRef], Path] | None = None  # finds an image's file


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read."""

    text: str  # without the plan that some prompts want, which goes into reasoning
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    stop_reason: str | None = None
    reasoning: str | None = None
    label: str | None = None
    batched: bool = False  # came through a batch API, at half the price


class Unanswered(Exception):
    """No answer that can be read: the server said no, the author declined, or it is not known.

    Args:
        state: what becomes of the request.
        reason: one line without anything that was sent.
        raw: what came, if anything did.
        retryable: failed, and the same request may succeed later.
        retry_after: seconds that the server asks to wait, as it put it (may be huge; never negative or NaN).
        throttled: the server has too much to do (429, 503, 529): send less.
        sent: whether anything left this machine.
        waits: its answer comes in a later pass or call: a batch, a file.
        usage: what was counted, where an answer was paid for all the same (a refusal).
    """

    def __init__(
        self,
        state: Literal[State.FAILED, State.REFUSED, State.UNKNOWN],
        reason: str,
        raw: bytes | None = None,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        throttled: bool = False,
        sent: bool = True,
        waits: bool = False,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(reason)
        self.state: State = state
        self.reason = reason
        self.raw = raw
        self.retryable = retryable
        self.retry_after = retry_after
        self.throttled = throttled
        self.sent = sent
        self.waits = waits
        self.usage = usage


class Denied(TeacherError):
    """A request that was turned away as no request of this teacher would be taken, unless others have been answered.

    Args:
        message: what is wrong if none was answered.
        alone: the failure of this one request, if others were.
    """

    def __init__(self, message: str, alone: Unanswered) -> None:
        super().__init__(message)
        self.alone = alone


class Teacher(Protocol):
    """An author of ten steps."""

    name: str
    model: str
    sees_images: bool
    can_repair: bool  # whether a second attempt can differ from the first
    endpoints: tuple[str, ...]  # URLs that it sends to; none if nothing leaves the process

    def identity(self) -> Mapping[str, Any]:
        """Everything that decides the answer besides the question: provider, address, model, every parameter."""
        ...

    async def ask(self, question: Question) -> bytes:
        """Ask once; the answer as it came.

        Raises:
            Unanswered: see there.
            TeacherError: the teacher cannot be asked at all, and this question was not paid for; the run ends.
        """
        ...

    def read(self, raw: bytes) -> Reply:
        """Read an answer. Pure.

        Raises:
            Unanswered: the bytes say that the author declined, or are no answer.
        """
        ...

    async def close(self) -> None:
        """Close connections; in the event loop that asked."""
        ...


def load(spec: TeacherSpec) -> Teacher:
    """The teacher that a recipe names.

    Raises:
        RecipeError: no such kind, or options it does not take.
    """
    package = f"{__package__}.teachers"
    own = [m.name for m in pkgutil.iter_modules(importlib.import_module(package).__path__)]
    others = plugins.names("teachers", own)
    kind = spec.kind.replace("-", "_")
    if kind not in (*own, *others):
        kinds = sorted((*own, *others))
        raise RecipeError(f"there is no teacher '{spec.kind}'; known: {', '.join(kinds)}", field="teachers.kind")
    module = importlib.import_module(f"{package}.{kind}") if kind in own else plugins.load("teachers", kind)
    if (secret := secret_in(spec.options)) is not None:
        raise RecipeError(KEPT_OUT.format(secret[1]), field=f"teachers.options.{secret[0]}")
    try:
        options = module.Options.model_validate(spec.options)
    except ValidationError as error:
        message, field = first_fault(error)
        raise RecipeError(f"teacher '{spec.kind}': {message}", field=f"teachers.options.{field or ''}") from None
    teacher: Teacher = module.Teacher(spec.name or spec.kind, options)
    return teacher


def request_key(teacher: Teacher, question: Question) -> str:
    """The name under which a question is journalled; the same key is never paid for twice.

    sha256 over the teacher's identity, the prompt as sent, the reference, every image's bytes, the attempt and
    the sample index; and over the study's id, so that an answer belongs to one study even where two are alike.
    """
    parts = {
        "teacher": dict(teacher.identity()),
        "prompt": question.prompt.sha256,
        "study": question.study.id,
        "report": question.study.report_sha256,
        "images": [image.sha256 for image in question.study.images] if teacher.sees_images else [],
        "attempt": question.attempt,
        "sample": question.sample,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def identity_sha256(teacher: Teacher) -> str:
    """The name under which a run's manifest holds a teacher's identity, and its requests refer to it."""
    return hashlib.sha256(json.dumps(dict(teacher.identity()), sort_keys=True).encode()).hexdigest()
