"""A student behind a server: its answers to unseen studies, by OpenAI's chat completions (vLLM, SGLang, llama.cpp).

The same questions, prompt, run folder and verdicts as where the weights are loaded (distill/sample.py), asked through
what teachers are asked through: the policy guard, the pace, the retries, the journal. Who the student is and what it is
asked comes from its folder; that the server serves just these weights is its operator's word. One user turn holds the
image and the prompt, and the server's chat template makes of it what training saw, if it is the checkpoint's own.

Randomness is the server's: each answer is sent its own seed (the recipe's plus its number), which vLLM keeps to.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from ..data.judged import judged_body
from ..data.run import RunFolder
from ..data.store.studies import StudyStore
from ..schemas.candidate import Candidate
from ..schemas.errors import ImageError, InputError, RecipeError, first_fault
from ..schemas.recipe import Policy, RequestOptions
from ..schemas.run import Manifest, State
from ..schemas.sample_recipe import SampleRecipe
from ..schemas.verdict import Verdict
from ..schemas.views import best_frontal
from ..validators.samples import counts_of, judge_sample
from .clients.answers import chat_text
from .clients.endpoint import Endpoint
from .clients.envelope import unseal
from .clients.images import encode
from .prompt import FilledPrompt
from .requests.polite import run_politely
from .requests.session import Session, check_requests
from .requests.tally import Tally
from .teacher import Question, Reply, Unanswered, request_key
from .teachers.local import Options, Teacher
from .verdicts import candidate_of

_LARGEST = 8000  # pixels of an image's longer side: the student's own processor makes of it what it wants
_SECONDS = 600.0
_FLAGS = {"key_env": "key-env", "model": "served-model"}
_MOST = 4096  # requests under way, whatever the number of servers


class Asked(NamedTuple):
    """How a student is asked."""

    name: str  # the student's, for the tables
    model: str  # what candidates call it
    prompt_id: str
    prompt_sha256: str
    text: str
    steps: bool  # ten steps are requested in front of the report


class ServedStudent(Teacher):
    """The author: `curation.teacher.Teacher`, as the local ones, with a request of its own.

    Args:
        recipe: of the sampling run, with `served`.
        asked: how it is asked.
        urls: of servers that serve the same weights; the first is the recipe's.
        key_env: the variable that holds the servers' key, if they want one.
        limit: requests that each server takes at once.
    """

    can_repair = False

    def __init__(
        self, recipe: SampleRecipe, asked: Asked, urls: Sequence[str], key_env: str | None, limit: int
    ) -> None:
        assert recipe.served is not None
        options = Options(
            model=recipe.served.model,
            base_urls=tuple(urls),
            key_env=key_env,
            limit=limit,
            max_tokens=max(16, recipe.max_new_tokens),  # of the trial
            constrained=False,
            seconds=_SECONDS,
        )
        super().__init__(asked.name, options)
        self.max_output_tokens = recipe.max_new_tokens
        self._recipe = recipe
        named = {"model_sha256", "prompt_sha256", "max_new_tokens", "repetition_penalty", "temperatures", "n", "seed"}
        self._identity = {"provider": "served", **recipe.model_dump(include={*named, "served"}, mode="json")}

    async def body(self, question: Question) -> dict[str, Any]:
        """The request's body."""
        recipe, number = self._recipe, question.sample
        image = question.study.images[best_frontal([one.view for one in question.study.images])]
        assert question.path_of is not None
        path = question.path_of(image)
        try:
            sent = await asyncio.to_thread(encode, path, image, _LARGEST)
        except ImageError as error:
            raise Unanswered(State.FAILED, str(error), sent=False) from None
        temperature = recipe.temperatures[number // recipe.n]
        content = [
            {"type": "image_url", "image_url": {"url": sent.data_uri}},
            {"type": "text", "text": question.prompt.user},
        ]
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": recipe.max_new_tokens,
            "temperature": temperature,
        }
        if temperature:
            body |= {"seed": recipe.seed + number, "top_p": 1.0}
        if recipe.repetition_penalty != 1:
            body["repetition_penalty"] = recipe.repetition_penalty
        return body

    def read(self, raw: bytes) -> Reply:
        """See `curation.teacher.Teacher`; the text is judged as it came, like that of weights that are loaded here."""
        return dataclasses.replace(super().read(raw), text=chat_text(unseal(raw)).removeprefix(" "), reasoning=None)


def sample_served(
    recipe: SampleRecipe,
    asked: Asked,
    store: StudyStore,
    out: Path,
    *,
    urls: Sequence[str],
    key_env: str | None = None,
    attestations: Sequence[str] = (),
    concurrency: int = 8,
    on_judged: Callable[[Candidate, Verdict], object] = lambda _candidate, _verdict: None,
) -> tuple[Manifest, Tally]:
    """Ask the student about every study, as often as the recipe says; what was answered is not asked again.

    Args:
        recipe: with `served`.
        asked: how the student is asked.
        store: the studies.
        out: the run folder; one with the same recipe is gone on with.
        urls: of servers that serve the same weights; the first is the recipe's.
        key_env: the variable that holds their key, if they want one.
        attestations: files, for restricted data that goes to servers on other machines.
        concurrency: requests under way to each server.
        on_judged: called for each new answer.

    Returns:
        the finished manifest, as of `tenstep sample` without a server, and the counts of requests.

    Raises:
        PolicyError: the data may not go there.
        TeacherError: no server can be reached, or it does not serve this model with images.
        InputError: no study has an image.
    """
    options = RequestOptions(
        kind="sample",
        name=recipe.name,
        policy=Policy(attestations=tuple(attestations)),
        concurrency=min(concurrency * len(urls), _MOST),
        seed=recipe.seed,
    )
    try:
        student = ServedStudent(recipe, asked, urls, key_env, concurrency)
    except RecipeError as error:
        raise InputError(f"{', '.join(urls)}: {error.message}", field="server") from None
    except ValidationError as error:
        message, field = first_fault(error)
        raise InputError(message, field=_FLAGS.get((field or "").partition(".")[0], "server")) from None
    check_requests(options, [student], store.data_class)
    if not any(study.images for study in islice(store, recipe.limit)):
        raise InputError(
            "no study here has an image that a student could read; ingest the studies with images", file=store.root
        )
    with RunFolder.open(out, kind="sample", recipe=recipe, studies=store) as run:
        session = Session(run, options, [student])
        work = _through(session, student, _questions(run, recipe, asked), asked, options.concurrency, on_judged)
        new = run_politely(work, session.stop)
        return run.finish(**counts_of(verdict for _, verdict in run.judged()), sampled=new), session.tally


def models_of(url: str, key_env: str | None = None) -> list[str]:
    """The names of what a server serves.

    Raises:
        TeacherError, InputError: it cannot be asked, or does not say.
    """
    try:
        endpoint = Endpoint("openai", url, key_env=key_env, seconds=30)
    except RecipeError as error:
        raise InputError(f"'{url}' {error.message}", field="server") from None

    async def ask() -> list[str]:
        try:
            page = await endpoint.call(lambda openai: openai.models.list())
            return [str(model.id) for model in page.data]
        finally:
            await endpoint.close()

    try:
        return asyncio.run(ask())
    except (Unanswered, AttributeError, TypeError) as error:
        why = str(error) if isinstance(error, Unanswered) else "its answer is no list of models"
        raise InputError(f"{url}/models does not say what is served there ({why}); give --served-model") from None


def _questions(run: RunFolder, recipe: SampleRecipe, asked: Asked) -> Iterator[Question]:
    prompt = FilledPrompt(asked.prompt_id, "", asked.text, True, ())
    for study in islice(run.studies, recipe.limit):
        for number in range(len(recipe.temperatures) * recipe.n):
            yield Question(study, prompt, sample=number, path_of=run.studies.path_of)


async def _through(
    session: Session,
    student: ServedStudent,
    questions: Iterator[Question],
    asked: Asked,
    workers: int,
    on_judged: Callable[[Candidate, Verdict], object],
) -> int:
    """Ask everything; how many answers are new."""
    lane, asker, new = session.lanes[0], session.asker, 0

    async def take() -> Question | None:
        return next(questions, None)

    async def one(question: Question) -> None:
        nonlocal new
        key = request_key(student, question)
        if await asker.concluded(key) is not None:
            return
        if not question.study.images:
            await asker.record_skipped(lane, question, "it has no image, and a student reads images")
            return
        answer = await asker.ask(lane, question, key)
        if answer is None:
            return
        unread = candidate_of(answer).model_copy(
            update={"author": "student", "model": asked.model, "prompt_sha256": asked.prompt_sha256}
        )
        candidate, verdict = judge_sample(question.study, unread, steps=asked.steps)
        asker.conclude(answer, judged_body(candidate, verdict))
        on_judged(candidate, verdict)
        new += 1

    try:
        await session.work(take, one, workers)
    finally:
        await session.close()
    return new
