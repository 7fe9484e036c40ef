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
from ..schemas.verdict import Finding
from . import coverage as coverage_rule
from . import gate, substance
from .check import as_pair
from .findings.reference import abnormal
from .grounding import reference_of
from .memory import remembered
from .rule import Group

WEIGHTS: Mapping[str, float] = {"structure": 0.3, "grounding": 0.5, "coverage": 0.2}
ERROR, DOUBT = 0.5, 0.15
_GROUPS: tuple[Group, ...] = ("completion", "structure", "report", "form", "honesty")
_OF_PARTS = tuple(rule for rule in gate.group("grounding") if rule is not coverage_rule)
_COMPLETIONS = 512  # judged ones that are remembered: the three functions are asked one after another


_Row = tuple[str, str, tuple[str, ...], bool]  # text, reference, views, whether an earlier examination was supplied


class Scores(NamedTuple):
    """The three parts, each from 0 to 1."""

    structure: float
    grounding: float
    coverage: float


def structure(completions: Sequence[Any], **columns: Any) -> list[float]:
    """How well each completion keeps the form; see the module."""
    return [scores.structure for scores in _all(completions, columns)]


def grounding(completions: Sequence[Any], **columns: Any) -> list[float]:
    """How far each completion agrees with its reference; see the module."""
    return [scores.grounding for scores in _all(completions, columns)]


def coverage(completions: Sequence[Any], **columns: Any) -> list[float]:
    """How much of its reference each completion speaks of; see the module."""
    return [scores.coverage for scores in _all(completions, columns)]


def accepted(completions: Sequence[Any], **columns: Any) -> list[float]:
    """Whether the rules accept each completion; see the module."""
    return [float(accepts(*row)) for row in _rows(completions, columns)]


def total(completions: Sequence[Any], **columns: Any) -> list[float]:
    """The weighted sum of the three, from 0 to 1."""
    return [sum(WEIGHTS[part] * value for part, value in s._asdict().items()) for s in _all(completions, columns)]


def _all(completions: Sequence[Any], columns: Mapping[str, Any]) -> list[Scores]:
    return [scores_of(*row) for row in _rows(completions, columns)]


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
def scores_of(text: str, reference: str, views: tuple[str, ...] = (), has_prior: bool = False) -> Scores:
    """The three parts of one completion.

    Args:
        text: ten steps and a report, as a student writes them.
        reference: the study's report.
        views: the views that were shown.
        has_prior: whether an earlier examination was supplied.
    """
    study, candidate = as_pair(text, "reward", reference, views=views, has_prior=has_prior, author="student")
    if candidate.trace is None:
        return Scores(0.0, 0.0, 0.0)
    kept = [not _errors(gate.findings(gate.group(name), study, candidate)) for name in _GROUPS]
    form = sum(kept) / len(_GROUPS)
    if not candidate.trace.steps:
        return Scores(form, 0.0, 0.0)
    return Scores(form, _grounded(study, candidate), _covered(study, candidate))


@remembered
@lru_cache(maxsize=_COMPLETIONS)
def accepts(text: str, reference: str, views: tuple[str, ...] = (), has_prior: bool = False) -> bool:
    """Whether all rules accept a completion; as `scores_of`."""
    return gate.judge(*as_pair(text, "reward", reference, views=views, has_prior=has_prior, author="student")).accepted


def _errors(found: Any) -> list[Finding]:
    return [finding for finding in found if finding.severity == "error"]


def _grounded(study: Study, candidate: Candidate) -> float:
    found = list(gate.findings(_OF_PARTS, study, candidate))
    if any(finding.code == "says_nothing" for finding in found):
        return 0.0
    cost = {"error": ERROR, "doubt": DOUBT, "warning": 0.0}
    return max(0.0, 1.0 - sum(cost[finding.severity] for finding in found))


def _covered(study: Study, candidate: Candidate) -> float:
    reference = reference_of(study)
    claims = list(abnormal(reference))
    if claims:
        return 1.0 - len(coverage_rule.uncovered(claims, coverage_rule.mentioned(candidate))) / len(claims)
    codes = {finding.code for finding in (*coverage_rule.rule(study, candidate), *substance.rule(study, candidate))}
    return 0.0 if codes & {"normal_unsaid", "says_nothing"} else 0.5 if "normal_partly_unsaid" in codes else 1.0
