"""Answers to the questions of a `file` teacher, from a server that is there only for a while: a node, a batch job.

    questions.jsonl -> an OpenAI-compatible server -> answers.jsonl, one line as each answer comes

The run is only read: `tenstep curate` takes the answers in, journals, judges and repairs, and what it then has to ask
stands in a new questions.jsonl, for a second pass. The same call again asks only what has no answer yet. A server that
is not this machine must be the endpoint that the recipe names, so that the policy guard and the terms of training have
decided on it.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..data.files import hold, readable_by, replacing_bytes
from ..data.formats.json_lines import json_lines, object_of, raw_lines
from ..data.run import RunFolder
from ..schemas.base import Noun
from ..schemas.errors import InputError, PolicyError, RunError
from ..schemas.policy import PolicyDecision
from ..schemas.run import State
from .clients.addresses import is_loopback, origin
from .clients.answers import read_chat
from .clients.bodies import chat_body, films, response_format
from .clients.endpoint import Endpoint, pack
from .clients.envelope import unseal
from .clients.images import Encoded
from .prompt import FilledPrompt
from .teacher import Question, Unanswered

_TRIES = 5
_LONGEST_WAIT = 60.0  # seconds


class AnswerOptions(Noun):
    """How to ask."""

    server: str  # with /v1
    model: str
    max_tokens: int = 4096
    temperature: float | None = None
    concurrency: int = 64
    max_side: int = 1536  # pixels; larger images are made smaller
    seconds: float = 600
    key_env: str | None = None


class Answered(NamedTuple):
    """What came of it."""

    file: Path
    answered: int
    before: int  # had an answer already
    failed: tuple[tuple[str, str], ...]  # question and reason


def answer(
    path: Path, options: AnswerOptions, *, teacher: str | None = None, on_answer: Callable[[], None] = lambda: None
) -> Answered:
    """Ask every question of a run that has no answer.

    Args:
        path: the run folder.
        options: whom, and how.
        teacher: which of the recipe's, if several are of kind `file`.
        on_answer: called after every question, answered or not.

    Raises:
        InputError: the run has no such teacher, or nothing was asked.
        RunLockedError: another process answers the same questions.
        PolicyError: the data may not go to this server.
        TeacherError: nothing can be had from the server.
    """
    with RunFolder.read(path) as run:
        folder, name = _folder(run, teacher)
        _check(run.manifest.policy, options.server, name, path)
        questions = folder / "questions.jsonl"
        if not questions.is_file():
            raise InputError("no question lies there; write them with: tenstep curate", file=questions)
        asked = [_question(line.found, questions, line.row) for line in json_lines(questions)]
        answers, part = folder / "answers.jsonl", folder / "answers.jsonl.unfinished"
        lock = hold(folder / "answer.lock", "answering these questions")
        try:
            known = _ids(answers) | _ids(part)
            left = [row for row in asked if row["id"] not in known]
            private = run.studies.data_class == "restricted"
            with readable_by(owner_only=private), part.open("a", encoding="utf-8") as stream:
                stream.write("\n")  # a kill may have left half a line
                failed = asyncio.run(_ask_all(run, left, options, stream, on_answer)) if left else ()
            with replacing_bytes(answers, private=private) as whole:  # the file of before, and what came
                whole.write(_with_line_end(answers.read_bytes()) if answers.exists() else b"")
                came = (data for _, data in raw_lines(part) if isinstance(data, bytes))
                whole.writelines(_with_line_end(data) for data in came if not isinstance(object_of(data), str))
            part.unlink()
        finally:
            lock.release()
    return Answered(answers, len(left) - len(failed), len(asked) - len(left), failed)


def _folder(run: RunFolder, teacher: str | None) -> tuple[Path, str]:
    specs = [spec for spec in run.manifest.recipe.get("teachers") or () if spec.get("kind") == "file"]
    named = [spec for spec in specs if teacher in (None, spec.get("name") or spec["kind"])]
    if len(named) != 1:
        which = ", ".join(spec.get("name") or spec["kind"] for spec in specs) or "none"
        raise InputError(f"which teacher of kind 'file'? the recipe has: {which}; say it with --teacher", file=run.path)
    name = named[0].get("name") or named[0]["kind"]
    folder = (named[0].get("options") or {}).get("folder")
    return (Path(folder) if folder else run.path / "handover" / name), name


def _check(decision: PolicyDecision | None, server: str, teacher: str, run: Path) -> None:
    """The recipe has said where questions are taken, and the guard has decided on it; this is the last look."""
    if is_loopback(server):
        return
    here = origin(server)
    if decision is None:
        raise RunError("was never opened by tenstep curate; write its questions with that first", file=run)
    found = [one for one in decision.endpoints if one.teacher == teacher and not one.local and one.endpoint == here]
    if not found:
        raise PolicyError(
            f"{here} is not this machine, and the recipe does not say that questions go there; name it under "
            "teachers.options.endpoint, and run tenstep curate again, which decides on it",
            file=run,
        )
    if decision.data_class == "restricted" and (found[0].valid_until or date.min) < datetime.now(UTC).date():
        raise PolicyError(f"the attestation of {here} ended on {found[0].valid_until}; have it renewed", file=run)


def _question(found: Mapping[str, Any] | None, file: Path, row: int) -> dict[str, Any]:
    if not found or not {"id", "system", "prompt", "images", "schema"} <= found.keys():
        raise InputError(
            "is no question as tenstep curate writes it; curate again, which writes the file anew", file=file, row=row
        )
    return dict(found)


def _ids(path: Path) -> set[str]:
    if not path.exists():
        return set()
    return {str(line.found["id"]) for line in json_lines(path) if line.found and "id" in line.found}


def _with_line_end(data: bytes) -> bytes:
    return data if data.endswith(b"\n") else data + b"\n"


async def _ask_all(
    run: RunFolder,
    questions: list[dict[str, Any]],
    options: AnswerOptions,
    stream: IO[str],
    on_answer: Callable[[], None],
) -> tuple[tuple[str, str], ...]:
    endpoint = Endpoint("openai", options.server, key_env=options.key_env, seconds=options.seconds)
    failed: list[tuple[str, str]] = []
    waiting = iter(questions)

    async def work() -> None:
        for question in waiting:
            try:
                row = await _ask(endpoint, await _body(run, question, options), options)
            except Unanswered as error:
                failed.append((question["id"], str(error)))
            else:
                stream.write(json.dumps({"id": question["id"], **row}, ensure_ascii=False) + "\n")
                stream.flush()
            on_answer()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(options.concurrency, len(questions))):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        await endpoint.close()
    return tuple(failed)


async def _ask(endpoint: Endpoint, body: bytes, options: AnswerOptions) -> dict[str, Any]:
    for attempt in range(_TRIES):
        try:
            reply = read_chat(unseal(await endpoint.post("/chat/completions", body)))
        except Unanswered as error:
            if not error.retryable or attempt == _TRIES - 1:
                raise
            await asyncio.sleep(min(_LONGEST_WAIT, 2.0**attempt if error.retry_after is None else error.retry_after))
        else:
            break
    row: dict[str, Any] = {"text": reply.text, "model": options.model, "usage": reply.usage.model_dump(mode="json")}
    row |= {"cost_usd": 0.0} if is_loopback(options.server) else {}
    return row | {name: value for name in ("stop_reason", "reasoning") if (value := getattr(reply, name)) is not None}


async def _body(run: RunFolder, asked: Mapping[str, Any], options: AnswerOptions) -> bytes:
    """The request that a local teacher would send, as the question was written down."""
    prompt = FilledPrompt("", asked["system"], asked["prompt"], False, ())
    images: Sequence[tuple[str, Encoded]] = ()
    if asked["images"]:
        event = run.journal.last(asked["id"], State.FAILED)
        if event is None:
            raise InputError(f"the question '{asked['id'][:12]}…' is not of this run", file=run.path)
        question = Question(run.studies.get(event.study_id), prompt, path_of=run.studies.path_of)
        images = await films(question, options.max_side)
    body = chat_body(options.model, prompt, images, None) | {"max_tokens": options.max_tokens}
    body |= {"response_format": response_format(asked["schema"])}
    return pack(body if options.temperature is None else body | {"temperature": options.temperature})
