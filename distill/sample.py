"""A student's or a base's answers to unseen studies, into a run folder, judged by the rules that judge teachers.

An answer's key covers everything that decides it: weights, prompt, image, sampling parameters, index. What has been
sampled under its key is not sampled again, so a sampling run that was stopped goes on where it was.

A student is asked what it was trained for, or by another prompt of distill/prompts: ten steps then the report, or the
report alone. A report alone is judged without the rules about steps.

The studies none of whose answers was accepted go back to curation as a study store (`redo`): `tenstep curate RECIPE
--studies` takes it as it takes any other, so that a teacher writes traces for what the student does not yet know.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from ..data.run import MANIFEST, RunFolder
from ..data.store.studies import StudyStore
from ..schemas.candidate import Candidate, Usage
from ..schemas.errors import ImageError, InputError, LayoutError
from ..schemas.layout import parse
from ..schemas.recipe import SampleRecipe
from ..schemas.run import Event, Manifest, State
from ..schemas.study import Study
from ..schemas.trace import Trace
from ..schemas.verdict import Verdict
from ..validators.gate import judge
from . import prompt as prompts
from .generate import Answer, Request, generate
from .libraries import quiet
from .load import Loaded
from .models import Model, Quantize, find, model_of, prompt_of
from .pixels import check_all, choose, open_image
from .prompt import Prompt
from .sampled import STEPS_FORM, Figures, figures
from .sampled import well_formed as well_formed

T = TypeVar("T")
_OFF: Literal["error", "warning", "off"] = "off"


class Question(NamedTuple):
    """One answer to ask for."""

    key: str
    study: Study
    image: Path
    number: int  # index among the study's answers: those of the first temperature, then of the next
    temperature: float


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
        InputError: no study has an image, the recipe's model is not there, or the run has answers about studies that
            are not in this store.
    """
    _same_studies(out, store)
    model, asked = model_of(recipe), prompt_of(recipe)
    with RunFolder.open(out, kind="sample", recipe=recipe, studies=store) as run:
        done = {key for key, state in run.journal.states().items() if state is State.JUDGED}
        waiting = [question for question in _questions(run, recipe) if question.key not in done]
        if not waiting and not done:
            raise InputError("no study here has an image that a student could read", file=store.root)
        if waiting:
            weights = {} if asked.steps else dict.fromkeys(STEPS_FORM, _OFF)
            with quiet():
                loaded = model.load(recipe.model_sha256)
                for temperature in recipe.temperatures:
                    for some in _chunks([q for q in waiting if q.temperature == temperature], batch):
                        for candidate, raw in _ask(loaded, some, recipe, model, asked):
                            verdict = judge(store.get(candidate.study_id), candidate, weights)
                            run.record(candidate, verdict, raw=raw)
                            on_judged(candidate, verdict)
        shaped = sum(well_formed(verdict) for _, verdict in run.judged())
        accepted = sum(verdict.accepted for _, verdict in run.judged())
        return run.finish(well_formed=shaped, accepted_answers=accepted, sampled=len(waiting))


def plan(
    model: Path,
    *,
    name: str,
    temperatures: Sequence[float],
    n: int,
    max_new_tokens: int | None,
    limit: int | None,
    seed: int,
    prompt: str | None = None,
    revision: str | None = None,
    quantize: Quantize | None = None,
) -> SampleRecipe:
    """The recipe of a sampling run: the model as it is, and how it is asked.

    Args:
        model: an adapter's folder, or the training run that holds one; a merged student; or a base, whose answers
            are a zero-shot baseline.
        name: the run's name.
        temperatures: 0 is greedy.
        n: answers per study and temperature.
        max_new_tokens: none for what the student was trained for; of a base 1,024.
        limit: only the first so many studies.
        seed: of all answers.
        prompt: a prompt of distill/prompts; none for the one that the student was trained with, of
            a base `ten-steps`.
        revision: the commit of a base on the hub.
        quantize: of a base: nf4 or none.
    """
    found = find(model, revision=revision, quantize=quantize)
    name_of_prompt = prompt or found.prompt
    path = Path(found.place) / prompts.FILE if name_of_prompt is None else prompts.path_of(name_of_prompt)
    return SampleRecipe(
        name=name,
        model=found.place,
        model_sha256=found.sha256(),
        weights=found.weights,
        revision=found.revision,
        quantize=found.quantize,
        prompt=name_of_prompt,
        prompt_sha256=prompts.read(path).sha256,
        temperatures=tuple(dict.fromkeys(temperatures)),
        n=n,
        max_new_tokens=max_new_tokens or found.max_new_tokens,
        limit=limit,
        seed=seed,
    )


def count(out: Path) -> dict[float, Figures]:
    """The figures of a sampling run, by temperature, counted from its journal."""
    with RunFolder.read(out) as run:
        recipe = SampleRecipe.model_validate(run.manifest.recipe, strict=False)
        asked = prompt_of(recipe)
        judged = list(run.judged())
        studies = {one.candidate.study_id: run.studies.get(one.candidate.study_id) for one in judged}
    by = {
        temperature: [one for one in judged if one.candidate.sample // recipe.n == at]
        for at, temperature in enumerate(recipe.temperatures)
    }
    return {temperature: figures(some, studies, steps=asked.steps) for temperature, some in by.items()}


def redo(out: Path, store: Path) -> int:
    """Write the studies none of whose answers was accepted as a study store for curation.

    Args:
        out: the sampling run.
        store: the new store's folder.

    Returns:
        how many studies there are; for none, no store is written.

    Raises:
        InputError: there is something at `store`.
    """
    with RunFolder.read(out) as run:
        passed: dict[str, bool] = {}
        for candidate, verdict in run.judged():
            passed[candidate.study_id] = passed.get(candidate.study_id, False) or verdict.accepted
        failed = [study_id for study_id, accepted in passed.items() if not accepted]
        if failed:
            with StudyStore.create(store, "sample") as writer:
                for study_id in failed:
                    writer.add(run.studies.with_full_paths(run.studies.get(study_id)))
    return len(failed)


def _same_studies(out: Path, store: StudyStore) -> None:
    """Refuse a store other than the one that a run's answers are about, before anything of the run is changed."""
    if not (out / MANIFEST).is_file():
        return
    with RunFolder.read(out, studies=store.root) as run:
        if run.manifest.kind != "sample":
            return  # opening it says so
        recipe = SampleRecipe.model_validate(run.manifest.recipe, strict=False)
        for event in run.journal.latest(State.JUDGED):
            try:
                study = store.get(event.study_id)
            except InputError:
                study = None
            image = None if study is None else choose(study)
            if study is None or image is None or event.key not in _keys(recipe, study, image.sha256):
                raise InputError(
                    f"not the store of this run, which has answers about '{event.study_id}' and its image; give "
                    f"--studies {(out / run.manifest.studies).resolve()}, or choose another --out",
                    file=store.root,
                )


def _keys(recipe: SampleRecipe, study: Study, image: str) -> set[str]:
    return {_key(recipe, study, image, temperature, index) for temperature, index in _indices(recipe)}


def _questions(run: RunFolder, recipe: SampleRecipe) -> Iterator[Question]:
    """Every answer to ask for; a study that cannot be shown is journalled as failed, with the reason."""
    shown = [(study, choose(study)) for study in islice(run.studies, recipe.limit)]
    checked = check_all((run.studies, study, image) for study, image in shown if image is not None)
    for study, image in shown:
        found: Path | ImageError = ImageError(f"study '{study.id}': it has no image, and a student reads images")
        if image is not None:
            found = next(checked)
        if image is None or isinstance(found, ImageError):
            for temperature, index in _indices(recipe):
                event = Event(
                    key=_key(recipe, study, "none", temperature, index),
                    state=State.FAILED,
                    study_id=study.id,
                    at=time.time(),
                    body={"reason": str(found)},
                )
                run.journal.append(event).result()
            continue
        for temperature, index in _indices(recipe):
            key = _key(recipe, study, image.sha256, temperature, index)
            yield Question(key, study, found, index, temperature)


def _indices(recipe: SampleRecipe) -> Iterator[tuple[float, int]]:
    for at, temperature in enumerate(recipe.temperatures):
        for index in range(recipe.n):
            yield temperature, at * recipe.n + index


def _key(recipe: SampleRecipe, study: Study, image: str, temperature: float, index: int) -> str:
    parts = recipe.model_dump(include={"model_sha256", "prompt_sha256", "max_new_tokens", "seed"}, mode="json")
    parts["temperature"] = temperature
    return hashlib.sha256(json.dumps([parts, study.id, image, index], sort_keys=True).encode()).hexdigest()


def _ask(
    loaded: Loaded, questions: Sequence[Question], recipe: SampleRecipe, model: Model, asked: Prompt
) -> Iterator[tuple[Candidate, bytes]]:
    images = {path: open_image(path) for path in {question.image for question in questions}}
    requests = [Request(images[q.image], asked.text, int(q.key[:15], 16)) for q in questions]
    at, since = time.time(), time.monotonic()
    answers = generate(loaded, requests, max_new_tokens=recipe.max_new_tokens, temperature=questions[0].temperature)
    seconds = time.monotonic() - since
    for question, answer in zip(questions, answers, strict=True):
        yield _candidate(question, answer, model, asked, at, seconds), json.dumps({"tokens": answer.tokens}).encode()


def _candidate(question: Question, answer: Answer, model: Model, asked: Prompt, at: float, seconds: float) -> Candidate:
    trace, parse_error = None, None
    try:
        trace = parse(answer.text) if asked.steps else Trace(report=answer.text)
    except LayoutError as error:
        parse_error = str(error)
    return Candidate(
        key=question.key,
        study_id=question.study.id,
        author="student",
        teacher=model.name,
        model=model.model,
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
