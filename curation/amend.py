"""Amend: new verdicts for the candidates of a run, and what they change.

The journal is append-only: each candidate whose verdict differs gets a new judged event, and the last one counts; then
the tables are written from the new verdicts. It knows verdicts. It does not know why they are new: rules changed
(recheck.py), a judge or a verifier was asked, or a reader decided.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..data.judged import judged_event
from ..data.run import RunFolder
from ..schemas.base import Noun
from ..schemas.candidate import Candidate
from ..schemas.errors import RunError
from ..schemas.run import Event, Manifest
from ..schemas.verdict import Finding, Outcome, Verdict

NOW: Mapping[Outcome, str] = {"accept": "now accepted", "doubt": "now in doubt", "reject": "now rejected"}


_BATCH = 256  # events that are appended at once


@dataclass(frozen=True, slots=True)
class Changed:
    """A candidate whose findings differ from before."""

    study_id: str
    key: str
    attempt: int
    old: Verdict
    new: Verdict
    came: tuple[Finding, ...]  # errors and warnings that were not there
    went: tuple[Finding, ...]

    @property
    def was(self) -> Outcome:
        """The outcome before."""
        return self.old.outcome

    @property
    def now(self) -> Outcome:
        """The outcome that counts."""
        return self.new.outcome

    @property
    def flipped(self) -> bool:
        """Whether the verdict itself changed."""
        return self.was != self.now

    @property
    def rules(self) -> tuple[str, ...]:
        """Which rules made it change: of a changed outcome, those whose errors and doubts came or went."""
        found = (*self.came, *self.went)
        names = [f"{f.rule}: {f.code}" for f in found if not self.flipped or f.severity != "warning"]
        if self.new.resolution != self.old.resolution:
            names.append(
                "doubts open again" if self.new.resolution is None else f"resolved by {self.new.resolution.by}"
            )
        return tuple(dict.fromkeys(names))


class Unjudged(NamedTuple):
    """A candidate that could not be judged again; its verdict stays as it was."""

    study_id: str
    reason: str


@dataclass
class Rechecked:
    """What a recheck found."""

    candidates: int = 0
    changed: list[Changed] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)  # of the run, afterwards
    accepted_before: int = 0  # studies
    failed: tuple[Unjudged, ...] = ()

    @property
    def flipped(self) -> list[Changed]:
        """Candidates whose outcome is another."""
        return [one for one in self.changed if one.flipped]

    @property
    def rules(self) -> Counter[tuple[str, str]]:
        """How often a rule turned a verdict, and in which direction."""
        return Counter((rule, NOW[one.now]) for one in self.flipped for rule in one.rules)


class _Resolved(Noun, extra="allow"):
    """A recipe as the manifest holds it, whatever version wrote it."""


# keys of a recipe that decide verdicts, and no request
JUDGED_BY = ("severities", "rules", "doubts", "verifier", "verify")


def amend(path: Path, verdict_of: Callable[[RunFolder, Candidate, Verdict], Verdict]) -> Rechecked:
    """Give candidates of a run new verdicts, where they differ, and write its tables from them.

    Args:
        path: the run folder.
        verdict_of: the new verdict, from the candidate and its last one.

    Raises:
        RunError: it is no run folder, another process works on it, or it cannot be written.
    """
    with reopened(path) as (run, finish):
        result = rejudge(run, verdict_of)
        result.counts = finish(None)
    return result


Finish = Callable[[float | None], dict[str, int]]


Step = tuple[Candidate, Verdict, Verdict, Verdict]  # a candidate, its verdict before all, its last, its new one


@contextmanager
def reopened(path: Path, changes: Mapping[str, Any] = {}) -> Iterator[tuple[RunFolder, Finish]]:
    """A run open for writing, as it was but for `changes` of its recipe; call the second part at the end.

    That writes the tables, and the manifest if the run had finished, and returns the counts. It takes what has been
    spent since, in dollars on top of what the run had spent; none if nothing was asked.

    Raises:
        RunError: it is no run folder, another process works on it, or it cannot be written.
    """
    with RunFolder.read(path) as run:
        manifest, store = run.manifest, run.studies
    refuse_training(manifest, path)
    recipe = _Resolved.model_validate({**manifest.recipe, **changes})
    with RunFolder.open(path, kind=manifest.kind, recipe=recipe, studies=store, changeable=JUDGED_BY) as run:  # type: ignore[arg-type]  # no distill

        def finish(spend_usd: float | None) -> dict[str, int]:
            if manifest.finished is None:
                return run.write_tables()
            kept = {name: n for name, n in manifest.counts.items() if name == "studies"}  # not made from the journal
            return run.finish(spend_usd=manifest.spend_usd if spend_usd is None else spend_usd, **kept).counts

        yield run, finish


def refuse_training(manifest: Manifest, path: Path) -> None:
    if manifest.kind == "distill":
        raise RunError(
            "holds a training run, which has no verdicts; name a run of tenstep curate or tenstep sample", file=path
        )


def rejudge(
    run: RunFolder,
    verdict_of: Callable[[RunFolder, Candidate, Verdict], Verdict],
    earlier: Rechecked | None = None,
    *,
    write: bool = True,
) -> Rechecked:
    """Go through the candidates; what an earlier pass found is the verdict that this one starts from."""
    before = {one.key: one for one in earlier.changed} if earlier else {}

    def steps() -> Iterator[Step]:
        for candidate, verdict in run.judged():
            changed = before.get(candidate.key)
            old, last = (changed.old, changed.new) if changed else (verdict, verdict)
            yield candidate, old, last, verdict_of(run, candidate, last)

    return record(run, steps(), write=write)


def record(run: RunFolder, steps: Iterable[Step], *, write: bool = True) -> Rechecked:
    result, accepted = Rechecked(), set[str]()
    events: list[Event] = []
    for candidate, old, last, now in steps:
        result.candidates += 1
        if old.accepted:
            accepted.add(candidate.study_id)
        if now != old:
            result.changed.append(_changed(candidate, old, now))
        if now != last and write:
            events.append(judged_event(candidate, now))
        if len(events) >= _BATCH:
            run.journal.append(*events).result()
            events = []
    if events:
        run.journal.append(*events).result()
    result.accepted_before = len(accepted)
    return result


def _changed(candidate: Candidate, was: Verdict, now: Verdict) -> Changed:
    old, new = Counter(map(_same, was.findings)), Counter(map(_same, now.findings))
    return Changed(
        study_id=candidate.study_id,
        key=candidate.key,
        attempt=candidate.attempt,
        old=was,
        new=now,
        came=tuple(f for f in now.findings if not old[_same(f)]),
        went=tuple(f for f in was.findings if not new[_same(f)]),
    )


def _same(finding: Finding) -> tuple[str, str, str, int | None]:
    """A finding without its words."""
    return finding.rule, finding.code, finding.severity, finding.step
