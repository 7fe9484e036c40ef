"""The verifier: asks about one trace, once more if the answer cannot be used, and turns what it says into a verdict.

    rules' verdict ──► question ──► answer, checked by code ──► clean: a doubt is lifted if the verifier is calibrated
                          ▲                 │                   not clean: errors, with quotation and evidence
                          └── once more ────┘ unreadable        still unreadable: the trace is left in doubt

A reader's word is never touched, and neither is a trace that the rules reject. Nothing is lifted where a step or the
reference holds an instruction to whoever checks it. It asks through a session as a teacher does; it does not know how.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ...schemas.candidate import Candidate
from ...schemas.curate_recipe import Reach, VerifierSpec
from ...schemas.recipe import TeacherSpec
from ...schemas.study import Study
from ...schemas.verdict import Doubts, Finding, Resolution, Verdict
from ..judging.families import check_family
from ..requests.asker import Asker
from ..requests.budget import Lane
from ..teacher import Teacher, load
from .answer import VERIFIER, UnreadableVerification, Verification, read_verification, rules_alone
from .calibration import check_calibration, read_calibration
from .instructions import hidden_instruction
from .question import VerifierPrompt

State = Literal["lifted", "rejected", "held", "passed", "unreadable", "waiting", "unanswered", "unasked"]
NAME = "verifier"
# doubts that are about more than the claims of one trace: to find every claim supported does not resolve them
BEYOND_CLAIMS = frozenset({"template_trace", "says_nothing"})
_NOT_CALIBRATED = "no calibration is named, so the verifier may reject and hold, and lifts no doubt"


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of one trace."""

    verdict: Verdict
    state: State
    cost_usd: float | None = 0.0  # none if a price is unknown
    answers: int = 0  # that were read


def authors(teachers: Sequence[Teacher]) -> list[tuple[str, str]]:
    """Providers and models of teachers."""
    return [(str(teacher.identity().get("provider", "")), teacher.model) for teacher in teachers]


def load_verifier(spec: VerifierSpec, written_by: Sequence[tuple[str, str]]) -> Teacher:
    """The model that a recipe names as its verifier.

    Args:
        spec: the recipe's.
        written_by: (provider or teacher, model) of whoever wrote or writes the traces.

    Raises:
        RecipeError: there is no such kind, or it is of an author's family.
    """
    verifier = load(TeacherSpec(kind=spec.kind, name=spec.name or NAME, options=spec.options))
    if not spec.same_family:
        check_family(verifier, "the verifier", written_by, "verifier")
    return verifier


class Verifier:
    """See the module.

    Args:
        lane: the verifier's, of the session.
        asker: the session's.
        spec: the recipe's.
        reach: which traces it reads.
        doubts: what the recipe says of doubts; it reads those in doubt only if they are to be verified.

    Raises:
        RecipeError: the prompt or the calibration cannot be read, or the calibration is of another model or prompt.
    """

    def __init__(self, lane: Lane, asker: Asker, spec: VerifierSpec, reach: Reach, doubts: Doubts = "verify") -> None:
        self.lane = lane
        self._asker = asker
        self._asking = VerifierPrompt(spec.prompt)
        self._reach, self._doubts = reach, doubts
        self.note: str | None = _NOT_CALIBRATED  # why nothing is lifted
        if spec.calibration is not None:
            found = read_calibration(Path(spec.calibration))
            asking, model = self._asking, lane.teacher.model
            check_calibration(found, spec.calibration, model=model, prompt_id=asking.id, prompt_sha256=asking.sha256)
            self.note = None
            if missing := found.shortfalls(spec.trust):
                self.note = (
                    f"{spec.calibration}: {'; '.join(missing)}; so the verifier may reject and hold, and lifts no doubt"
                )

    def wants(self, verdict: Verdict) -> bool:
        """Whether it reads a trace with this verdict."""
        if self._reach == "off" or (verdict.resolution is not None and verdict.resolution.by == "reader"):
            return False
        rules = rules_alone(verdict)
        match rules.outcome:
            case "doubt":
                codes = {finding.code for finding in rules.findings if finding.severity == "doubt"}
                return self._doubts == "verify" and (self._reach == "all" or not codes <= BEYOND_CLAIMS)
            case "accept":
                return self._reach == "all"
        return False

    async def verify(self, study: Study, candidate: Candidate, verdict: Verdict) -> Verified:
        """Read one trace.

        Args:
            study: what it is about.
            candidate: with a trace.
            verdict: its last; what the verifier found before is found again.

        Raises:
            Stopped, Spent, PolicyError, TeacherError: as `Asker.ask`.
        """
        if not self.wants(verdict) or candidate.trace is None:
            return Verified(verdict, "unasked")
        rules, steps = rules_alone(verdict), candidate.trace.texts
        doubts = [finding for finding in rules.findings if finding.severity == "doubt"]
        reading = await read_trace(self._asker, self.lane, self._asking, study, steps, doubts, of=candidate.key)
        if isinstance(reading, NoAnswer):
            return Verified(verdict, "waiting" if reading.waits else "unanswered")
        decided = self._decided(study, steps, rules, reading)
        return replace(decided, cost_usd=reading.cost_usd, answers=reading.answers)

    def _decided(self, study: Study, steps: Sequence[str], rules: Verdict, reading: "VerifierReading") -> Verified:
        found = reading.found
        hidden = hidden_instruction((study.report, *steps))
        more: tuple[Finding, ...] = ()
        if hidden is not None:
            message = f"Holds an instruction to whoever checks it: {hidden[:200]!r}."
            more = (_finding("instruction", "doubt", message),)
        if isinstance(found, str):
            message = f"The verifier's answer could not be used, twice: {found[:300]}"
            return Verified(_with(rules, *more, _finding("unreadable", "doubt", message)), "unreadable")
        if not found.clean:
            return Verified(_with(rules, *more, *found.findings), "rejected")
        if more:
            return Verified(_with(rules, *more), "held")
        if all(statement.label != "supported" for statement in found.statements):
            message = "The verifier found no statement of this trace in the reference."
            return Verified(_with(rules, _finding("empty", "doubt", message)), "held")
        if any(finding.code in BEYOND_CLAIMS for finding in rules.findings if finding.severity == "doubt"):
            return Verified(rules, "held")
        if rules.outcome == "accept":
            return Verified(rules, "passed")
        if self.note is not None:
            message = "The verifier found nothing wrong; it is not calibrated, so the doubt stays."
            return Verified(_with(rules, _finding("uncalibrated", "warning", message)), "held")
        lifted = Resolution(by="verifier", outcome="accept", name=self.lane.teacher.model, key=reading.key)
        return Verified(rules.model_copy(update={"resolution": lifted}), "lifted")


@dataclass(frozen=True, slots=True)
class VerifierReading:
    """What a verifier says of a trace, or why that cannot be used; and the request that it comes from."""

    found: Verification | str
    key: str
    cost_usd: float | None  # of both answers, if there were two
    answers: int


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nothing came; `waits`: it comes in a later pass or call."""

    waits: bool


async def read_trace(
    asker: Asker,
    lane: Lane,
    asking: VerifierPrompt,
    study: Study,
    steps: Sequence[str],
    doubts: Sequence[Finding],
    *,
    of: str,
) -> VerifierReading | NoAnswer:
    """Ask about one trace, and once more if the answer cannot be used.

    Args:
        asker: of the session.
        lane: whom to ask.
        asking: the prompt.
        study: with the reference.
        steps: the steps' texts.
        doubts: what the rules doubt in them.
        of: what the answer is about, as the journal names it.

    Raises:
        Stopped, Spent, PolicyError, TeacherError: as `Asker.ask`.
    """
    found: str | None = None  # what was wrong with the first answer
    key = ""
    cost: float | None = 0.0
    for number in (1, 2):
        question = asking.question(study, steps, found)
        answer = await asker.ask(lane, question)
        if answer is None:
            return NoAnswer(asker.waits(lane, question))
        key = answer.key
        cost = None if cost is None or answer.cost_usd is None else cost + answer.cost_usd
        try:
            said = read_verification(answer.reply.text, study.report, steps, doubts)
        except UnreadableVerification as error:
            found = str(error)
            asker.conclude(answer, {"of": of, "problem": found})
        else:
            asker.conclude(answer, {"of": of, "verification": said.model_dump(mode="json")})
            return VerifierReading(said, key, cost, number)
    return VerifierReading(str(found), key, cost, number)


def _with(rules: Verdict, *findings: Finding) -> Verdict:
    return rules.model_copy(update={"findings": (*rules.findings, *findings)})


def _finding(what: str, severity: Any, message: str) -> Finding:
    return Finding(rule=VERIFIER, code=f"{VERIFIER}_{what}", severity=severity, message=message)
