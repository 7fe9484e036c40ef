"""The rules as a reward, with the signature of TRL's GRPOTrainer: `reward_funcs=[structure, grounding, coverage]`.

Each function takes `completions` and the columns of the data set as keywords, and returns one number a completion,
from 0 to 1. The column `reference_report` is wanted; `views` and `has_prior` are used where they are. `total` is the
weighted sum of the first three, for trainers that take one function.

    structure   the share of the groups completion, structure, report, form and honesty without an error
    grounding   1 less what the grounding rules find: an error costs ERROR, a doubt DOUBT; 0 if nothing is claimed
    coverage    the share of what the reference has, or denies if it is normal, that the steps speak of
    accepted    1 if all rules accept the text, else 0: what is wanted in the end, and rare where a student is weak

A text without readable steps gets 0 but for its structure, so that saying nothing is never worth more than trying.
Known hazard: in published work (ChexReason) such rewards gained on their own data and lost on another set; keep a
held-out set that the rules do not judge.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.trace import Trace
from ..schemas.verdict import Verdict
from . import gate
from .check import as_pair
from .coverage import mentioned, uncovered
from .findings.reference import abnormal
from .grounding import reference_of
from .memory import remembered
from .rule import Group

WEIGHTS: Mapping[str, float] = {"structure": 0.3, "grounding": 0.5, "coverage": 0.2}
ERROR, DOUBT = 0.5, 0.15
_FORM: tuple[Group, ...] = ("completion", "structure", "report", "form", "honesty")
_GROUP_OF: Mapping[str, Group] = {rule.__name__.rpartition(".")[2]: rule.GROUP for rule in gate.RULES}
_COMPLETIONS = 512  # judged ones that are remembered: the four functions are asked one after another

_Row = tuple[str, str, tuple[str, ...], bool]  # text, reference, views, whether an earlier examination was supplied


class Scores(NamedTuple):
    """The three parts, each from 0 to 1."""

    structure: float
    grounding: float
    coverage: float


class JudgedCompletion(NamedTuple):
    """A completion that was judged."""

    trace: Trace | None  # none where it cannot be read
    verdict: Verdict
    scores: Scores


def structure(completions: Sequence[Any], **columns: Any) -> list[float]:
    """How well each completion keeps the form; see the module."""
    return [one.scores.structure for one in _all(completions, columns)]


def grounding(completions: Sequence[Any], **columns: Any) -> list[float]:
    """How far each completion agrees with its reference; see the module."""
    return [one.scores.grounding for one in _all(completions, columns)]


def coverage(completions: Sequence[Any], **columns: Any) -> list[float]:
    """How much of its reference each completion speaks of; see the module."""
    return [one.scores.coverage for one in _all(completions, columns)]


def accepted(completions: Sequence[Any], **columns: Any) -> list[float]:
    """Whether the rules accept each completion; see the module."""
    return [float(one.verdict.accepted) for one in _all(completions, columns)]


def total(completions: Sequence[Any], **columns: Any) -> list[float]:
    """The weighted sum of the three, from 0 to 1."""
    weights = WEIGHTS.values()
    return [sum(w * part for w, part in zip(weights, one.scores, strict=True)) for one in _all(completions, columns)]


def _all(completions: Sequence[Any], columns: Mapping[str, Any]) -> list[JudgedCompletion]:
    return [judged(*row) for row in _rows(completions, columns)]


def _rows(completions: Sequence[Any], columns: Mapping[str, Any]) -> list[_Row]:
    """What decides the reward of each completion."""
    references = columns.get("reference_report")
    if references is None or len(references) != len(completions):
        raise ValueError("a reward needs the column 'reference_report', one reference for each completion")
    views = columns.get("views") or [()] * len(completions)
    priors = columns.get("has_prior") or [False] * len(completions)
    return [
        (_text(completion), reference, tuple(shown), bool(prior))
        for completion, reference, shown, prior in zip(completions, references, views, priors, strict=True)
    ]


def _text(completion: Any) -> str:
    """A completion as text: a string, or the messages of a chat, of which the last is meant."""
    return completion if isinstance(completion, str) else str(completion[-1]["content"])


@remembered
@lru_cache(maxsize=_COMPLETIONS)
def judged(text: str, reference: str, views: tuple[str, ...] = (), has_prior: bool = False) -> JudgedCompletion:
    """One completion, judged by every rule, once for all parts.

    Args:
        text: ten steps and a report, as a student writes them.
        reference: the study's report.
        views: the views that were shown.
        has_prior: whether an earlier examination was supplied.
    """
    study, candidate = as_pair(text, "reward", reference, views=views, has_prior=has_prior, author="student")
    verdict = gate.judge(study, candidate)
    if candidate.trace is None:
        return JudgedCompletion(None, verdict, Scores(0.0, 0.0, 0.0))
    faulty = {_GROUP_OF[finding.rule] for finding in verdict.findings if finding.severity == "error"}
    form = sum(name not in faulty for name in _FORM) / len(_FORM)
    if not candidate.trace.steps:
        return JudgedCompletion(candidate.trace, verdict, Scores(form, 0.0, 0.0))
    return JudgedCompletion(
        candidate.trace, verdict, Scores(form, _grounded(verdict), _covered(study, candidate, verdict))
    )


def _grounded(verdict: Verdict) -> float:
    if any(finding.code == "says_nothing" for finding in verdict.findings):
        return 0.0
    cost = {"error": ERROR, "doubt": DOUBT, "warning": 0.0}
    found = (one for one in verdict.findings if _GROUP_OF[one.rule] == "grounding" and one.rule != "coverage")
    return max(0.0, 1.0 - sum(cost[finding.severity] for finding in found))


def _covered(study: Study, candidate: Candidate, verdict: Verdict) -> float:
    claims = list(abnormal(reference_of(study)))
    if claims:
        return 1.0 - len(uncovered(claims, mentioned(candidate))) / len(claims)
    codes = {finding.code for finding in verdict.findings}
    return 0.0 if codes & {"normal_unsaid", "says_nothing"} else 0.5 if "normal_partly_unsaid" in codes else 1.0
