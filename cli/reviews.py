"""`tenstep reviews`: what readers have decided on a run: counts, agreement, figures of the gate, files out and in."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import InputError, RunLockedError
from ..schemas.outcome import Outcome, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..data.run import RunFolder
    from ..schemas.reading import Reading

_EPILOG = """\
examples:
  tenstep reviews runs/offline                                       who read what, agreement, precision of each code
  tenstep reviews runs/offline --to csv --out reviews.csv
  tenstep reviews runs/offline --to ratings --reader anna --out anna.jsonl     for tenstep agreement
  tenstep reviews runs/offline --to labelled --out labelled.jsonl              for tenstep calibrate
  tenstep reviews runs/offline --from label-studio.json              decisions that were made there
"""
_FORMS = ("csv", "ratings", "argilla", "label-studio", "labelled")


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep reviews`."""
    parser = commands.add_parser("reviews", help="what readers have decided, out and in", epilog=_EPILOG)
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--to", choices=_FORMS, help="write the readings in this form")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write them")
    parser.add_argument("--reader", metavar="NAME", help="only this reader's")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="add the decisions of a file to the run"
    )
    parser.set_defaults(
        run=_reviews, json_keys=tuple(map(frozenset, ({"readers", "final"}, {"out", "readings"}, {"added", "same"})))
    )


def _reviews(args: argparse.Namespace) -> Outcome:
    from ..data.readings import Readings
    from ..data.run import RunFolder

    if (args.to is None) != (args.out is None):
        raise InputError("--to and --out belong together")
    if args.to and args.source:
        raise InputError("--to and --from: one at a time")
    if args.reader and args.source:
        raise InputError("--reader chooses what is shown or written; --from adds a file's decisions of all readers")
    if args.source:
        return _add(args.run_folder, args.source)
    with RunFolder.read(args.run_folder) as run, Readings(args.run_folder, writable=False) as stored:
        readings = [r for r in stored.current() if args.reader in (None, r.reader)]
        if args.to:
            return _write(run, readings, args)
        return _shown(run, readings)


def _write(run: "RunFolder", readings: "list[Reading]", args: argparse.Namespace) -> Outcome:
    from ..curation.reviewing.exchange import FIRST_HAND, FORMS, LABEL_STUDIO, rows_of
    from ..data.files import readable_by, replacing

    if not readings:
        raise InputError(
            "this run has no decisions of readers yet; read first: tenstep review RUN --serve", file=args.run_folder
        )
    if args.out.exists():
        raise InputError("exists; choose another --out", file=args.out)
    if args.to == "ratings" and len({reading.reader for reading in readings}) > 1:
        raise InputError("a file of ratings is one reader's; name one with --reader")
    with readable_by(owner_only=True), replacing(args.out) as stream:
        stream.writelines(FORMS[args.to](rows_of(run, readings)))
    left = sum(reading.kind == "adjudication" for reading in readings) if args.to in FIRST_HAND else 0
    notes = [
        f"{args.out}: {len(readings) - left} readings as {args.to}; they quote reports: keep them where those may lie"
    ]
    if args.to == "label-studio":
        notes += ["the labeling interface for this file:", LABEL_STUDIO]
    if left:
        notes.append(f"{left} adjudications have no place in this form; csv holds them")
    return Outcome(payload={"out": str(args.out), "readings": len(readings) - left}, notes=tuple(notes))


def _add(folder: Path, source: Path) -> Outcome:
    from ..curation.reviewing.decide import DecisionWriter
    from ..curation.reviewing.returned import read_foreign, readings_from
    from ..curation.reviewing.serve import rewrite_tables
    from ..data.run import RunFolder

    found = read_foreign(source)
    with RunFolder.read(folder) as run:
        decisions = DecisionWriter(run)
        try:
            new, taken = readings_from(run, found, decisions.readings.current(), source)
            decisions.add(new)
        finally:
            decisions.close()
    notes = [f"{taken.added} decisions added, {taken.same} were there already"]
    counts: dict[str, int] | None = None
    try:
        counts = rewrite_tables(folder)
    except RunLockedError:
        notes.append("another process is working on this run; it writes the tables at its end")
    if taken.foreign:
        notes.append(
            f"{len(taken.foreign)} are about candidates that this run does not have, e.g. {taken.foreign[0][:16]}"
        )
    return Outcome(
        payload={"added": taken.added, "same": taken.same, "foreign": len(taken.foreign), "counts": counts},
        notes=tuple(notes),
    )


def _shown(run: "RunFolder", readings: "list[Reading]") -> Outcome:
    import statistics
    from collections import Counter

    from ..curation.reviewing.index import TraceIndex
    from ..curation.reviewing.measured import agreement_rows, code_measures, gate_rows
    from ..data.readings import finals

    index = TraceIndex(run)
    index.close()
    states = Counter(found.provenance for found in finals(run.path).values())
    by_reader: dict[str, list[Reading]] = {}
    for reading in readings:
        by_reader.setdefault(reading.reader, []).append(reading)
    said = ("accept", "reject", "unsure")
    people = tuple(
        (
            name,
            *(str(sum(r.decision == decision for r in mine)) for decision in said),
            f"{statistics.median(r.seconds for r in mine):.0f}",
        )
        for name, mine in by_reader.items()
    )
    agreed, gate = agreement_rows(run, readings), gate_rows(index, readings)
    gate_columns = ("code", "found", "precision", "named", "recall")
    agreement_columns = ("question", "readers", "items", "equal", "kappa", "alpha")
    tables = (
        Table(title="readers", columns=("reader", *said, "seconds each"), rows=people),
        Table(title="final", columns=("readers", "candidates"), rows=tuple((n, str(c)) for n, c in states.items())),
        Table(title="agreement", columns=agreement_columns, rows=_cells(agreed, agreement_columns)),
        Table(title="the rules against the readers", columns=gate_columns, rows=_cells(gate, gate_columns)),
    )
    payload = {
        "readers": {name: {d: sum(r.decision == d for r in mine) for d in said} for name, mine in by_reader.items()},
        "final": dict(states),
        "agreement": agreed,
        "codes": [row._asdict() for row in code_measures(index, readings)],
    }
    notes = () if readings else ("no decisions yet: tenstep review RUN --serve",)
    return Outcome(payload=payload, tables=tables if readings else (), notes=notes)


def _cells(rows: "Sequence[Mapping[str, object]]", columns: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(str(row[name]) for name in columns) for row in rows)
