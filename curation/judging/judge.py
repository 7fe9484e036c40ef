"""The judge: a model of another family scores traces by a rubric and adds findings. It accepts nothing.

    traces of a run, shuffled, unsigned ──► n questions each ──► RUN/judge/NAME (a journal of its own)
        ──► judgements.jsonl, medians a trace ──► findings, appended to the run's verdicts

It is asked through what a teacher is asked through: the policy guard, the gate, the budget, the retries, the journal;
what has been answered is never asked again. An answer that cannot be read is counted as an error and is no score. The
findings are warnings; they reject only where the judge's agreement with people has been measured and is high enough
(`tenstep agreement`), and a person says so. The judge's own journal holds its answers as they came, and whether each
could be read as a judgement.
"""

import json
import random
import statistics
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...data.files import replacing
from ...data.formats.json_lines import json_lines
from ...data.run import RunFolder
from ...schemas.candidate import Candidate
from ...schemas.errors import RecipeError, RunError
from ...schemas.study import Study
from ...schemas.verdict import Finding, Severity, Verdict
from ..amend import Rechecked, amend
from ..recheck import JUDGE
from ..requests.budget import Lane
from ..requests.polite import run_politely
from ..requests.session import Session, check_requests
from ..requests.tally import Reason, Tally
from ..teacher import Question, Teacher
from .families import check_family
from .raters import Estimate, Rated, agreement
from .recipe import JudgeRecipe
from .rubric import Rubric, RubricScore, UnreadableJudgement

JUDGEMENTS = "judgements.jsonl"  # in RUN/judge/NAME
TRUSTED = 0.667  # Krippendorff's bound for tentative conclusions


@dataclass
class JudgedTrace:
    """One trace and its judgements."""

    study: Study
    candidate: Candidate
    marks: dict[tuple[str, int], tuple[RubricScore, ...]] = field(default_factory=dict)  # by judge and repeat
    unreadable: list[str] = field(default_factory=list)

    def scores(self, dimension: str) -> list[int]:
        """All scores on one question, by judge and repeat."""
        return [mark.score for key in sorted(self.marks) for mark in self.marks[key] if mark.dimension == dimension]

    def medians(self) -> dict[str, float]:
        """The median score on each question; empty if nothing could be read."""
        names = dict.fromkeys(mark.dimension for marks in self.marks.values() for mark in marks)
        return {name: statistics.median(self.scores(name)) for name in names}

    def findings(self, worst: int, severities: Mapping[str, Severity] = {}) -> tuple[Finding, ...]:
        """A finding for each question whose median is `worst` or lower, with the lowest judgement's words."""
        found = []
        for name, median in self.medians().items():
            if median > worst:
                continue
            marks = (mark for key in sorted(self.marks) for mark in self.marks[key] if mark.dimension == name)
            lowest = min(marks, key=lambda mark: (mark.score, mark.step is None))
            found.append(
                Finding(
                    rule=JUDGE,
                    code=f"{JUDGE}_{name}",
                    severity=severities.get(name, "warning"),
                    step=lowest.step,
                    span=lowest.span,
                    message=f"{lowest.reason} ({name.replace('_', ' ')} {median:g} of 5)",
                    evidence=lowest.quote if lowest.step is None and lowest.quote else None,
                )
            )
        return tuple(found)


@dataclass
class Judging:
    """What came of judging a run."""

    traces: list[JudgedTrace]
    tally: Tally
    judges: tuple[str, ...]
    dimensions: tuple[str, ...]

    @property
    def unreadable(self) -> int:
        """Answers that were no judgement."""
        return sum(len(one.unreadable) for one in self.traces)

    def stability(self) -> dict[str, Estimate]:
        """Krippendorff's alpha between repeats and judges, for each question: does the judge agree with itself?"""
        names = sorted({key for one in self.traces for key in one.marks})
        return {
            dimension: agreement(
                [
                    Rated(
                        one.study.patient_id,
                        tuple(
                            next((m.score for m in one.marks.get(name, ()) if m.dimension == dimension), None)
                            for name in names
                        ),
                    )
                    for one in self.traces
                ]
            ).alpha
            for dimension in self.dimensions
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """judgements.jsonl: what `tenstep agreement` reads, and everything that was said."""
        for one in self.traces:
            if one.marks or one.unreadable:
                yield {
                    "id": one.study.id,
                    "patient_id": one.study.patient_id,
                    "key": one.candidate.key,
                    **one.medians(),
                    "judgements": [
                        {"judge": judge, "repeat": repeat, "marks": [mark.model_dump() for mark in marks]}
                        for (judge, repeat), marks in sorted(one.marks.items())
                    ],
                    "unreadable": one.unreadable,
                }


def judge_run(
    path: Path,
    recipe: JudgeRecipe,
    judges: Sequence[Teacher],
    *,
    severities: Mapping[str, Severity] = {},
    on_trace: Callable[[Tally], None] = lambda tally: None,
) -> tuple[Judging, Rechecked]:
    """Judge a run's traces, and add what was found to its verdicts.

    Args:
        path: the run folder.
        recipe: how.
        judges: loaded from it, in its order.
        severities: questions on which a low score rejects; the others warn.
        on_trace: called for every answer.

    Raises:
        RecipeError: a judge is of the family of a trace's author, or works in batches; or see budget.py.
        PolicyError: the data may not go to a judge; before anything is read or sent.
        RunError: there is nothing to judge, or another process works on the run.
    """
    if batched := [judge.name for judge in judges if getattr(judge, "batch", False)]:
        raise RecipeError(f"judge '{batched[0]}' works in batches, which judging does not; say batch: false")
    with RunFolder.read(path) as run:
        check_requests(recipe, judges, run.studies.data_class)
        traces = list(_traces(run, recipe))
        store = run.studies
    if not traces:
        raise RunError("holds no trace to judge; 'which: all' takes rejected ones as well", file=path)
    if not recipe.same_family:
        for judge in judges:
            check_family(
                judge,
                f"judge '{judge.name}'",
                ((one.candidate.teacher, one.candidate.model) for one in traces),
                "judges",
            )
    folder = path / "judge" / recipe.name
    with RunFolder.open(folder, kind="curate", recipe=recipe, studies=store) as book:
        work = _Work(book, recipe, judges, on_trace)
        result = run_politely(work.judge(traces), work.stop)
    _write(folder / JUDGEMENTS, result, private=store.data_class == "restricted")
    found = {one.candidate.key: one.findings(recipe.worst, severities) for one in traces if one.marks}

    def with_judge(run: RunFolder, candidate: Candidate, verdict: Verdict) -> Verdict:
        if candidate.key not in found:
            return verdict
        others = tuple(finding for finding in verdict.findings if finding.rule != JUDGE)
        return verdict.model_copy(update={"findings": (*others, *found[candidate.key])})

    return result, amend(path, with_judge)


def _write(file: Path, result: Judging, *, private: bool) -> None:
    """Write the judgements of this call, and keep earlier ones of traces about which it had no answer."""
    rows = {str(row["key"]): row for row in result.rows()}
    before = (
        {str(line.found.get("key")): line.found for line in json_lines(file) if line.found} if file.is_file() else {}
    )
    with replacing(file, private=private) as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in (before | rows).values())


def _traces(run: RunFolder, recipe: JudgeRecipe) -> Iterator[JudgedTrace]:
    """The trace that decided each study, as far as it is wanted; so many as the limit says, by chance."""
    deciding: dict[str, str] = {}
    accepted: set[str] = set()
    for candidate, verdict in run.judged():
        others = tuple(f for f in verdict.findings if f.rule != JUDGE)
        rules_accept = verdict.model_copy(update={"findings": others}).accepted
        if candidate.trace is not None and candidate.study_id not in accepted:
            deciding[candidate.study_id] = candidate.key
            if rules_accept:
                accepted.add(candidate.study_id)
    keys = sorted(key for study, key in deciding.items() if recipe.which == "all" or study in accepted)
    random.Random(recipe.seed).shuffle(keys)  # noqa: S311 an order, no secret
    wanted = set(keys[: recipe.limit])
    for candidate, _ in run.judged():
        if candidate.key in wanted:
            yield JudgedTrace(run.studies.get(candidate.study_id), candidate)


class _Work:
    """One call: the questions that are open, asked in a shuffled order."""

    def __init__(
        self, book: RunFolder, recipe: JudgeRecipe, judges: Sequence[Teacher], on_trace: Callable[[Tally], None]
    ) -> None:
        self._book, self._recipe, self._on_trace = book, recipe, on_trace
        self._session = Session(book, recipe, judges)
        self._rubric = Rubric(recipe.rubric)

    async def judge(self, traces: Sequence[JudgedTrace]) -> Judging:
        """Ask everything; raises as `Session.close` does."""
        lanes, repeats = self._session.lanes, range(self._recipe.repeats)
        todo = [(one, lane, repeat) for one in traces for lane in lanes for repeat in repeats]
        random.Random(self._recipe.seed).shuffle(todo)  # noqa: S311 an order, no secret
        open_ = iter(todo)

        async def take() -> tuple[JudgedTrace, Lane, int] | None:
            return next(open_, None)

        try:
            await self._session.work(take, self._one, self._recipe.concurrency)
        finally:
            await self._session.close()
        names = tuple(lane.teacher.name for lane in lanes)
        return Judging(list(traces), self._session.tally, names, self._rubric.dimensions)

    def stop(self, reason: Reason = "stopped") -> None:
        """Send nothing more; requests in flight are waited for."""
        self._session.stop(reason)

    async def _one(self, todo: tuple[JudgedTrace, Lane, int]) -> None:
        one, lane, repeat = todo
        trace = one.candidate.trace
        assert trace is not None  # a candidate without a trace is not chosen
        prompt = self._rubric.ask(one.study, trace, repeat)
        question = Question(one.study, prompt, sample=repeat, path_of=self._book.studies.path_of)
        tally, answer = self._session.tally, await self._session.asker.ask(lane, question)
        if answer is None:
            return
        try:
            marks = self._rubric.read(answer.reply.text, one.study, trace)
        except UnreadableJudgement as error:
            one.unreadable.append(f"{lane.teacher.name}, repeat {repeat + 1}: {error}")
            tally.rejected += 1
        else:
            one.marks[lane.teacher.name, repeat] = marks
            tally.accepted += 1
        self._session.asker.conclude(answer, {"readable": (lane.teacher.name, repeat) in one.marks})
        self._session.sum_up()
        self._on_trace(tally)


def rejecting(agreed: Mapping[str, Any], dimensions: Collection[str]) -> dict[str, Severity]:
    """The questions on which a judge may reject: those where the interval of alpha with people lies above 0.667.

    Args:
        agreed: what `tenstep agreement --json` wrote of the judge's file and people's.
        dimensions: the rubric's.
    """
    found: dict[str, Severity] = {}
    for name, said in agreed.get("questions", {}).items():
        low = (said.get("alpha") or {}).get("low")
        if name in dimensions and isinstance(low, int | float) and low >= TRUSTED:
            found[name] = "error"
    return found
