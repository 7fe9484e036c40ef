"""The gate: every rule, in order, cheap and certain first. To add a rule, write its file and add its name to `NAMES`.

False positives of the six rules of form, measured on all Open-i reports behind ten clean steps, for teachers and
students: 0 of 3,419 four-header and 0 of 3,927 verbatim reports (`tests/test_rules_report.py` measures again).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import cast

from ..schemas import plugins
from ..schemas.candidate import Candidate
from ..schemas.errors import InputError
from ..schemas.study import Study
from ..schemas.verdict import Finding, Verdict, Weight
from .rule import Group, Rule

FAILED = "rule_failed"  # the finding of a rule that raised; no recipe can change what it weighs

# What a rule protects is its own GROUP; what it finds, its CODES: neither is repeated here.
NAMES = (
    "completion",
    "structure",
    "numbering",
    "wrapping",
    "report",
    "headers",
    "length",
    "characters",
    "language",
    "repetition",
    "leak",
    "priors",
    "assistant",
    "placeholder",
    "identifiers",
    "views",
    "measurement",
    "contradiction",
    "unsupported",
    "location",
    "unreported_location",
    "opposite",
    "severity",
    "cause",
    "certainty",
    "coverage",
    "substance",
)
_SHAPE = ("GROUP", "CODES", "rule", "PASSES", "FAILS")


def _rules() -> tuple[Rule, ...]:
    """Ours, then those of other packages, checked for their shape and for codes that are taken."""
    ours = [import_module(f".{name}", __package__) for name in NAMES]
    others = [plugins.load("rules", name) for name in plugins.names("rules", NAMES)]
    return _checked([*ours, *others])


def _checked(modules: Sequence[ModuleType]) -> tuple[Rule, ...]:
    taken: dict[str, str] = {FAILED: "gate"}
    for module in modules:
        where = getattr(module, "__file__", None) or module.__name__
        if lacking := [name for name in _SHAPE if not hasattr(module, name)]:
            raise InputError(f"is no rule: it has no {', '.join(lacking)}; see validators/rule.py", file=where)
        for code in module.CODES:
            if (other := taken.setdefault(code, module.__name__)) != module.__name__:
                raise InputError(f"its code '{code}' is {other}'s already; give it another name", file=where)
    return tuple(cast(Rule, module) for module in modules)


RULES: tuple[Rule, ...] = _rules()
# Codes of older runs and recipes, and what finds the same today.
ALIASES: Mapping[str, str] = {"wrong_whereabouts": "unreported_location", "denies_softly": "denies_reference"}
# Every code, with the rule that finds it; a recipe that names another one is wrong.
CODES: Mapping[str, str] = {
    **{code: rule.__name__.rpartition(".")[2] for rule in RULES for code in rule.CODES},
    **ALIASES,
    FAILED: "gate",
}


def group(*names: Group) -> tuple[Rule, ...]:
    """The rules of these groups, in the gate's order."""
    return tuple(rule for rule in RULES if rule.GROUP in names)


def codes_of(*names: Group) -> frozenset[str]:
    """The codes of these groups' rules."""
    return frozenset(code for rule in group(*names) for code in rule.CODES)


def prepare() -> None:
    """Read every lexicon now. Long runs call this first: later, a run with all files open could not read them."""
    from .findings import claims, comparison

    claims("The lungs are clear.")
    comparison("Unchanged since the prior study.")


def own_rules(paths: Sequence[str]) -> tuple[Rule, ...]:
    """The rules that a recipe names by their files, each read again when it has changed.

    Raises:
        InputError: a file is missing, is no rule, or finds a code that another rule finds.
    """
    if not paths:
        return ()
    modules = [plugins.file_module(path) for path in paths]
    return _checked([*cast(tuple[ModuleType, ...], RULES), *modules])[len(RULES) :]


def judge(
    study: Study,
    candidate: Candidate,
    severities: Mapping[str, Weight] = {},
    own: Sequence[str] = (),
) -> Verdict:
    """Ask every rule.

    Args:
        study: what the candidate is about.
        candidate: a teacher's trace or a student's sample; both are judged by the same rules.
        severities: codes that weigh otherwise than their rule says; `off` drops them. Whoever reads a recipe
            checks them against CODES: a code that is not there changes nothing here.
        own: files of further rules, which a recipe names.

    Returns:
        The findings in the rules' order. An unreadable candidate is judged by `completion` alone and never accepted.
        A rule that raises is an error of its own (`rule_failed`), which names the rule and the exception.
    """
    severities = {ALIASES.get(code, code): weight for code, weight in severities.items()}
    rules = RULES[:1]  # completion reads no trace
    if candidate.trace is not None:
        off = frozenset(code for code, weight in severities.items() if weight == "off")
        rules = _without(off) + own_rules(own)
    found = findings(rules, study, candidate)
    return Verdict(findings=tuple(kept for one in found if (kept := _weighed(one, severities)) is not None))


def findings(rules: Iterable[Rule], study: Study, candidate: Candidate) -> Iterator[Finding]:
    """What these rules find, in their order; a rule that raises yields `rule_failed` after what it found before."""
    for rule in rules:
        try:
            yield from rule.rule(study, candidate)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end a run, nor let a candidate pass unread
            yield _failed(rule, error)


def _failed(rule: Rule, error: Exception) -> Finding:
    name = rule.__name__.rpartition(".")[2]
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    place = f"{Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno}" if last else "?"
    return Finding(
        rule=name,
        code=FAILED,
        severity="error",
        message=f"The rule {name} raised {type(error).__name__} ({place}) and could not judge this text: a fault of "
        f"the rule, not of the text. Report it, and judge again once it is mended.",
    )


@lru_cache(maxsize=8)
def _without(off: frozenset[str]) -> tuple[Rule, ...]:
    """The rules without those of whose codes nothing would be kept: their work is saved as well."""
    return RULES[:1] + tuple(rule for rule in RULES[1:] if not off.issuperset(rule.CODES))


def _weighed(finding: Finding, severities: Mapping[str, Weight]) -> Finding | None:
    severity = severities.get(finding.code, finding.severity)
    if severity == finding.severity or finding.code in ("unreadable", FAILED):
        return finding
    return None if severity == "off" else finding.model_copy(update={"severity": severity})
