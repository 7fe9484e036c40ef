"""Recheck: judge a whole run again without a single call, because rules changed, and say what changed.

The journal is append-only: each candidate gets a new judged event, and the last one counts. What a judge (an LLM)
or a verifier found is kept, and so is a reader's word: it is no rule's to take back. Severities, and what becomes of
doubts, may change with it; then the run's recipe says so from there on, and `curate` goes on under them. It knows
verdicts. It does not know what the rules look for.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..data.judged import judged_event
from ..data.kept import keep
from ..data.run import RunFolder
from ..data.workers import Failed, Workers, in_order
from ..schemas.base import Noun
from ..schemas.candidate import Candidate
from ..schemas.errors import RunError
from ..schemas.run import Event, Manifest
from ..schemas.study import Study
from ..schemas.verdict import Doubts, Finding, Outcome, Verdict, Weight
from ..validators.gate import judge
from . import template_trace
from .doubts import decided, doubts_of
from .template_trace import Templates, marked, sketches
from .verifying.answer import VERIFIER

JUDGE = "judge"  # the rule name of what an LLM judge found
KEPT = frozenset({JUDGE, VERIFIER, template_trace.RULE})  # what no rule of the gate finds
NOW: Mapping[Outcome, str] = {"accept": "now accepted", "doubt": "now in doubt", "reject": "now rejected"}
_BATCH = 256  # events that are appended at once


def judge_again(
    study: Study,
    candidate: Candidate,
    verdict: Verdict,
    severities: Mapping[str, Weight] = {},
    doubts: Doubts = "hold",
    own: Sequence[str] = (),
) -> Verdict:
    """What the rules say now, and what others found or resolved before.

    Args:
        study: what the candidate is about.
        candidate: as it was stored.
        verdict: its last.
        severities: the run's own.
        doubts: what becomes of them in this run.
        own: files of the recipe's own rules.
    """
    kept = tuple(finding for finding in verdict.findings if finding.rule in KEPT)
    now = judge(study, candidate, severities, own)
    return decided(Verdict(findings=(*now.findings, *kept), resolution=verdict.resolution), doubts)


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
    """A candidate that could not be judged again: its verdict stays as it was."""

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


def recheck(
    path: Path,
    on_candidate: Callable[[], None] = lambda: None,
    *,
    changes: Mapping[str, Any] = {},
    dry_run: bool = False,
    workers: Workers = 1,
    kept: Path | None = None,
) -> Rechecked:
    """Judge every candidate of a run again, and write its tables from the new verdicts.

    Args:
        path: the run folder; one that has not finished stays unfinished.
        on_candidate: called for every candidate that has been judged.
        changes: keys of the recipe, of JUDGED_BY, that are others from now on.
        dry_run: only say what would change.
        workers: who judges (data/workers.py): so many processes, or an engine.
        kept: a folder for finished shards (data/kept.py).

    Raises:
        RunError: it is no run folder, another process works on it, or it cannot be written.
    """
    failed: dict[str, Unjudged] = {}
    with Templates() as templates:

        def again(run: RunFolder) -> Iterator[Step]:
            recipe = {**run.manifest.recipe, **changes}
            options = recipe.get("severities") or {}, doubts_of(recipe), recipe.get("rules") or ()
            stored = ((run.studies.get(candidate.study_id), candidate, verdict) for candidate, verdict in run.judged())
            shards = keep(kept, "recheck", {"judged by": options}, _content)
            for (_, candidate, verdict), found in in_order(partial(_judged_again, *options), stored, workers, shards):
                on_candidate()
                if isinstance(found, Failed):  # its verdict stays
                    failed[candidate.key] = Unjudged(candidate.study_id, found.reason)
                    yield candidate, verdict, verdict, verdict
                    continue
                now, sketched = found
                if sketched is not None:
                    templates.add(candidate.key, candidate.study_id, *sketched)
                yield candidate, verdict, verdict, now

        def compared(run: RunFolder, candidate: Candidate, verdict: Verdict) -> Verdict:
            recipe = {**run.manifest.recipe, **changes}
            if candidate.key in failed:
                return verdict
            found = marked(verdict, candidate.key in twins, recipe.get("severities") or {})
            return decided(found, doubts_of(recipe))

        if dry_run:
            with RunFolder.read(path) as run:
                _refuse_training(run.manifest, path)
                result = _rejudged(run, again(run), write=False)
                twins = {twin.key for twin in templates.twins()}
                result = rejudge(run, compared, result, write=False)
                result.failed = tuple(failed.values())
                return result
        with reopened(path, changes) as (run, finish):
            result = _rejudged(run, again(run))
            twins = {twin.key for twin in templates.twins()}
            result = rejudge(run, compared, result)
            result.counts, result.failed = finish(None), tuple(failed.values())
        return result


def amend(path: Path, verdict_of: Callable[[RunFolder, Candidate, Verdict], Verdict]) -> Rechecked:
    """Give candidates of a run new verdicts, where they differ, and write its tables from them.

    Args:
        path: the run folder.
        verdict_of: the new verdict, from the candidate and its last one.

    Raises:
        RunError: see `recheck`.
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
        RunError: see `recheck`.
    """
    with RunFolder.read(path) as run:
        manifest, store = run.manifest, run.studies
    _refuse_training(manifest, path)
    recipe = _Resolved.model_validate({**manifest.recipe, **changes})
    with RunFolder.open(path, kind=manifest.kind, recipe=recipe, studies=store, changeable=JUDGED_BY) as run:  # type: ignore[arg-type]  # no distill

        def finish(spend_usd: float | None) -> dict[str, int]:
            if manifest.finished is None:
                return run.write_tables()
            kept = {name: n for name, n in manifest.counts.items() if name == "studies"}  # not made from the journal
            return run.finish(spend_usd=manifest.spend_usd if spend_usd is None else spend_usd, **kept).counts

        yield run, finish


def _refuse_training(manifest: Manifest, path: Path) -> None:
    if manifest.kind == "distill":
        raise RunError("holds a training run, which has no verdicts", file=path)


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

    return _rejudged(run, steps(), write=write)


def _content(stored: tuple[Study, Candidate, Verdict]) -> str:
    return "\n".join(one.model_dump_json() for one in stored)


def _judged_again(
    severities: Mapping[str, Weight],
    doubts: Doubts,
    own: Sequence[str],
    stored: Sequence[tuple[Study, Candidate, Verdict]],
) -> list[tuple[Verdict, Any]]:
    """New verdicts, and the sketches of what is not rejected."""
    found = []
    for study, candidate, verdict in stored:
        now = judge_again(study, candidate, verdict, severities, doubts, own)
        wanted = candidate.trace is not None and now.outcome != "reject"
        sketched = sketches(candidate.trace.texts, study.report) if wanted and candidate.trace else None
        found.append((now, sketched))
    return found


def _rejudged(run: RunFolder, steps: Iterable[Step], *, write: bool = True) -> Rechecked:
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
