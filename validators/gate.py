"""The gate: every rule, in order, cheap and certain first. To add a rule, write its file and add one line here.

False positives of the six rules of form, measured on all Open-i reports behind ten clean steps, for teachers and
students: 0 of 3,419 four-header and 0 of 3,927 verbatim reports (`tests/test_rules_report.py` measures again).
"""

from collections.abc import Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Verdict, Weight
from . import (
    assistant,
    asymmetry,
    certainty,
    characters,
    completion,
    contradiction,
    coverage,
    elsewhere,
    headers,
    identifiers,
    language,
    leak,
    length,
    location,
    measurement,
    numbering,
    placeholder,
    priors,
    repetition,
    report,
    severity,
    structure,
    unsupported,
    views,
    wrapping,
)
from .rule import Rule

RULES: tuple[Rule, ...] = (
    completion,
    structure,
    numbering,
    wrapping,
    report,
    headers,
    # form
    length,
    characters,
    language,
    repetition,
    # honesty
    leak,
    priors,
    assistant,
    placeholder,
    identifiers,
    # grounding in the reference
    views,
    measurement,
    contradiction,
    unsupported,
    location,
    asymmetry,
    elsewhere,
    severity,
    certainty,
    coverage,
)

# Every code, with the rule that finds it; a recipe that names another one is wrong.
CODES: Mapping[str, str] = {code: rule.__name__.rpartition(".")[2] for rule in RULES for code in rule.CODES}


def judge(
    study: Study,
    candidate: Candidate,
    severities: Mapping[str, Weight] = {},
) -> Verdict:
    """Ask every rule.

    Args:
        study: what the candidate is about.
        candidate: a teacher's trace or a student's sample; both are judged by the same rules.
        severities: codes that weigh otherwise than their rule says; `off` drops them. Whoever reads a recipe
            checks them against CODES: a code that is not there changes nothing here.

    Returns:
        The findings in the rules' order. An unreadable candidate is asked for completion alone, and cannot be accepted.
    """
    rules = _asked(severities) if candidate.trace is not None else (completion,)
    findings = (finding for rule in rules for finding in rule.rule(study, candidate))
    return Verdict(findings=tuple(kept for found in findings if (kept := _weighed(found, severities)) is not None))


def _asked(severities: Mapping[str, Weight]) -> tuple[Rule, ...]:
    """Without those of which nothing would be kept: their work is saved as well."""
    if "off" not in severities.values():
        return RULES
    return tuple(r for r in RULES if r is completion or any(severities.get(code) != "off" for code in r.CODES))


def _weighed(finding: Finding, severities: Mapping[str, Weight]) -> Finding | None:
    severity = severities.get(finding.code, finding.severity)
    if severity == finding.severity or finding.code == "unreadable":
        return finding
    return None if severity == "off" else finding.model_copy(update={"severity": severity})
