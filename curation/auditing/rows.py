"""A row of anybody's dataset as a text to judge, in whatever form it is kept.

    text            the steps, then the report (the form of design and documents: id, text, reference_report, ...)
    messages        chat: [{"role": "user"}, {"role": "assistant", "content": text or parts}]; the last answer counts,
                    with its reasoning_content, if it has some
    conversations   ShareGPT: [{"from": "human"}, {"from": "gpt", "value": text}]
    completion      prompt and completion, each a text or messages
    trace           our own accepted.jsonl: study, trace and layout
    columns         reasoning and answer in columns of their own (question, reasoning, answer), steps as a list, or an
                    answer alone: Alpaca's instruction, input, output; response; generation

Any of them may also have id, reference_report, views, labels, patient_id, has_prior, author and split. A mapping
names other columns for these. It knows fields. It does not know files, and it judges nothing.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from ...data.ids import is_missing
from ...schemas.base import Noun, Status
from ...schemas.candidate import Author
from ...schemas.errors import InputError, first_fault
from ...schemas.example import Example

Form = Literal["text", "messages", "conversations", "completion", "trace", "columns"]
FORMS: tuple[Form, ...] = ("text", "messages", "conversations", "completion", "trace")
REASONING = (
    "reasoning", "reasoning_content", "reasoning_steps", "rationale", "chain_of_thought", "cot", "thinking", "thought",
    "thoughts", "explanation", "steps",
)  # fmt: skip
ANSWERS = ("answer", "final_answer", "final", "output", "response", "generation", "conclusion", "report")
_SURROGATE = re.compile("[\ud800-\udfff]")
_AUTHORS = frozenset({"assistant", "gpt", "model", "chatgpt", "bot"})


class AuditRow(Noun, extra="ignore"):
    """One row; other keys are left alone."""

    id: str = Field(min_length=1)
    text: str = Field(description="The steps, then the report.")
    answer: str | None = Field(None, description="The report, where it has a column of its own.")
    reasoning: str | None = Field(None, description="The steps, where they have a column of their own.")
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
        if isinstance(value, float) and value.is_integer():  # a column of numbers with gaps
            value = int(value)
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
        """Whether the row has a reference besides the text."""
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


def read_mapping(text: str) -> dict[str, str]:
    """`reasoning=cot,answer=final,id=uid`: what a row's fields are called there.

    Raises:
        InputError: it is no such list, or names a field that no row has.
    """
    known = fields_of_rows()
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column or name not in known or name in found:
            wanted = f"a list such as reasoning=cot,answer=final is wanted, of {', '.join(known)}"
            raise InputError(f"'{part}' is none of it: {wanted}", field="--columns")
        found[name] = column
    return found


def fields_of_rows() -> list[str]:
    """What may be called otherwise in a dataset."""
    return sorted({*AuditRow.model_fields, *FORMS} - {"trace"})


def form_of(fields: Mapping[str, Any]) -> Form:
    """Which form a row has; `text` where it has a text, and where it has nothing.

    Raises:
        BadRow: it has several of the others.
    """
    if isinstance(fields.get("text"), str) and not any(_filled(fields.get(name)) for name in REASONING[:2]):
        return "text"
    found = [form for form in FORMS if fields.get(form) is not None and (form != "trace" or "study" in fields)]
    if len(found) > 1 and found != ["text", "completion"]:
        raise BadRow(f"holds {' and '.join(found)}; which of them is the trace?", found[1])
    if found and found[0] != "text":
        return found[0]
    if any(_filled(fields.get(name)) for name in (*REASONING, *ANSWERS)):
        return "columns"
    return found[0] if found else "text"


def read_row(fields: Mapping[str, Any], default_id: str, columns: Mapping[str, str] = {}) -> tuple[AuditRow, Form]:
    """Read a row.

    Args:
        fields: as they lie in the file.
        default_id: for rows without an id of their own.
        columns: field to the column that holds it, where it is called otherwise.

    Raises:
        BadRow: a field is missing or wrong; names it.
    """
    given: dict[str, Any] = dict(fields)
    for name, column in columns.items():
        if column not in fields:
            raise BadRow(f"there is no such column; the row has {', '.join(map(str, list(fields)[:12]))}", column)
        given[name] = fields[column]
    if columns:  # what is named counts, and not what else might be the text
        given = {k: v for k, v in given.items() if k in columns or k not in (*FORMS, *REASONING, *ANSWERS)}
    form = form_of(given)
    whole: dict[str, Any] = {"reasoning": None, "answer": None}
    match form:
        case "messages" | "conversations":
            given |= whole | _last_answer(given[form], form)
        case "completion":
            answer = given["completion"]
            given |= whole | ({"text": answer} if isinstance(answer, str) else _last_answer(answer, form))
        case "trace":
            given = _example(given)
        case "columns":
            given |= whole | _columns(given)
        case "text":
            given |= whole
    if not _filled(given.get("id")) and not isinstance(given.get("id"), int | float):
        given["id"] = default_id
    if not _filled(given.get("reference_report")):
        given["reference_report"] = None
    try:
        return AuditRow.model_validate(given), form
    except ValidationError as error:
        raise BadRow(*first_fault(error)) from None


def _filled(value: object) -> bool:
    """Whether a cell holds something: an empty one is None, not a number, or one of the words that tables write."""
    if isinstance(value, str):
        return not is_missing(value)
    return isinstance(value, list | tuple) and bool(value)


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """Reasoning and answer as one text, and each by itself."""
    reasoning = next((given[name] for name in REASONING if _filled(given.get(name))), None)
    answers = [name for name in ANSWERS if _filled(given.get(name))]
    answer = given[answers[0]] if answers else given["text"] if reasoning and _filled(given.get("text")) else None
    if isinstance(reasoning, list | tuple):
        steps = [step.get("text") if isinstance(step, Mapping) else step for step in reasoning]
        texts = [step for step in steps if isinstance(step, str)]
        if len(texts) < len(steps):
            raise BadRow("a list of texts is wanted", next(name for name in REASONING if _filled(given.get(name))))
        reasoning = "\n".join(f"{at}. {' '.join(step.split())}" for at, step in enumerate(texts, 1))
    if answer is not None and not isinstance(answer, str):
        raise BadRow("a text is wanted", answers[0])
    if reasoning is None:
        return {"text": answer}
    text = reasoning if answer is None else f"{reasoning}\n\n{answer}"
    more: dict[str, Any] = {"text": text, "reasoning": reasoning, "answer": answer}
    if answer is not None and len(answers) > 1 and "report" in answers and not _filled(given.get("reference_report")):
        more["reference_report"] = given[
            "report"
        ]  # where there is an answer as well, the report is what it is held against
    return more


def _last_answer(turns: object, form: str) -> dict[str, Any]:
    if not isinstance(turns, list | tuple):
        raise BadRow("a list of messages is wanted", form)
    for turn in reversed(turns):
        if isinstance(turn, Mapping) and str(turn.get("role") or turn.get("from")).lower() in _AUTHORS:
            content = turn.get("content") if turn.get("content") is not None else turn.get("value")
            text = content if isinstance(content, str) else _parts(content)
            if text is None:
                break
            thought = next((turn[name] for name in REASONING if _filled(turn.get(name))), None)
            if isinstance(thought, str):
                return {"text": f"{thought}\n\n{text}", "reasoning": thought, "answer": text}
            return {"text": text}
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
        message, field = first_fault(error)
        raise BadRow(f"is no example: {message}", field) from None
    study = example.study
    return {
        "id": study.id,
        "text": example.target,
        "reference_report": study.report,
        **study.model_dump(include={"views", "labels", "patient_id", "has_prior", "split"}),
        "author": example.provenance.author,
    }
