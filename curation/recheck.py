"""Recheck: judge a whole run again without a single call, because rules changed, and say what changed.

The journal is append-only: each candidate gets a new judged event, and the last one counts. What a judge (an LLM)
or a verifier found is kept, and so is a reader's word: it is no rule's to take back. Severities, and what becomes of
doubts, may change with it; then the run's recipe says so from there on, and `curate` goes on under them. It knows
verdicts. It does not know what the rules look for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..data.executor import Executor, Failed
from ..data.processes import THIS_PROCESS
from ..data.run import RunFolder
from ..schemas.candidate import Candidate
from ..schemas.plugins import Plugin, check_files, file_plugin
from ..schemas.study import Study
from ..schemas.verdict import Doubts, Verdict, Weight
from ..validators.gate import judge
from . import template_trace
from .amend import Rechecked, Step, Unjudged, record, refuse_training, rejudge, reopened
from .doubts import decided, doubts_of
from .template_trace import Templates, marked, sketches
from .verifying.answer import VERIFIER

JUDGE = "judge"  # the rule name of what an LLM judge found
Stored = tuple[Study, Candidate, Verdict]
KEPT = frozenset({JUDGE, VERIFIER, template_trace.RULE})  # what no rule of the gate finds


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


def recheck(
    path: Path,
    on_candidate: Callable[[], None] = lambda: None,
    *,
    changes: Mapping[str, Any] = {},
    dry_run: bool = False,
    executor: Executor = THIS_PROCESS,
) -> Rechecked:
    """Judge every candidate of a run again, and write its tables from the new verdicts.

    Args:
        path: the run folder; one that has not finished stays unfinished.
        on_candidate: called for every candidate that has been judged.
        changes: keys of the recipe, of JUDGED_BY, that are others from now on.
        dry_run: only say what would change.
        executor: judges (data/executor.py).

    Raises:
        RunError: it is no run folder, another process works on it, or it cannot be written.
    """
    failed: dict[str, Unjudged] = {}
    with Templates() as templates:

        def again(run: RunFolder) -> Iterator[Step]:
            recipe = {**run.manifest.recipe, **changes}
            stored = ((run.studies.get(candidate.study_id), candidate, verdict) for candidate, verdict in run.judged())
            work = partial(_judged_again, *options_of(recipe))
            for (_, candidate, verdict), found in executor.map_rows(work, stored, content):
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
                refuse_training(run.manifest, path)
                result = record(run, again(run), write=False)
                twins = {twin.key for twin in templates.twins()}
                result = rejudge(run, compared, result, write=False)
                result.failed = tuple(failed.values())
                return result
        with reopened(path, changes) as (run, finish):
            result = record(run, again(run))
            twins = {twin.key for twin in templates.twins()}
            result = rejudge(run, compared, result)
            result.counts, result.failed = finish(None), tuple(failed.values())
        return result


def content(stored: Stored) -> str:
    """What decides a new verdict, for a cache; the options do as well, which the cache has from the work."""
    return "\n".join(one.model_dump_json() for one in stored)


def options_of(recipe: Mapping[str, Any]) -> tuple[Mapping[str, Weight], Doubts, tuple[Plugin, ...]]:
    """What of a recipe decides a verdict; its own rules with their hashes, since a worker may see other files."""
    return recipe.get("severities") or {}, doubts_of(recipe), tuple(map(file_plugin, recipe.get("rules") or ()))


def _judged_again(
    severities: Mapping[str, Weight],
    doubts: Doubts,
    rules: Sequence[Plugin],
    stored: Sequence[Stored],
) -> list[tuple[Verdict, Any]]:
    """New verdicts, and the sketches of what is not rejected."""
    check_files(rules)
    own = [rule.module for rule in rules]
    found = []
    for study, candidate, verdict in stored:
        now = judge_again(study, candidate, verdict, severities, doubts, own)
        wanted = candidate.trace is not None and now.outcome != "reject"
        sketched = sketches(candidate.trace.texts, study.report) if wanted and candidate.trace else None
        found.append((now, sketched))
    return found
