"""A row of anybody's dataset as a text to judge, in whatever form it is kept.

    text            the steps, then the report (the form of design and documents: id, text, reference_report, ...)
    messages        chat: [{"role": "user"}, {"role": "assistant", "content": text or parts}]; the last answer counts
    conversations   ShareGPT: [{"from": "human"}, {"from": "gpt", "value": text}]
    completion      prompt and completion, each a text or messages
    trace           our own accepted.jsonl: study, trace and layout

Beside any of them may stand id, reference_report, views, labels, patient_id, has_prior, author and split. It knows
fields. It does not know files, and it judges nothing.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from ...schemas.base import Noun, Status
from ...schemas.candidate import Author
from ...schemas.example import Example

Form = Literal["text", "messages", "conversations", "completion", "trace"]
FORMS: tuple[Form, ...] = ("text", "messages", "conversations", "completion", "trace")
_SURROGATE = re.compile("[\ud800-\udfff]")
_AUTHORS = frozenset({"assistant", "gpt", "model", "chatgpt", "bot"})


class Row(Noun, extra="ignore"):
    """One row; other keys are left alone."""

    id: str = Field(min_length=1)
    text: str = Field(description="The steps, then the report.")
    reference_report: str | None = None
    views: tuple[str, ...] = ()
    labels: dict[str, Status] = Field(default_factory=dict)
    patient_id: str | None = None
    has_prior: bool = False
    author: Author = "teacher"
    split: str | None = None

    @field_validator("id", "patient_id", "split", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("views", mode="before")
    @classmethod
    def _one_view(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else () if value is None else value

    @field_validator("labels", mode="before")
    @classmethod
    def _known_labels(cls, value: object) -> object:
        # columns of a table are null where a row has none
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, Mapping) else value or {}

    @field_validator("has_prior", "author", mode="before")
    @classmethod
    def _unsaid(cls, value: object, info: Any) -> object:
        return cls.model_fields[info.field_name].default if value is None else value

    @field_validator("id", "patient_id", "split", "reference_report", "views", "labels")
    @classmethod
    def _whole(cls, value: object) -> object:
        # the text itself may be broken: that is for the rules to say
        for text in (value,) if isinstance(value, str) else value if isinstance(value, Iterable) else ():
            if _SURROGATE.search(text):
                raise ValueError("holds half a character (a lone surrogate); save it as UTF-8")
        return value

    @property
    def has_reference(self) -> bool:
        """Whether the reference came apart from the text."""
        return bool((self.reference_report or "").strip())


class BadRow(Exception):
    """A row that cannot be judged.

    Args:
        message: what is wrong with it.
        field: the field concerned.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


def form_of(fields: Mapping[str, Any]) -> Form:
    """Which form a row has; `text` where it has a text, and where it has nothing.

    Raises:
        BadRow: it has several of the others.
    """
    if isinstance(fields.get("text"), str):
        return "text"
    found = [form for form in FORMS if fields.get(form) is not None and (form != "trace" or "study" in fields)]
    if len(found) > 1:
        raise BadRow(f"holds {' and '.join(found)}; which of them is the trace?", found[1])
    return found[0] if found else "text"


def read_row(fields: Mapping[str, Any], default_id: str) -> tuple[Row, Form]:
    """Read a row.

    Args:
        fields: as they lie in the file.
        default_id: for forms that usually have no id of their own.

    Raises:
        BadRow: a field is missing or wrong; names it.
    """
    form = form_of(fields)
    given: dict[str, Any] = dict(fields)
    match form:
        case "messages" | "conversations":
            given["text"] = _last_answer(given[form], form)
        case "completion":
            answer = given["completion"]
            given["text"] = answer if isinstance(answer, str) else _last_answer(answer, form)
        case "trace":
            given = _example(given)
        case "text":
            pass
    if form != "text" and given.get("id") is None:
        given["id"] = default_id
    try:
        return Row.model_validate(given), form
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadRow(first["msg"], ".".join(map(str, first["loc"]))) from None


def _last_answer(turns: object, form: str) -> str:
    if not isinstance(turns, list | tuple):
        raise BadRow("a list of messages is wanted", form)
    for turn in reversed(turns):
        if isinstance(turn, Mapping) and str(turn.get("role") or turn.get("from")).lower() in _AUTHORS:
            content = turn.get("content") if turn.get("content") is not None else turn.get("value")
            text = content if isinstance(content, str) else _parts(content)
            if text is None:
                break
            return text
    raise BadRow("holds no answer of an assistant in text", form)


def _parts(content: object) -> str | None:
    """The text of a message that is kept in parts, some of which may be images."""
    if not isinstance(content, list | tuple):
        return None
    texts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type", "text") == "text"]
    known = [text for text in texts if isinstance(text, str)]
    return "\n".join(known) if known else None


def _example(fields: Mapping[str, Any]) -> dict[str, Any]:
    try:
        example = Example.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadRow(f"is no example: {first['msg']}", ".".join(map(str, first["loc"]))) from None
    study = example.study
    return {
        "id": study.id,
        "text": example.target,
        "reference_report": study.report,
        **study.model_dump(include={"views", "labels", "patient_id", "has_prior", "split"}),
        "author": example.provenance.author,
    }
