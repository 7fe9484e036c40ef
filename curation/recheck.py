"""Recheck: judge a whole run again without a single call, because rules changed, and say what changed.

The journal is append-only: each candidate gets a new judged event, and the last one counts. What a judge (an LLM)
found is kept: it is no rule's to take back. It knows verdicts. It does not know what the rules look for.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..data.judged import judged_event
from ..data.run import RunFolder
from ..schemas.base import Noun
from ..schemas.candidate import Candidate
from ..schemas.errors import RunError
from ..schemas.run import Event
from ..schemas.study import Study
from ..schemas.verdict import Finding, Outcome, Verdict, Weight
from ..validators.gate import judge
from .doubts import Doubts, decided, doubts_of

JUDGE = "judge"  # the rule name of what an LLM judge found
NOW: Mapping[Outcome, str] = {"accept": "now accepted", "doubt": "now in doubt", "reject": "now rejected"}
_BATCH = 256  # events that are appended at once


def judge_again(
    study: Study,
    candidate: Candidate,
    verdict: Verdict,
    severities: Mapping[str, Weight] = {},
    doubts: Doubts = "hold",
) -> Verdict:
    """What the rules say now, and what a judge found or a reader resolved before.

    Args:
        study: what the candidate is about.
        candidate: as it was stored.
        verdict: its last.
        severities: the run's own.
        doubts: what becomes of them in this run.
    """
    by_judge = tuple(finding for finding in verdict.findings if finding.rule == JUDGE)
    now = judge(study, candidate, severities)
    return decided(Verdict(findings=(*now.findings, *by_judge), resolution=verdict.resolution), doubts)


@dataclass(frozen=True, slots=True)
class Changed:
    """A candidate whose findings differ from before."""

    study_id: str
    key: str
    attempt: int
    was: Outcome
    now: Outcome
    came: tuple[Finding, ...]  # errors and warnings that were not there
    went: tuple[Finding, ...]

    @property
    def flipped(self) -> bool:
        """Whether the verdict itself changed."""
        return self.was != self.now

    @property
    def rules(self) -> tuple[str, ...]:
        """Which rules made it change: of a changed outcome, those whose errors and doubts came or went."""
        found = (*self.came, *self.went)
        return tuple(dict.fromkeys(f"{f.rule}: {f.code}" for f in found if not self.flipped or f.severity != "warning"))


@dataclass
class Rechecked:
    """What a recheck found."""

    candidates: int = 0
    changed: list[Changed] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)  # of the run, afterwards
    accepted_before: int = 0  # studies

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


def recheck(path: Path, on_candidate: Callable[[], None] = lambda: None) -> Rechecked:
    """Judge every candidate of a run again, and write its tables from the new verdicts.

    Args:
        path: the run folder; one that has not finished stays unfinished.
        on_candidate: hears of every candidate that has been judged.

    Raises:
        RunError: it is no run folder, another process works on it, or it cannot be written.
    """

    def again(run: RunFolder, candidate: Candidate, verdict: Verdict) -> Verdict:
        on_candidate()
        study = run.studies.get(candidate.study_id)
        recipe = run.manifest.recipe
        return judge_again(study, candidate, verdict, recipe.get("severities", {}), doubts_of(recipe))

    return amend(path, again)


def amend(path: Path, verdict_of: Callable[[RunFolder, Candidate, Verdict], Verdict]) -> Rechecked:
    """Give candidates of a run new verdicts, where they differ, and write its tables from them.

    Args:
        path: the run folder.
        verdict_of: the new verdict, from the candidate and its last one.

    Raises:
        RunError: see `recheck`.
    """
    with RunFolder.read(path) as run:
        manifest, store = run.manifest, run.studies
    if manifest.kind == "distill":
        raise RunError("holds a training run, which has no verdicts", file=path)
    recipe = _Resolved.model_validate(manifest.recipe)
    with RunFolder.open(path, kind=manifest.kind, recipe=recipe, studies=store) as run:
        result = _amended(run, verdict_of)
        if manifest.finished is None:
            result.counts = run.write_tables()
        else:
            kept = {name: n for name, n in manifest.counts.items() if name == "studies"}  # not made from the journal
            result.counts = run.finish(spend_usd=manifest.spend_usd, **kept).counts
    return result


def _amended(run: RunFolder, verdict_of: Callable[[RunFolder, Candidate, Verdict], Verdict]) -> Rechecked:
    result, before = Rechecked(), set[str]()
    events: list[Event] = []
    for candidate, verdict in run.judged():
        now = verdict_of(run, candidate, verdict)
        result.candidates += 1
        if verdict.accepted:
            before.add(candidate.study_id)
        if now != verdict:
            result.changed.append(_changed(candidate, verdict, now))
            events.append(judged_event(candidate, now))
        if len(events) >= _BATCH:
            run.journal.append(*events).result()
            events = []
    if events:
        run.journal.append(*events).result()
    result.accepted_before = len(before)
    return result


def _changed(candidate: Candidate, was: Verdict, now: Verdict) -> Changed:
    old, new = Counter(map(_same, was.findings)), Counter(map(_same, now.findings))
    return Changed(
        study_id=candidate.study_id,
        key=candidate.key,
        attempt=candidate.attempt,
        was=was.outcome,
        now=now.outcome,
        came=tuple(f for f in now.findings if not old[_same(f)]),
        went=tuple(f for f in was.findings if not new[_same(f)]),
    )


def _same(finding: Finding) -> tuple[str, str, str, int | None]:
    """A finding apart from its words."""
    return finding.rule, finding.code, finding.severity, finding.step
