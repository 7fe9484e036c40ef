"""A metric that runs elsewhere: RadGraph, GREEN and others live in environments of their own, behind one command.

The command reads one JSON object a line from standard input, {"id", "hypothesis", "reference"}, and writes one a line,
{"id", "score"}, for every id once, in any order. A line {"version": ..., "preprocessing": ...} may come first. It runs
without a shell, with the hub's libraries set offline; nothing here can keep it from sending what it reads. So texts
that are not known to be public are given to it only if the user states that it runs on this machine alone, and that
statement is recorded with the figures.
"""

import json
import math
import os
import shlex
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from ...schemas.errors import InputError, PolicyError
from .measure import Measure, Pair, mean, mean_of

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


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


def external(pairs: Sequence[Pair], metric: External) -> Measure:
    """The mean of the command's scores.

    Raises:
        InputError: the command cannot be run, failed, or did not answer for every pair.
    """
    asked = "".join(
        json.dumps({"id": pair.id, "hypothesis": pair.hypothesis, "reference": pair.reference}) + "\n" for pair in pairs
    )
    try:
        # the command is the user's own, given for this very purpose
        done = subprocess.run(  # noqa: S603  no shell, and the words are the user's
            shlex.split(metric.command),
            check=False,
            input=asked,
            capture_output=True,
            text=True,
            env=os.environ | _OFFLINE,
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{metric.name}: the command cannot be run ({error})", field="external") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
        raise InputError(f"{metric.name}: the command ended with {done.returncode} ({last})", field="external")
    scores, head = _read(metric.name, done.stdout)
    missing = [pair.id for pair in pairs if pair.id not in scores]
    if missing or len(scores) != len(pairs):
        what = f"no score for {len(missing)} pairs, the first is '{missing[0]}'" if missing else "scores for other ids"
        raise InputError(f"{metric.name}: {what}", field="external")
    return Measure(
        metric.name,
        "external command",
        str(head.get("version", "unknown")),
        str(head.get("preprocessing", "its own")),
        mean_of([scores[pair.id] for pair in pairs]),
        mean,
    )


def _read(name: str, text: str) -> tuple[dict[str, float], dict[str, object]]:
    scores: dict[str, float] = {}
    head: dict[str, object] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if "id" not in row:
                head |= row
                continue
            score = float(row["score"])
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{name}: not an answer: {line[:80]!r}", row=number, field="external") from None
        if row["id"] in scores or not math.isfinite(score):
            raise InputError(f"{name}: '{row['id']}' is answered twice, or with {score}", row=number, field="external")
        scores[row["id"]] = score
    return scores, head
