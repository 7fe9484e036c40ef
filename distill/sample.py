"""A student's answers to unseen studies, into a run folder, judged by the rules that judge teachers.

An answer's key covers everything that decides it: weights, prompt, image, sampling parameters, index. What has been
sampled under its key is not sampled again, so a sampling run that was stopped goes on where it was.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..data.run import RunFolder
from ..data.store import StudyStore
from ..schemas.candidate import Candidate, Usage
from ..schemas.errors import ImageError, InputError, LayoutError
from ..schemas.layout import parse
from ..schemas.recipe import SampleRecipe
from ..schemas.run import Event, Manifest, State
from ..schemas.study import Study
from ..schemas.verdict import Verdict
from ..validators import completion, headers, numbering, structure
from ..validators.gate import judge
from . import adapter
from .adapter import StudentCard
from .generate import Answer, Request, generate
from .libraries import quiet
from .load import Loaded
from .pixels import check, choose, open_image
from .prompt import Prompt

T = TypeVar("T")
_FORM = frozenset({*completion.CODES, *structure.CODES, *numbering.CODES, *headers.CODES})


class Question(NamedTuple):
    """One answer to ask for."""

    key: str
    study: Study
    image: Path
    number: int


def well_formed(verdict: Verdict) -> bool:
    """Complete, with exactly ten steps and the four headers, whatever they say."""
    return _FORM.isdisjoint(verdict.codes)


def sample(
    recipe: SampleRecipe,
    store: StudyStore,
    out: Path,
    *,
    batch: int,
    on_judged: Callable[[Candidate, Verdict], object] = lambda _candidate, _verdict: None,
) -> Manifest:
    """Ask the student about every study, as often as the recipe says.

    Args:
        recipe: see `plan`.
        store: the studies.
        out: the run folder; one with the same recipe is gone on with.
        batch: answers generated at once; of no influence on them.
        on_judged: told of each new answer.

    Returns:
        The finished manifest; its counts hold answers in all (`attempts`), `well_formed` and `sampled` (new ones).

    Raises:
        InputError: no study has an image, or the recipe's model is not there.
    """
    folder = Path(recipe.model)
    student, asked = adapter.describe(folder)
    with RunFolder.open(out, kind="sample", recipe=recipe, studies=store) as run:
        done = {key for key, state in run.journal.states().items() if state is State.JUDGED}
        waiting = [question for question in _questions(run, recipe) if question.key not in done]
        if not waiting and not done:
            raise InputError("no study here has an image that a student could read", file=store.root)
        if waiting:
            with quiet():
                loaded = adapter.load_student(folder, student)
                for some in _chunks(waiting, batch):
                    for candidate, raw in _ask(loaded, some, recipe, student, asked):
                        verdict = judge(store.get(candidate.study_id), candidate)
                        run.record(candidate, verdict, raw=raw)
                        on_judged(candidate, verdict)
        shaped = sum(well_formed(verdict) for _, verdict in run.judged())
        accepted = sum(verdict.accepted for _, verdict in run.judged())
        return run.finish(well_formed=shaped, accepted_answers=accepted, sampled=len(waiting))


def plan(
    model: Path, *, name: str, temperature: float, n: int, max_new_tokens: int | None, limit: int | None, seed: int
) -> SampleRecipe:
    """The recipe of a sampling run: the student as it is, and how it is asked.

    Args:
        model: an adapter's folder, or the training run that holds one.
        name: the run's name.
        temperature: 0 is greedy.
        n: answers per study.
        max_new_tokens: none for what the student was trained for.
        limit: only the first so many studies.
        seed: of all answers.
    """
    folder = adapter.find(model).resolve()
    student, asked = adapter.describe(folder)
    return SampleRecipe(
        name=name,
        model=str(folder),
        model_sha256=student.sha256,
        prompt_sha256=asked.sha256,
        temperature=temperature,
        n=n,
        max_new_tokens=max_new_tokens or student.max_new_tokens,
        limit=limit,
        seed=seed,
    )


def _questions(run: RunFolder, recipe: SampleRecipe) -> Iterator[Question]:
    """Every answer to ask for; a study that cannot be shown is journalled as failed, with the reason."""
    for study in islice(run.studies, recipe.limit):
        image = choose(study)
        try:
            if image is None:
                raise ImageError(f"study '{study.id}': it has no image, and a student reads images")
            path = check(run.studies, study, image)
        except ImageError as error:
            for index in range(recipe.n):
                event = Event(
                    key=_key(recipe, study, "none", index),
                    state=State.FAILED,
                    study_id=study.id,
                    at=time.time(),
                    body={"reason": str(error)},
                )
                run.journal.append(event).result()
            continue
        for index in range(recipe.n):
            yield Question(_key(recipe, study, image.sha256, index), study, path, index)


def _key(recipe: SampleRecipe, study: Study, image: str, index: int) -> str:
    parts = recipe.model_dump(
        include={"model_sha256", "prompt_sha256", "temperature", "max_new_tokens", "seed"}, mode="json"
    )
    return hashlib.sha256(json.dumps([parts, study.id, image, index], sort_keys=True).encode()).hexdigest()


def _ask(
    loaded: Loaded, questions: Sequence[Question], recipe: SampleRecipe, student: StudentCard, asked: Prompt
) -> Iterator[tuple[Candidate, bytes]]:
    requests = [Request(open_image(q.image), asked.text, int(q.key[:15], 16)) for q in questions]
    at, since = time.time(), time.monotonic()
    answers = generate(loaded, requests, max_new_tokens=recipe.max_new_tokens, temperature=recipe.temperature)
    seconds = time.monotonic() - since
    for question, answer in zip(questions, answers, strict=True):
        yield _candidate(question, answer, student, asked, at, seconds), json.dumps({"tokens": answer.tokens}).encode()


def _candidate(
    question: Question, answer: Answer, student: StudentCard, asked: Prompt, at: float, seconds: float
) -> Candidate:
    trace, parse_error = None, None
    try:
        trace = parse(answer.text)
    except LayoutError as error:
        parse_error = str(error)
    return Candidate(
        key=question.key,
        study_id=question.study.id,
        author="student",
        teacher=student.name,
        model=student.model,
        sample=question.number,
        prompt_id=asked.name,
        prompt_sha256=asked.sha256,
        saw_image=True,
        writes_report=True,
        text=answer.text,
        trace=trace,
        parse_error=parse_error,
        usage=Usage(input_tokens=answer.asked, output_tokens=len(answer.tokens)),
        cost_usd=0.0,
        stop_reason="stop" if answer.complete else "length",
        started_at=at,
        seconds=seconds,
    )


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
