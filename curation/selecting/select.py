"""Select: a small set from the accepted examples of runs, in the order in which it reads.

    gates -> (a stratified sample of a very large pool) -> one a study, no near-duplicates -> quality -> difficulty
          -> diversity, within caps and minimums -> selection.json, removed.jsonl, plots, baselines of the same size

Nothing of it is learned or random, and the files hold no time: the same examples give the same bytes.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import Field

from ...data.executor import Executor
from ...data.files import must_be_new
from ...data.processes import THIS_PROCESS
from ...data.run import RunFolder
from ...data.selection import FILE, stored_path
from ...schemas.base import Noun
from ...schemas.errors import InputError
from ...schemas.selection import Chosen, Method, SelectedRun, Selection
from ...schemas.version import __version__
from .baselines import by_domain, drawn
from .difficulty import difficulty, failures
from .diversity import GROUND, Pick, Space, choose
from .gates import Gates
from .pool import PoolExample
from .quality import in_words
from .quotas import Count, Group, Quotas
from .reading import read
from .stages import Funnel, Removed, better, near, once
from .writing import write

FLOOR = 3  # times n: quality and difficulty leave at least so many rows to choose from


class SelectOptions(Noun):
    """How to select."""

    n: int = Field(ge=1, description="How many.")
    quality: float = Field(0.5, gt=0, le=1, description="Share that the quality stage keeps.")
    difficulty: float = Field(0.5, gt=0, le=1, description="Share that the difficulty stage keeps.")
    similarity: float = Field(0.9, gt=0, le=1, description="From which on two texts are near-duplicates.")
    minimums: dict[Group, Count] = Field(
        default_factory=dict, description="finding:pneumothorax, view:*, ...: at least."
    )
    maximums: dict[Group, Count] = Field(default_factory=dict, description="The same: at most.")
    pool: int = Field(20_000, ge=1, description="A larger pool is shortened to so many by a stratified sample.")
    seed: int = Field(0, description="Of the baselines; the selection itself draws nothing.")

    def wanted(self) -> dict[str, int]:
        """The minimums, with a hundredth of n for each finding and a tenth for normal and abnormal, if not given."""
        return {"finding:*": max(1, self.n // 100), "normality:*": self.n // 10} | self.minimums


@dataclass(frozen=True)
class Selected:
    """The selection, its baselines, and notes for the user."""

    selection: Selection
    baselines: dict[Method, Selection]
    notes: tuple[str, ...]


def select(
    runs: Sequence[Path],
    options: SelectOptions,
    out: Path,
    *,
    student: Path | None = None,
    splits: Path | None = None,
    held_out: Sequence[Path] = (),
    studies: Path | None = None,
    on_row: Callable[[], None] = lambda: None,
    executor: Executor = THIS_PROCESS,
) -> Selected:
    """Select and write.

    Args:
        runs: run folders with accepted examples.
        options: how.
        out: a new folder.
        student: a run of tenstep sample over the same studies, for their difficulty.
        splits: splits.yaml; what is not train there is not chosen.
        held_out: study stores that tests are made of.
        studies: the runs' study store, if it moved.
        on_row: called for every row that was read.
        executor: reads the examples (data/executor.py).

    Raises:
        RunError: `out` is taken.
        PolicyError: a run may not be used for training.
        InputError: something cannot be read, or nothing is left to choose from.
    """
    must_be_new(out)
    for run in runs:
        if (run / FILE).is_file():
            raise InputError("is a selection; select from its runs", file=run)
    heads = [_head(run, out) for run in runs]
    sampled = None if student is None else failures(student)
    funnel, gates = Funnel(), Gates(splits, held_out, options.similarity, executor)
    rows, ids, each = read(runs, gates, funnel, limit=options.pool, studies=studies, on_row=on_row, executor=executor)
    rows = funnel.step("one a study", rows, once(rows))
    pool = funnel.step("near-duplicates", rows, near(rows, options.similarity))
    if not pool:
        raise InputError("no accepted example is left to choose from; see why with: tenstep status", file=runs[0])
    unsampled = difficulty(pool, sampled)
    rows = _shortened(pool, options, funnel)
    space = Space([row.text for row in pool])
    at = {row.id: number for number, row in enumerate(pool)}
    quotas = Quotas(rows, options.wanted(), options.maximums)
    picks = choose(space, [at[row.id] for row in rows], options.n, quotas)
    if not picks:
        raise InputError("the maximums leave nothing to choose; give larger ones", file=runs[0])
    chosen = [rows[pick.number] for pick in picks]
    funnel.step("diversity", rows, _not_taken(rows, chosen))
    common = {
        "code_version": __version__,
        "runs": tuple(head.model_copy(update={"accepted": n}) for head, n in zip(heads, each, strict=True)),
        "parameters": _parameters(options, student, splits, held_out),
        "input_sha256": sha256("\n".join(ids).encode()).hexdigest(),
        "pool": _counted(pool),
    }
    numbered = enumerate(zip(chosen, picks, strict=True), 1)
    selection = Selection(
        method="selected",
        libraries={name: version(name) for name in ("scikit-learn", "scipy", "numpy")},
        stages=tuple(funnel.stages),
        chosen=_counted(chosen),
        coverage=round(picks[-1].coverage, 4),
        short=quotas.short(),
        rows=tuple(_row(row, rank, _why(pick, row), pick.gain) for rank, (row, pick) in numbered),
        **common,
    )
    n, seed = len(chosen), options.seed
    draws: dict[Method, list[PoolExample]] = {
        "random": drawn(pool, n, seed),
        "hard-random": drawn(rows, n, seed),
        "domain": by_domain(pool, n, seed),
    }
    others: dict[Method, Selection] = {}
    for method, some in draws.items():
        others[method] = Selection(
            method=method,
            chosen=_counted(some),
            coverage=round(space.coverage([at[row.id] for row in some]), 4),
            rows=tuple(_row(row, rank, f"drawn ({method})", 0.0) for rank, row in enumerate(some, 1)),
            **common,
        )
    private = any(_private(run, studies) for run in runs)
    write(out, selection, others, funnel, [pick.coverage for pick in picks], private=private)
    return Selected(selection, others, tuple(_notes(selection, options, gates, unsampled)))


def _shortened(pool: list[PoolExample], options: SelectOptions, funnel: Funnel) -> list[PoolExample]:
    needed = Quotas(pool, options.wanted(), {}).needed
    at_least = FLOOR * options.n
    rows = pool
    gone = better(
        rows,
        "quality",
        key=lambda row: row.quality,
        in_words=lambda row: in_words(row.quality),
        share=options.quality,
        at_least=at_least,
        needed=needed,
    )
    rows = funnel.step("quality", rows, gone)
    gone = better(
        rows,
        "difficulty",
        key=lambda row: (-row.difficulty,),
        in_words=lambda row: row.why,
        share=options.difficulty,
        at_least=at_least,
        needed=needed,
    )
    return funnel.step("difficulty", rows, gone)


def _not_taken(rows: Sequence[PoolExample], chosen: Sequence[PoolExample]) -> Iterator[Removed]:
    taken = {row.id for row in chosen}
    for row in rows:
        if row.id not in taken:
            yield Removed(row, "diversity", "adds less than what was chosen, or a cap is reached")


def _counted(rows: Sequence[PoolExample]) -> dict[str, int]:
    return dict(sorted(Counter(group for row in rows for group in row.groups).items()))


def _head(run: Path, out: Path) -> SelectedRun:
    with RunFolder.read(run) as opened:
        manifest = opened.manifest
    return SelectedRun(path=stored_path(run, out), name=manifest.name, recipe_sha256=manifest.recipe_sha256, accepted=0)


def _private(run: Path, studies: Path | None) -> bool:
    with RunFolder.read(run, studies=studies) as opened:
        return opened.studies.data_class == "restricted"


def _parameters(
    options: SelectOptions, student: Path | None, splits: Path | None, held_out: Sequence[Path]
) -> dict[str, Any]:
    """All that decides, without paths: those are names of this machine."""
    named = {"student": student, "splits": splits}
    return (
        options.model_dump()
        | {"minimums": options.wanted(), "ground": GROUND}
        | {key: None if path is None else path.resolve().name for key, path in named.items()}
        | {"held_out": [path.resolve().name for path in held_out]}
    )


def _row(row: PoolExample, rank: int, reason: str, gain: float) -> Chosen:
    return Chosen(
        id=row.id,
        study_id=row.study_id,
        key=row.key,
        run=row.run,
        rank=rank,
        reason=reason,
        gain=gain,
        difficulty=row.difficulty,
        groups=row.groups,
    )


def _why(pick: Pick, row: PoolExample) -> str:
    what = f"minimum of {', '.join(pick.served)}" if pick.served else "covers most of what was not covered"
    return f"{what}; quality: {in_words(row.quality)}; difficulty: {row.why}"


def _notes(selection: Selection, options: SelectOptions, gates: Gates, unsampled: int) -> Iterator[str]:
    if len(selection.rows) < options.n:
        yield f"{len(selection.rows)} of {options.n}: no more rows are left, or caps allow no more"
    for group, lacking in selection.short.items():
        yield f"the minimum of {group} lacks {lacking}: the pool holds no more, or a cap is in the way"
    for group in options.maximums:
        if not group.endswith(":*") and group not in selection.pool:
            yield f"the maximum of {group} caps nothing: the pool holds none"
    if gates.alike_and_normal:
        yield (
            f"{gates.alike_and_normal} reports without a finding read like a held-out one and were kept: normal "
            "reports are often the same words"
        )
    if unsampled:
        yield f"{unsampled} studies have no sample of the student; they count as of mean difficulty"
