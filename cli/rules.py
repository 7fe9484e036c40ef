"""`tenstep rules`: what a code means, what passes and what fails, how it weighs, and how it was measured."""

import argparse
from pathlib import Path
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
        "  tenstep rules leak            every code of a rule\n"
        "  tenstep rules --measured RUN  every code as the readers of a run have decided on what it found",
    )
    rules.add_argument("code", nargs="?", metavar="CODE", help="a code, or a rule")
    rules.add_argument(
        "--measured", type=Path, metavar="RUN", help="precision and recall by the decisions of this run's readers"
    )
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
    readers = _by_readers(args.measured) if args.measured else {}
    columns: tuple[str, ...] = ("good hit", "bad hit")
    if args.measured:
        columns = ("found", "precision", "named", "recall")
    rows = [
        (
            _name(rule),
            code,
            rule.CODES[code],
            rule.GROUP,
            *([str(readers[code][name]) for name in columns] if code in readers else _hits(found.codes.get(code))),
        )
        for rule, code in chosen
        if code in readers or not args.measured
    ]
    table = Table(title="rules", columns=("rule", "code", "severity", "group", *columns), rows=tuple(rows))
    if args.measured:
        notes = [
            "found: candidates with the code that readers have decided on; precision: the share that they reject; "
            "named: rejected with this code given; recall: the share of those in which the rule found it (95 %)",
            f"{len(chosen) - len(rows)} codes were neither found nor named in what readers have decided on",
        ]
    else:
        notes = [f"good hit, bad hit: of {found.of}; a hit on a good trace is false"]
    if not found.current and not args.measured:
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
                    **({"readers": readers.get(code)} if args.measured else {}),
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


def _by_readers(run_folder: Path) -> dict[str, dict[str, object]]:
    """The figures of each code by what the readers of a run have decided."""
    from ..curation.reviewing.index import TraceIndex
    from ..curation.reviewing.measured import gate_rows
    from ..data.readings import Readings
    from ..data.run import RunFolder
    from ..schemas.errors import InputError

    with RunFolder.read(run_folder) as run, Readings(run_folder, writable=False) as stored:
        readings = stored.current()
        if not readings:
            raise InputError("no decisions of readers yet; read first: tenstep review RUN --serve", file=run_folder)
        index = TraceIndex(run)
        index.close()
        return {str(row["code"]): row for row in gate_rows(index, readings)}


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
