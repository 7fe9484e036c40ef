"""A model on machines of our own, behind any server that speaks OpenAI's chat completions: vLLM, llama.cpp, Ollama.

    options:
      model: google/medgemma-27b-it
      server: vllm
      base_urls: [http://127.0.0.1:8000/v1, http://127.0.0.1:8001/v1]    one for each GPU or node

Several addresses are one pool: the least busy is asked; one that turns a request away or is gone is left alone for
a while. A request that failed is asked again by the engine, and then goes to another; one whose answer was lost is
`unknown` and goes nowhere. Before any data goes to a server, a trial shows that it enforces the answer's schema.
How to serve a model: docs/howto/local-teacher.md.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ...schemas.errors import TeacherError
from ...schemas.run import State
from ..clients.answers import read_chat
from ..clients.bodies import Schema, answer_schema, chat_body, films, response_format
from ..clients.endpoint import Endpoint, pack
from ..clients.envelope import unseal
from ..clients.hosted import KeyEnv, Remote
from ..clients.images import TRANSFORM
from ..clients.servers import Pool, Server, trial
from ..teacher import Question, Reply, Unanswered


class Options(Remote):
    """See the module."""

    base_urls: tuple[str, ...] = Field(("http://127.0.0.1:8000/v1",), min_length=1, description="Each with /v1.")
    server: Literal["vllm", "llama.cpp", "ollama", "other"] = Field(
        "vllm", description="Which software serves the model: it decides how the answer's schema is sent."
    )
    key_env: KeyEnv | None = Field(None, description="If the servers want a key.")
    limit: int = Field(64, ge=1, description="Requests that each server takes at once; more wait here.")
    max_tokens: int = Field(4096, ge=16, description="Reasoning included.")
    temperature: float | None = Field(None, ge=0, le=2, description="None: the server's own.")
    seed: int | None = Field(None, ge=0, description="Of the first sample; the next one gets the next.")
    constrained: bool = Field(True, description="Whether the server must enforce the answer's schema.")
    extra: dict[str, Any] = Field(default_factory=dict, description="Further parameters of this server's requests.")

    @model_validator(mode="after")
    def _separate(self) -> Self:
        if len(set(self.base_urls)) < len(self.base_urls):
            raise ValueError("base_urls names a server twice")
        if taken := {"model", "messages", "stream", "n"} & set(self.extra):
            raise ValueError(f"extra must not set {sorted(taken)[0]}")
        return self


class Teacher:
    """See the module."""

    can_repair = True
    stored = background = batch = False

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.model = options.model
        self.sees_images = options.images
        self._options = options
        self.max_output_tokens = options.max_tokens
        self._pool = Pool(
            [
                Endpoint("openai", url, key_env=options.key_env, seconds=options.seconds, pooled=True)
                for url in options.base_urls
            ],
            options.limit,
        )
        self.endpoints: tuple[str, ...] = tuple(server.endpoint.base_url for server in self._pool.servers)
        # the first address names the pool: others may come and go without a question being asked again
        self._identity = {
            "provider": "local",
            **options.model_dump(exclude={"seconds", "key_env", "limit", "base_urls"}),
            "base_url": self.endpoints[0],
            "transform": TRANSFORM,
        }

    def identity(self) -> Mapping[str, Any]:
        """See `curation.teacher.Teacher`."""
        return self._identity

    async def ask(self, question: Question) -> bytes:
        """See `curation.teacher.Teacher`; tries further servers only while nothing was sent."""
        content = pack(await self.body(question))
        out_of_reach: list[Server] = []
        while server := await self._pool.take(out_of_reach):
            failed: Unanswered | None = None
            try:
                await self._check(server)
                return await server.endpoint.post("/chat/completions", content)
            except Unanswered as no:
                failed = no
            finally:
                self._pool.give(server, failed)
            if failed.sent:
                raise self._beside(failed)
            out_of_reach.append(server)
        if all(server.silent and not server.checked for server in self._pool.servers):
            raise TeacherError(f"no server of {', '.join(self.endpoints)} can be reached; check that they run")
        reason = "every server of the pool is out of reach or has too much to do"
        raise self._beside(Unanswered(State.FAILED, reason, retryable=True, sent=False))

    def _beside(self, failed: Unanswered) -> Unanswered:
        """The failure as it looks with other servers at hand: the engine waits only if all of them are left alone."""
        if failed.state is not State.FAILED or len(self._pool.servers) == 1:
            return failed
        wait = self._pool.wait
        return Unanswered(
            failed.state,
            failed.reason,
            failed.raw,
            retryable=failed.retryable,
            retry_after=wait or None,
            throttled=wait > 0,
            sent=failed.sent,
        )

    async def _check(self, server: Server) -> None:
        async with server.checking:
            if not server.checked:
                await trial(
                    server.endpoint,
                    self.model,
                    images=self.sees_images,
                    max_tokens=self._options.max_tokens,
                    constrain=self._constrain if self._options.constrained else None,
                )
                server.checked = True

    def read(self, raw: bytes) -> Reply:
        """See `curation.teacher.Teacher`; it costs nothing."""
        return dataclasses.replace(read_chat(unseal(raw)), cost_usd=0.0)

    async def close(self) -> None:
        """See `curation.teacher.Teacher`."""
        for server in self._pool.servers:
            await server.endpoint.close()

    async def body(self, question: Question) -> dict[str, Any]:
        """The request's body."""
        o = self._options
        images = await films(question, o.max_side) if o.images else []
        body = chat_body(o.model, question.prompt, images, None) | {"max_tokens": o.max_tokens}
        if o.temperature is not None:
            body["temperature"] = o.temperature
        if o.seed is not None:
            body["seed"] = o.seed + question.sample
        if o.constrained:
            body |= self._constrain(answer_schema(question.prompt))
        return body | o.extra

    def _constrain(self, schema: Schema) -> Schema:
        """The parameter under which this kind of server enforces a schema."""
        if self._options.server == "vllm":
            return {"structured_outputs": {"json": schema}}
        return {"response_format": response_format(schema)}
