"""From a form to the journal: a reader's decision, an edited trace as a candidate, and the resolution of a verdict.

A decision is written twice, both append-only: as a reading, with everything the reader said, and, where the recipe lets
readers decide, as a new verdict of the candidate with its `resolution`, which all tables, counts and exports follow.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from ...data.journal import Journal
from ...data.judged import Judged, judged, judged_event
from ...data.readings import Readings, final
from ...data.run import RunFolder
from ...schemas.candidate import Candidate, Usage
from ...schemas.errors import InputError, first_fault
from ...schemas.layout import parse, write
from ...schemas.reading import Kind, Reading, StepReading
from ...schemas.run import State
from ...schemas.study import Study
from ...schemas.trace import STEPS, Step
from ...schemas.verdict import Resolution, Verdict
from ...validators.gate import judge

_STEP = 4_000  # characters that a rewritten step may have


class Form(NamedTuple):
    """What a reader sent."""

    fields: Mapping[str, Sequence[str]]

    def one(self, name: str, default: str = "") -> str:
        """The last value of a field."""
        values = self.fields.get(name)
        return values[-1] if values else default

    def number(self, name: str) -> float:
        """A field that must be a number of at least 0.

        Raises:
            InputError: it is not.
        """
        try:
            value = float(self.one(name))
        except ValueError:
            value = -1.0
        if not 0 <= value < 1e9:
            raise InputError(f"the form's {name} is not a number; load the page again")
        return value


def rewritten(form: Form, candidate: Candidate) -> dict[int, str]:
    """Steps, by position, that the form holds with another text than the candidate's.

    Raises:
        InputError: a step is empty, too long or more than one line.
    """
    found: dict[int, str] = {}
    for position, step in enumerate(_steps(candidate), 1):
        values = form.fields.get(f"text-{position}")
        text = " ".join(values[-1].split()) if values else step.text
        if text != " ".join(step.text.split()):
            if not text or len(text) > _STEP:
                raise InputError(f"step {position}: a step has 1 to {_STEP} characters; mark it unneeded to drop it")
            found[position] = text
    return found


def edited(candidate: Candidate, texts: Mapping[int, str], reader: str) -> Candidate:
    """The candidate with some steps rewritten, as a new candidate of author `reader`."""
    assert candidate.trace is not None
    steps = [texts.get(position, step.text) for position, step in enumerate(candidate.trace.steps, 1)]
    report = candidate.trace.report
    numbered = "\n".join(f"{number}. {text}" for number, text in enumerate(steps, 1))
    text = numbered if report is None else write(steps, report)
    key = hashlib.sha256(f"reader\0{reader}\0{candidate.key}\0{text}".encode()).hexdigest()
    return candidate.model_copy(
        update={
            "key": key,
            "author": "reader",
            "teacher": reader,
            "model": "person",
            "attempt": candidate.attempt + 1,
            "parent": candidate.key,
            "text": text,
            "reasoning": None,
            "trace": parse(text),
            "usage": Usage(),
            "cost_usd": 0.0,  # no request was made
            "stop_reason": None,
            "label": None,
            "started_at": time.time(),
            "seconds": 0.0,
        }
    )


def _steps(candidate: Candidate) -> tuple[Step, ...]:
    return candidate.trace.steps if candidate.trace else ()


class DecisionWriter:
    """Writes decisions of one run. It may work while `curate` writes to the same journal: SQLite takes turns."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self.readings = Readings(run.path, writable=True)
        self._journal = Journal(run.path / "journal.db", writable=True)
        self._severities = run.manifest.recipe.get("severities") or {}
        self._rules = run.manifest.recipe.get("rules") or ()
        self._overrides = run.manifest.recipe.get("reader_overrides") or "both"

    def judged_edit(self, study: Study, candidate: Candidate) -> Verdict:
        """What the rules say of an edit."""
        return judge(study, candidate, self._severities, self._rules)

    def save(
        self,
        form: Form,
        original: Judged,
        study: Study,
        *,
        reader: str,
        kind: Kind,
        queue: str,
        saw_findings: bool,
        saw_others: bool,
    ) -> Reading | None:
        """Write a decision, with the edit that goes with it.

        Returns:
            the reading; None if the same form was sent before, and nothing was written.

        Raises:
            InputError: the form is not whole.
        """
        candidate = original.candidate
        base = int(form.number("base"))
        if self.readings.revision(candidate.key, reader, kind) != base:
            return None
        texts = rewritten(form, candidate)
        decision = form.one("decision")
        if decision == "accept" and [step.number for step in _steps(candidate)] != list(range(1, STEPS + 1)):
            raise InputError(f"a trace without steps 1 to {STEPS} cannot become an example; reject it")
        new = edited(candidate, texts, reader) if texts and decision == "accept" else None
        common: dict[str, Any] = {
            "study_id": candidate.study_id,
            "reader": reader,
            "kind": kind,
            "comment": form.one("comment")[:4_000],
            "codes": tuple(dict.fromkeys(form.fields.get("code", ()))),
            "saw_findings": saw_findings,
            "saw_others": saw_others,
            "queue": queue,
            "seconds": form.number("seconds"),
            "at": time.time(),
        }
        named = (name.removeprefix("mark-") for name in form.fields if name.startswith("mark-"))
        marks = {int(step): form.one(f"mark-{step}") for step in named if step.isdecimal()}
        steps = tuple(
            StepReading.model_validate({"step": step, "mark": marks.get(step) or None, "text": texts.get(step)})
            for step in sorted({*marks, *texts})
            if marks.get(step) or step in texts
        )
        try:
            reading = Reading.model_validate(
                common
                | {
                    "key": candidate.key,
                    "revision": base + 1,
                    # whoever rewrites a step accepts the new text, not the old
                    "decision": "reject" if new else decision,
                    "steps": steps,
                    "reference": form.one("reference") or None,
                    "edited": new.key if new else None,
                }
            )
        except ValidationError as error:
            raise InputError("the form is not whole; load the page again", field=first_fault(error)[1]) from None
        if not self.readings.append(reading):
            return None
        self._settle(original)
        if new is not None:
            verdict = self.judged_edit(study, new)
            self._journal.append(judged_event(new, verdict)).result()
            revision = self.readings.revision(new.key, reader, kind) + 1
            accepted = Reading.model_validate(
                common | {"key": new.key, "revision": revision, "decision": "accept", "codes": (), "reference": None}
            )
            self.readings.append(accepted)
            self._settle(Judged(new, verdict))
        return reading

    def add(self, readings: Sequence[Reading]) -> None:
        """Take in readings that were made elsewhere, each as the next revision of its reader."""
        for reading in readings:
            revision = self.readings.revision(reading.key, reading.reader, reading.kind) + 1
            self.readings.append(reading.model_copy(update={"revision": revision}))
            event = self._journal.last(reading.key, State.JUDGED)
            if event is not None:
                self._settle(judged(event))

    def withdraw(self, original: Judged, *, reader: str, kind: Kind) -> bool:
        """Take back a reader's last decision on a candidate, and on the edit that came from it."""
        key = original.candidate.key
        last = next((r for r in self.readings.current(key) if r.reader == reader and r.kind == kind), None)
        if last is None:
            return False
        self._append_withdrawal(last)
        self._settle(original)
        if last.edited:
            for child in self.readings.current(last.edited):
                if child.reader == reader:
                    self._append_withdrawal(child)
        return True

    def _append_withdrawal(self, last: Reading) -> None:
        self.readings.append(
            last.model_copy(update={"revision": last.revision + 1, "decision": None, "at": time.time(), "edited": None})
        )

    def _settle(self, original: Judged) -> None:
        """Append a verdict with what the readings now amount to, if that changes it."""
        candidate, verdict = original
        found = final(self.readings.current(candidate.key))
        resolution = verdict.resolution
        without = None if resolution is not None and resolution.by == "reader" else resolution
        bare = verdict.model_copy(update={"resolution": without})
        new = bare
        if found.decision is not None and _allowed(self._overrides, bare.outcome, found.decision):
            settled = Resolution(
                by="reader", outcome=found.decision, name=", ".join(found.readers), note=found.provenance
            )
            new = verdict.model_copy(update={"resolution": settled})
        if new != verdict:
            self._journal.append(judged_event(candidate, new)).result()

    def close(self) -> None:
        """Let go of the files."""
        self.readings.close()
        self._journal.close()


def _allowed(overrides: str, outcome: str, decision: str) -> bool:
    """Whether the recipe's `reader_overrides` lets a reader turn this outcome into this decision."""
    if outcome == "doubt" or outcome == decision:
        return True
    return overrides == "both" or (overrides == "reject" and decision == "reject")
