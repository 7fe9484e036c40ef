"""What a rule is, and the convention that its file follows.

A rule is a module of this room with five names, listed in `gate.RULES`:

    GROUP   what it is about, one of the six in `Group`
    CODES   every code it can find, with the severity it has unless a recipe says otherwise
    rule    a pure function of a study and a candidate that yields findings; it may rely on `trace_of`
    PASSES  cases in which it finds nothing
    FAILS   cases in which it finds the case's code: at least one for every code

Cases are plain data, so that a reader sees in the rule's own file what it lets through and what it stops;
one test runs them all. A rule reads nothing but its arguments, knows no other rule, never raises on any text,
and takes time linear in it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple, Protocol

from ..schemas.candidate import Author, Candidate
from ..schemas.study import ReportForm, Study
from ..schemas.trace import Trace
from ..schemas.verdict import Finding, Severity
from .reading import read_candidate

# In the gate's order: an answer that can be read; ten numbered steps; the report's bytes; how a step is written; what
# a step may speak of; what it claims, compared with the reference.
Group = Literal["completion", "structure", "report", "form", "honesty", "grounding"]

REFERENCE = """\
Technique: Single frontal radiograph of the chest.
View: PA
Findings: The heart is normal in size. The lungs are clear. No pleural effusion or pneumothorax.
Impression: No acute cardiopulmonary abnormality."""

STEPS = (
    "Technique: single frontal view, upright, with adequate inspiration.",
    "Devices: no tube, line or implanted device is seen.",
    "Cardiomediastinum: the heart is normal in size.",
    "Airway: the trachea is midline.",
    "Lungs: both lungs are clear.",
    "Pleura: the costophrenic angles are sharp, so there is no pleural effusion.",
    "Pneumothorax: lung markings reach the chest wall, so there is no pneumothorax.",
    "Vessels: the pulmonary vessels are of normal calibre.",
    "Bones: no acute fracture is seen.",
    "Synthesis: with a normal heart and clear lungs, there is no acute abnormality.",
)
_LINES = [f"{number}. {text}" for number, text in enumerate(STEPS, 1)]


def ten(changed: Mapping[int, str] | None = None, report: str | None = REFERENCE) -> str:
    """A well-formed text in plain layout.

    Args:
        changed: texts that stand in place of STEPS, by step number from 1.
        report: what follows the steps; none for steps alone.
    """
    lines = [*_LINES]
    for number, text in (changed or {}).items():
        lines[number - 1] = f"{number}. {text}"
    block = "\n".join(lines)
    return block if report is None else f"{block}\n\n{report}"


class Case(NamedTuple):
    """A text with its reference, and the code that the rule finds in it (none for a case that passes)."""

    text: str
    code: str | None = None
    reference: str = REFERENCE
    form: ReportForm = "four-header"
    author: Author = "teacher"
    writes_report: bool = True
    stop_reason: str | None = None
    views: tuple[str, ...] = ("PA",)
    has_prior: bool = False

    @property
    def study(self) -> Study:
        """The study that the text is about."""
        return Study(
            id="case/1",
            patient_id="case/1",
            source="case",
            data_class="public",
            views=self.views,
            report=self.reference,
            report_form=self.form,
            has_prior=self.has_prior,
        )

    @property
    def candidate(self) -> Candidate:
        """The text as its author's answer."""
        return read_candidate(
            self.text,
            self.study.id,
            author=self.author,
            writes_report=self.writes_report,
            stop_reason=self.stop_reason,
        )


class Rule(Protocol):
    """The shape of a rule's module."""

    __name__: str

    @property
    def GROUP(self) -> Group: ...

    @property
    def CODES(self) -> Mapping[str, Severity]: ...

    @property
    def PASSES(self) -> tuple[Case, ...]: ...

    @property
    def FAILS(self) -> tuple[Case, ...]: ...

    @property
    def rule(self) -> Callable[[Study, Candidate], Iterator[Finding]]: ...


class Finder:
    """Makes a rule's findings: `find = Finder(__name__, CODES)`, then `yield find("code", "message", step=3)`."""

    def __init__(self, module: str, codes: Mapping[str, Severity]) -> None:
        self._rule = module.rpartition(".")[2]
        self._codes = codes

    def __call__(
        self,
        code: str,
        message: str,
        *,
        step: int | None = None,
        span: tuple[int, int] | None = None,
        evidence: str | None = None,
    ) -> Finding:
        """One finding with its code's own severity; the arguments are the fields of `Finding`."""
        return Finding(
            rule=self._rule,
            code=code,
            severity=self._codes[code],
            step=step,
            span=span,
            message=message,
            evidence=evidence,
        )


def trace_of(candidate: Candidate) -> Trace:
    """The candidate's trace; the gate asks no rule but `completion` about a candidate without one."""
    assert candidate.trace is not None, "unreadable candidates stop at the gate"
    return candidate.trace
