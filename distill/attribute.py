"""From row to outcome: how well a student knows each trace of a run, before and after it was trained.

A student that was trained on wrong traces together with right ones is least sure of the wrong ones, so the loss of each
row, ranked, shows where to look (tests/test_distill_attribute.py measures how well). `loss` is the mean over the
target's tokens of -log p, in nats: `before` is the base's, `after` the student's.

    attribution.jsonl    a row a trace, the highest loss first: losses, rank, and what is known of the trace
    attribution.json     means by group: finding, code, author, attempt, verdict

It finds what stands out, not what is common: with random mistakes in 30 % of the demo's traces a wrong one had the
higher loss in 80 % of pairs; with a teacher that called 60 % of enlarged hearts normal in 57 %, because the student had
learned to call them so.

Groups say where loss is high. They do not say what the student would be without a group: leave_out.py does.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..data.judged import Judged
from ..data.run import RunFolder
from ..data.selection import runs_of
from ..schemas.attribution import Attributed
from ..schemas.base import Noun
from ..schemas.errors import InputError
from . import adapter
from .evaluate.finding_f1 import positive
from .evaluate.labels import LABELS
from .libraries import quiet
from .load import Loaded
from .pixels import open_image
from .train.collator import IGNORED, CompletionCollator, TrainingRow
from .train.examples import TrainingExample, pool
from .train.rows import rows_of


class Group(Noun):
    """Traces that share something."""

    rows: int
    before: float
    after: float


class Attribution(NamedTuple):
    """All traces, and their groups by kind and value."""

    rows: tuple[Attributed, ...]
    groups: dict[str, dict[str, Group]]
    members: dict[str, dict[str, list[Attributed]]]
    auc: float | None  # of the loss for traces that the rules do not accept; none without both kinds


def attribute(
    run: Path,
    student: Path,
    *,
    source: Literal["accepted", "first"] = "first",
    batch: int = 8,
    on_progress: Callable[[int, int], object] = lambda _done, _all: None,
) -> Attribution:
    """Measure.

    Args:
        run: a curation run, or a selection of runs.
        student: a trained student.
        source: every study's first answer, or the accepted examples.
        batch: rows at once; of no influence on the losses but rounding.
        on_progress: called with rows that are done, and how many there are.

    Raises:
        InputError, RunError, TrainingError, PolicyError: run or student cannot be used.
    """
    folder = adapter.find(student)
    card, prompt = adapter.describe(folder)
    if not prompt.steps:
        raise InputError(
            "this student was trained to write reports alone; its loss says nothing of steps; "
            "name a student of ten steps",
            file=folder,
        )
    examples = list(pool(run, source))
    if not examples:
        raise InputError("there is no trace here; name a run of tenstep curate", file=run)
    rows = rows_of(examples, prompt)
    with quiet():
        loaded = adapter.load_student(folder, card)
        collate = CompletionCollator(loaded.processor, None, open_image)
        losses: list[tuple[float, float]] = []
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            with loaded.model.disable_adapter():
                before = row_losses(loaded, collate, some)
            losses += zip(before, row_losses(loaded, collate, some), strict=True)
            on_progress(len(losses), len(rows))
    found = _rows(examples, losses, _verdicts(run))
    members = _members(found)
    groups = {kind: {value: _group(some) for value, some in values.items()} for kind, values in members.items()}
    return Attribution(found, groups, members, _auc(found))


def row_losses(loaded: Loaded, collate: CompletionCollator, rows: Sequence[TrainingRow]) -> list[float]:
    """Mean negative log likelihood of each row's target tokens, in nats."""
    import torch

    batch = dict(collate(rows))
    labels = batch.pop("labels").to(loaded.model.device)
    with torch.inference_mode():
        logits = loaded.model(**loaded.placed(batch)).logits[:, :-1].float()
    wanted = labels[:, 1:]
    each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), wanted, ignore_index=IGNORED, reduction="none")
    means: list[float] = (each.sum(dim=1) / (wanted != IGNORED).sum(dim=1)).tolist()
    return means


def _verdicts(run: Path) -> dict[str, Judged]:
    found: dict[str, Judged] = {}
    for folder in runs_of(run):
        with RunFolder.read(folder) as one:
            found |= {judged.candidate.key: judged for judged in one.judged()}
    return found


def _rows(
    examples: Sequence[TrainingExample], losses: Sequence[tuple[float, float]], verdicts: Mapping[str, Judged]
) -> tuple[Attributed, ...]:
    ordered = sorted(zip(examples, losses, strict=True), key=lambda pair: (-pair[1][1], pair[0].study.id))
    rows = []
    for rank, (example, (before, after)) in enumerate(ordered, 1):
        judged = verdicts.get(example.key)
        known: dict[str, Any] = {}
        if judged is not None:
            candidate, verdict = judged
            known = {"outcome": verdict.outcome, "codes": verdict.codes}
            known |= {"attempt": candidate.attempt, "author": candidate.teacher}
        labels = tuple(label for label, has in zip(LABELS, positive(example.study.report), strict=True) if has)
        rows.append(
            Attributed(
                rank=rank,
                study=example.study.id,
                key=example.key,
                before=round(before, 5),
                after=round(after, 5),
                findings=labels,
                **known,
            )
        )
    return tuple(rows)


def _members(rows: Iterable[Attributed]) -> dict[str, dict[str, list[Attributed]]]:
    members: dict[str, dict[str, list[Attributed]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        values = {
            "finding": row.findings,
            "code": row.codes,
            "author": (row.author,),
            "attempt": (row.attempt,),
            "outcome": (row.outcome,),
        }
        for kind, those in values.items():
            for value in those:
                if value is not None:
                    members[kind][str(value)].append(row)
    return {kind: dict(sorted(by_value.items())) for kind, by_value in members.items()}


def _group(rows: Sequence[Attributed]) -> Group:
    n = len(rows)
    before, after = sum(row.before for row in rows) / n, sum(row.after for row in rows) / n
    return Group(rows=n, before=round(before, 5), after=round(after, 5))


def _auc(rows: Sequence[Attributed]) -> float | None:
    """The chance that a trace which is not accepted has a higher loss than one which is (Mann and Whitney 1947)."""
    bad = [row.after for row in rows if row.outcome not in ("accept", None)]
    good = sorted(row.after for row in rows if row.outcome == "accept")
    if not bad or not good:
        return None
    wins = sum(bisect_left(good, one) + bisect_right(good, one) for one in bad) / 2  # a tie is half of one
    return wins / (len(bad) * len(good))
