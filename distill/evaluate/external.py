"""Metrics that run elsewhere, in environments of their own, behind one command that is started once for all texts.

The command reads one JSON object a line from standard input, {"id", "hypothesis", "reference"}, each pair of texts
once, and writes one a line, {"id", "score"} or {"id", "scores": {NAME: score}}, for every id once, in any order. A line
{"version": ..., "preprocessing": ...} may come first; with {"name": NAME, ...} it is about one score. It runs without a
shell, with the hub's libraries set offline; nothing here can keep it from sending what it reads. So texts that are not
known to be public are given to it only if the user states that it runs on this machine alone, and that statement is
recorded with the figures.
"""

import json
import math
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ...schemas.errors import InputError, PolicyError
from .measure import Measure, MeasureOf, Pair, mean, mean_of

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}

Scores = Mapping[str, MeasureOf]  # by name


class External(NamedTuple):
    """A name for the table, and the command."""

    name: str
    command: str


def parse(text: str) -> External:
    """`RadGraph=/envs/radgraph/bin/python score.py`.

    Raises:
        InputError: it has no name or no command.
    """
    name, found, command = text.partition("=")
    if not found or not name.strip() or not command.strip():
        raise InputError(f"'{text}' is not NAME=COMMAND", field="external")
    return External(name.strip(), command.strip())


def check_external(metrics: Sequence[External], *, public: bool, stays_local: bool) -> None:
    """Refuse to hand texts to a command that may send them away.

    Args:
        metrics: the commands.
        public: whether all texts are known to be public.
        stays_local: the user's statement that the commands send nothing anywhere.

    Raises:
        PolicyError: the texts are restricted, or of unknown class, and nothing is stated.
    """
    if metrics and not public and not stays_local:
        raise PolicyError(
            f"{metrics[0].name}: the texts are restricted or of unknown class, and an external command may send them "
            "away; if it runs on this machine alone, say so with --external-stays-local, which is recorded",
            field="external",
        )


def external(pairs: Sequence[Pair], metric: External) -> Scores:
    """The command's scores of all pairs.

    Raises:
        InputError: the command cannot be run, failed, or did not answer for every pair.
    """
    try:
        command = shlex.split(metric.command)
    except ValueError as error:
        raise InputError(f"{metric.name}: the command cannot be run ({error})", field="external") from None
    return run(metric.name, command, pairs, implementation="external command")


def run(
    name: str, command: Sequence[str], pairs: Sequence[Pair], *, implementation: str, folder: Path | None = None
) -> Scores:
    """Start a command, hand it every pair of texts once, and read its scores.

    Args:
        name: for errors, and for a score that has no name of its own.
        command: its words.
        pairs: some may have the same texts.
        implementation: for the table.
        folder: where it runs; here if not given.

    Raises:
        InputError: see `external`.
    """
    ids = {
        texts: str(at) for at, texts in enumerate(dict.fromkeys((pair.hypothesis, pair.reference) for pair in pairs))
    }
    lines = (json.dumps({"id": id_, "hypothesis": one, "reference": other}) for (one, other), id_ in ids.items())
    try:
        done = subprocess.run(  # noqa: S603  no shell, and the words are the user's, given for this very purpose
            command,
            check=False,
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=os.environ | OFFLINE,
            cwd=folder,
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: the command cannot be run ({error})", field="external") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        raise InputError(f"{name}: the command ended with {done.returncode} ({last})", field="external")
    scores, heads = _read(name, done.stdout)
    for score, values in scores.items():
        missing = [pair.id for pair in pairs if ids[pair.hypothesis, pair.reference] not in values]
        if missing or len(values) != len(ids):
            what = (
                f"no score for {len(missing)} pairs, the first is '{missing[0]}'" if missing else "scores for other ids"
            )
            raise InputError(f"{score}: {what}", field="external")
    return {
        score: partial(_measure, score, implementation, heads.get("", {}) | heads.get(score, {}), values, ids)
        for score, values in scores.items()
    }


def _measure(
    name: str,
    implementation: str,
    head: Mapping[str, Any],
    values: Mapping[str, float],
    ids: Mapping[tuple[str, str], str],
    pairs: Sequence[Pair],
) -> Measure:
    return Measure(
        name,
        implementation,
        str(head.get("version", "unknown")),
        str(head.get("preprocessing", "its own")),
        mean_of([values[ids[pair.hypothesis, pair.reference]] for pair in pairs]),
        mean,
    )


def _read(name: str, text: str) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Any]]]:
    """Scores by name and id, and what the command says of each name, or under "" of all."""
    found: dict[str, dict[str, float]] = {}
    heads: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if "id" not in row:
                heads.setdefault(str(row.get("name", "")), {}).update(row)
                continue
            given = {name: float(row["score"])} if "score" in row else {k: float(v) for k, v in row["scores"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"{name}: not an answer: {line[:80]!r}", row=number, field="external") from None
        for score, value in given.items():
            values = found.setdefault(score, {})
            if row["id"] in values or not math.isfinite(value):
                raise InputError(
                    f"{score}: '{row['id']}' is answered twice, or with {value}", row=number, field="external"
                )
            values[row["id"]] = value
    return found or {name: {}}, heads
