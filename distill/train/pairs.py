"""Preference pairs of a run: an accepted text and one that rules rejected for the same study (data/preferences.py)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...data.preferences import rejected_of
from ...data.selection import examples_of
from ...schemas.errors import TrainingError
from ...schemas.layout import write
from ...schemas.learning import PreferenceOptimization
from ...validators.gate import codes_of


class RejectedText(NamedTuple):
    """What is not to be preferred, in the form of the target."""

    text: str
    key: str  # of the candidate
    rules: tuple[str, ...]  # `rule: code` of what it was rejected for


def pair_codes(*, form: bool) -> frozenset[str]:
    """What a text of a pair may have been rejected for: what it says, and its form only where that is wanted."""
    return codes_of("honesty", "grounding", *(("form", "report") if form else ()))


def rejected_texts(run: Path, preference: PreferenceOptimization) -> dict[str, tuple[RejectedText, ...]]:
    """Rejected texts of the run's accepted studies, by study.

    Raises:
        TrainingError: there is none; says why each rejected candidate became none.
    """
    sourced = list(examples_of(run))
    found, pairs = rejected_of(sourced, pair_codes(form=preference.form), most=preference.pairs)
    if not found:
        why = (
            ", ".join(f"{reason}: {n}" for reason, n in pairs.dropped.items())
            or "no accepted study has a rejected text"
        )
        raise TrainingError(f"no preference pair can be made ({why}); method dpo needs some", file=run, field="method")
    examples = {one.example.study.id: one.example for one in sourced}
    return {
        study: tuple(
            RejectedText(write(one.steps, examples[study].study.report, examples[study].layout), one.key, one.rules)
            for one in some
        )
        for study, some in found.items()
    }


def rules_of(rejected: Sequence[RejectedText]) -> list[str]:
    """The codes of all of them, a text's own each once."""
    return [code for one in rejected for code in dict.fromkeys(rule.partition(": ")[2] for rule in one.rules)]
