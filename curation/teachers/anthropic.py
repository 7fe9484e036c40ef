"""Anthropic: the Messages API. Its sampling cannot be set, so equal questions may be answered differently.

    options:
      model: claude-opus-5
      thinking: adaptive               its summaries are kept with each candidate

Ask for what the terms of use allow: whether answers may train a model is for a person to attest (policy).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ..providers.answers import read_messages
from ..providers.batch import Batches
from ..providers.batch_apis import RESULTS, batch_api
from ..providers.batched import Batched
from ..providers.bodies import films, messages_body
from ..providers.endpoint import Endpoint, pack
from ..providers.envelope import unseal
from ..providers.images import TRANSFORM
from ..providers.options import Hosted, KeyEnv
from ..teacher import Question, Reply


class Options(Hosted):
    """See the module."""

    base_url: str = Field("https://api.anthropic.com", description="Without /v1.")
    key_env: KeyEnv = "ANTHROPIC_API_KEY"
    max_tokens: int = Field(8192, ge=16, description="Thinking included.")
    thinking: Literal["adaptive", "disabled"] | None = Field(None, description="None leaves it to the model.")
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None


class Teacher(Batched):
    """See the module."""

    mends = True
    stored = background = False

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.model = options.model
        self.sees_images = options.images
        self._options = options
        self.max_output_tokens = options.max_tokens
        super().__init__(options)
        self._endpoint = Endpoint("anthropic", options.base_url, key_env=options.key_env, seconds=options.seconds)
        self.endpoints: tuple[str, ...] = (self._endpoint.base_url,)
        self._identity = {
            "provider": "anthropic",
            **options.model_dump(exclude={"seconds", "key_env", "batch"}),
            "base_url": self._endpoint.base_url,
            "transform": TRANSFORM,
        }

    def identity(self) -> Mapping[str, Any]:
        """See `curation.teacher.Teacher`."""
        return self._identity

    async def ask(self, question: Question) -> bytes:
        """See `curation.teacher.Teacher`."""
        self.put_off(self, question)
        return await self._endpoint.post("/v1/messages", pack(await self.body(question)))

    def read(self, raw: bytes) -> Reply:
        """See `curation.teacher.Teacher`."""
        return read_messages(unseal(raw))

    async def close(self) -> None:
        """See `curation.teacher.Teacher`."""
        await self._endpoint.close()

    def batches(self, folder: Path) -> Batches:
        """Batches of this teacher, with their ledger in a folder."""
        o = self._options
        endpoint = Endpoint("anthropic", o.base_url, key_env=o.key_env, seconds=o.seconds, most_bytes=RESULTS)
        return Batches(folder, batch_api(endpoint, "/v1/messages"))

    async def body(self, question: Question) -> dict[str, Any]:
        """The request's body; batches send the same."""
        o = self._options
        body = messages_body(o.model, question, await films(question, o.max_side) if o.images else [])
        body["max_tokens"] = o.max_tokens
        if o.thinking == "adaptive":
            body["thinking"] = {"type": "adaptive", "display": "summarized"}
        elif o.thinking == "disabled":
            body["thinking"] = {"type": "disabled"}
        if o.effort:
            body["output_config"]["effort"] = o.effort
        return body
