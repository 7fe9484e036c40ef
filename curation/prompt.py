"""Prompts: files with a version, filled with one study, hashed as they are sent.

A study travels as one JSON object, so nothing that a report says can end the data and begin an instruction. A
prompt file is checked when it is read: what it tells the author to write and the form of the target must agree.
This file knows what is asked. It does not know who answers.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from string import Template
from typing import Any, Self, get_args

from pydantic import Field, model_validator

from ..schemas.candidate import Candidate
from ..schemas.errors import RecipeError
from ..schemas.study import ReportForm, Study
from ..schemas.trace import STEPS
from ..schemas.verdict import Finding
from .prompt_file import VersionedFile, read_prompt_file

PACKAGE = __package__ or ""
_FORM = frozenset({"numbering", "wrapping"})  # rules about how an answer is written
_NUMBERED = frozenset({"step_count", "step_order"})  # codes about numbers that an object does not have


class PromptFile(VersionedFile):
    """A prompt as it lies in curation/prompts."""

    writes_plan: bool = Field(False, description="The answer opens with a plan, which is kept as reasoning.")
    writes_report: bool = Field(description="The author writes a report as well; it is compared, never a target.")
    shows_reference: bool = Field(description="The author is given the reference.")
    system: str = Field(description="The instructions; the same for every study.")
    user: str = Field(description="$data is the study; $report_form says what a report looks like.")
    report_forms: dict[ReportForm, str] = Field(default_factory=dict)
    repair: str | None = Field(None, description="The user text of a second attempt; $previous is what was wrong.")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the answer, in order."""
        steps = tuple(f"step_{number:02}" for number in range(1, STEPS + 1))
        return ("plan",) * self.writes_plan + steps + ("report",) * self.writes_report

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        words = " ".join(self.system.split())
        for key, wanted in {"plan": self.writes_plan, "report": self.writes_report}.items():
            if (f'"{key}"' in words) != wanted:
                raise ValueError(f'the system text {"must" if wanted else "must not"} ask for the key "{key}"')
        if f'"{self.keys[self.writes_plan]}" to "step_{STEPS}"' not in words:
            raise ValueError(f'the system text must ask for the keys "step_01" to "step_{STEPS}"')
        if self.writes_report and set(self.report_forms) != set(get_args(ReportForm)):
            raise ValueError("report_forms must say how a report of each form looks")
        if not self.shows_reference and self.repair is not None:
            raise ValueError("a repair quotes the reference, which this prompt does not show")
        user = {"data", "report_form"} if self.writes_report else {"data"}
        for text, names in ((self.user, user), (self.repair, {"data", "previous"})):
            if text is not None and set(Template(text).get_identifiers()) != names:
                raise ValueError(f"user needs {sorted(user)}, repair needs ['data', 'previous'], each after a $")
        return self


@dataclass(frozen=True)
class FilledPrompt:
    """A prompt filled for one attempt at one study."""

    id: str
    system: str
    user: str
    writes_report: bool
    keys: tuple[str, ...]  # of the requested object
    schema: Mapping[str, Any] | None = None  # of what stands under each key, where that is no text

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that is sent as text, and of the form that the answer must have."""
        parts: list[Any] = [self.system, self.user, self.keys]
        parts += [dict(self.schema)] if self.schema is not None else []
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Prompts:
    """One prompt file, ready to be filled: one of curation/prompts by its name, or one of a user's by its path.

    Attributes:
        id: name and version, e.g. informed@1.
        sha256: of the file.
        repairs: whether there is a second attempt; a prompt without the reference has none, since it would tell.
        needs_images: whether there is nothing to answer from without them.
    """

    def __init__(self, name: str) -> None:
        source = name if name.endswith((".yaml", ".yml")) else _shipped(name)
        self._file, self.id, self.sha256 = read_prompt_file(PromptFile, source, "prompt file", "prompt")
        self.repairs = self._file.repair is not None
        self.needs_images = not self._file.shows_reference

    def fill(
        self,
        study: Study,
        previous: Candidate | None = None,
        findings: Sequence[Finding] = (),
        *,
        in_rules_words: bool = False,
    ) -> FilledPrompt:
        """Fill in a study, and, for a repair, the candidate to be repaired and what was found in it.

        Args:
            study: to be explained.
            previous: the candidate to be repaired.
            findings: what was found in it.
            in_rules_words: repairs are worded as in earlier versions, so that answers already paid for are found again.
        """
        data: dict[str, Any] = {"views": list(study.views)}
        if self._file.shows_reference:
            data["reference_report"] = study.report
        fields = {"data": _indented(data)}
        if self._file.writes_report:
            fields["report_form"] = self._file.report_forms[study.report_form].strip()
        template = self._file.user
        if previous is not None:
            if self._file.repair is None:
                raise RecipeError(f"the prompt {self.id} has no second attempt", field="prompt")
            template = self._file.repair
            fields["previous"] = json.dumps(
                _previous(previous, findings, () if in_rules_words else self._file.keys), ensure_ascii=False, indent=1
            )
        user = Template(template).substitute(fields)
        return FilledPrompt(self.id, self._file.system, user, self._file.writes_report, self._file.keys)


def _indented(data: Mapping[str, str | Sequence[str]]) -> str:
    """What `json.dumps(data, ensure_ascii=False, indent=1)` gives, which is Python's own slow encoder."""
    lines = []
    for key, value in data.items():
        texts = [json.dumps(one, ensure_ascii=False) for one in ([value] if isinstance(value, str) else value)]
        whole = texts[0] if isinstance(value, str) else "[\n  " + ",\n  ".join(texts) + "\n ]" if texts else "[]"
        lines.append(f"{json.dumps(key)}: {whole}")
    return "{\n " + ",\n ".join(lines) + "\n}"


def _shipped(name: str) -> Traversable:
    folder = resources.files(PACKAGE).joinpath("prompts")
    file = folder.joinpath(f"{name}.yaml")
    if not file.is_file():
        known = ", ".join(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))
        message = f"there is no prompt '{name}'; known: {known}, or the path of a .yaml file"
        raise RecipeError(message, field="prompt")
    return file


def _previous(previous: Candidate, findings: Sequence[Finding], keys: Sequence[str]) -> dict[str, Any]:
    """An earlier answer with its errors as problems and its doubts as questions."""
    asked = [
        {
            "step": f.step,
            "question": f"{f.message} Is the step right? Keep it if it is; change it if it is not.",
            "the_reference_says": f.evidence,
        }
        for f in findings
        if f.severity == "doubt"
    ]
    return {
        "earlier_answer": previous.text,
        "to_change": list(_problems(previous, [f for f in findings if f.severity != "doubt"], keys)),
        **({"to_answer": asked} if asked else {}),
    }


def _problems(previous: Candidate, findings: Sequence[Finding], keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What has to change. Rules name numbered lines; if the teacher answers with an object, its keys are named."""
    has_keys = previous.trace is not None and previous.trace.layout == "json"
    form = [f for f in findings if keys and (f.rule in _FORM or (f.code in _NUMBERED and not has_keys))]
    if form:
        what = ", ".join(dict.fromkeys(f.code.replace("_", " ") for f in form))
        problem = (  # part of request keys: other words ask, and pay, for every repair again
            f"The answer did not have the form that was asked for ({what}). Answer with one JSON object with the keys "
            f"{', '.join(keys)}, each a string on one line, without its number; no other key, and nothing before or "
            "behind the object."
        )
        yield {"step": None, "problem": problem, "the_reference_says": None}
    for f in findings:
        if f not in form:
            yield {"step": f.step, "problem": f.message, "the_reference_says": f.evidence}
