"""A student's or a base's answers to unseen studies, into a run folder, judged by the rules that judge teachers.

A student is asked what it was trained for, or by another prompt of distill/prompts: ten steps then the report, or the
report alone. Here the weights are loaded, on this machine's card or CPU, in one process or in those that torchrun
started (together.py); curation/served.py asks a server instead, and writes the same kind of run.
"""

import json
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from ..data.run import RunFolder
from ..data.run_files import MANIFEST
from ..data.store.studies import StudyStore
from ..schemas.candidate import Candidate, Usage
from ..schemas.errors import InputError
from ..schemas.run import Manifest, State
from ..schemas.sample_recipe import SampleRecipe, Served
from ..schemas.verdict import Verdict
from ..validators.samples import counts_of, judge_sample
from . import prompt as prompts
from .generate import Completion
from .models import Model, Quantize, find, model_of, prompt_of
from .prompt import Prompt
from .questions import StudentQuestion, check_same_studies, questions
from .sampled import Figures, figures
from .together import Answering


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
        batch: answers that a process generates at once; of no influence on them.
        on_judged: called for each new answer.

    Returns:
        The finished manifest; its counts hold answers in all (`attempts`), `well_formed` and `sampled` (new ones).

    Raises:
        InputError: no study has an image, the recipe's model is not there, or the run has answers about studies that
            are not in this store.
    """
    check_same_studies(out, store)
    model, asked, answering = model_of(recipe), prompt_of(recipe), Answering(recipe, batch)
    if not (out / MANIFEST).is_file():
        answering.load()  # a model that cannot be loaded leaves no run folder
    with RunFolder.open(out, kind="sample", recipe=recipe, studies=store) as run:
        done = {key for key, state in run.journal.states().items() if state is State.JUDGED}
        waiting, sampled = questions(run, recipe, done), 0
        while some := list(islice(waiting, answering.at_once)):
            at, since = time.time(), time.monotonic()
            answers = answering.answers(some)
            seconds = time.monotonic() - since
            for question, answer in zip(some, answers, strict=True):
                unread = _candidate(question, answer, model, asked, at, seconds)
                candidate, verdict = judge_sample(question.study, unread, steps=asked.steps)
                run.record(candidate, verdict, raw=json.dumps({"tokens": answer.tokens}).encode())
                on_judged(candidate, verdict)
            sampled += len(some)
        answering.close()
        if not sampled and not done:
            raise InputError(
                "no study here has an image that a student could read; ingest the studies with images", file=store.root
            )
        return run.finish(**counts_of(verdict for _, verdict in run.judged()), sampled=sampled)


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
    repetition_penalty: float = 1.0,
    served: Served | None = None,
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
        repetition_penalty: see generate.py.
        served: the server that answers, if the weights are not loaded here.
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
        repetition_penalty=repetition_penalty,
        served=served,
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


def _candidate(
    question: StudentQuestion, answer: Completion, model: Model, asked: Prompt, at: float, seconds: float
) -> Candidate:
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
        usage=Usage(input_tokens=answer.asked, output_tokens=len(answer.tokens)),
        cost_usd=0.0,
        stop_reason="stop" if answer.complete else "length",
        started_at=at,
        seconds=seconds,
    )
