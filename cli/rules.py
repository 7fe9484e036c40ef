"""`tenstep rules`: what a code means, what passes and what fails, how it weighs, and how it was measured."""

import argparse
from typing import TYPE_CHECKING

from ..schemas.outcome import Outcome, Table

if TYPE_CHECKING:
    from ..validators.rule import Case, Rule


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    rules = commands.add_parser(
        "rules",
        help="what a code means, and how precise it is",
        epilog="examples:\n  tenstep rules                 every code\n"
        "  tenstep rules step_count      one of them, with examples\n"
        "  tenstep rules leak            every code of a rule",
    )
    rules.add_argument("code", nargs="?", metavar="CODE", help="a code, or a rule")
    rules.set_defaults(run=_rules, json_keys=(frozenset({"rules", "measured_on"}),))


def _rules(args: argparse.Namespace) -> Outcome:
    from ..schemas.errors import InputError
    from ..validators import measured
    from ..validators.gate import RULES

    found = measured.read()
    chosen = [
        (rule, code)
        for rule in RULES
        for code in rule.CODES
        if args.code in (None, code, rule.__name__.rpartition(".")[2])
    ]
    if not chosen:
        raise InputError(f"no rule finds '{args.code}'; see all with: tenstep rules")
    rows = [(_name(rule), code, rule.CODES[code], rule.GROUP, *_hits(found.codes.get(code))) for rule, code in chosen]
    table = Table(title="rules", columns=("rule", "code", "severity", "group", "good hit", "bad hit"), rows=tuple(rows))
    notes = [f"good hit, bad hit: of {found.of}; a hit on a good trace is false"]
    if not found.current:
        notes.append("the rules have changed since they were measured: python -m benchmarks.code_precision --write")
    shown: list[str] = []
    if args.code is not None:
        for rule in dict.fromkeys(rule for rule, _ in chosen):
            shown += [(rule.__doc__ or "").strip(), *_examples(rule, {code for _, code in chosen})]
    return Outcome(
        payload={
            "rules": [
                {
                    "rule": _name(rule),
                    "code": code,
                    "severity": rule.CODES[code],
                    "group": rule.GROUP,
                    "measured": found.codes.get(code),
                    "about": (rule.__doc__ or "").strip(),
                    "examples": _cases(rule, code),
                }
                for rule, code in chosen
            ],
            "measured_on": found.of,
            "measured_now": found.current,
        },
        tables=(table,),
        notes=(*shown, *notes),
        private=False,
    )


def _name(rule: "Rule") -> str:
    return rule.__name__.rpartition(".")[2]


def _hits(found: tuple[int, int] | None) -> tuple[str, str]:
    return ("0", "0") if found is None else (str(found[0]), str(found[1]))


def _cases(rule: "Rule", code: str) -> dict[str, list[str]]:
    return {
        "passes": [_short(case) for case in rule.PASSES][:3],
        "fails": [_short(case) for case in rule.FAILS if case.code == code][:3],
    }


def _examples(rule: "Rule", codes: set[str]) -> list[str]:
    lines = [f"  passes: {_short(case)}" for case in rule.PASSES[:3]]
    for code in rule.CODES:
        if code in codes:
            lines += [f"  {code}: {_short(case)}" for case in rule.FAILS if case.code == code][:3]
    return lines


def _short(case: "Case") -> str:
    """What of an example is not the usual ten steps and report."""
    from ..validators.rule import ten

    usual = set(ten().split("\n"))
    lines = [line for line in case.text.split("\n") if line.strip() and line not in usual]
    text = " / ".join(lines) or "(ten plain steps and their report)"
    return text if len(text) <= 200 else f"{text[:200]}..."
