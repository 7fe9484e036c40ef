"""OpenAI: the Responses API, or chat completions for servers that speak its dialect. Nothing is ever stored there.

    options:
      model: gpt-5.4
      reasoning_effort: medium         summaries of the reasoning are kept with each candidate

Ask for what the terms of use allow: whether answers may train a model is for a person to attest (policy).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ..providers.answers import read_chat, read_responses
from ..providers.batch import Batches
from ..providers.batch_apis import RESULTS, batch_api
from ..providers.batched import Batched
from ..providers.bodies import answer_schema, chat_body, films, response_format, responses_body
from ..providers.endpoint import Endpoint, pack
from ..providers.envelope import unseal
from ..providers.images import TRANSFORM
from ..providers.options import Hosted, KeyEnv
from ..teacher import Question, Reply


class Options(Hosted):
    """See the module."""

    api: Literal["responses", "chat"] = "responses"
    base_url: str = Field("https://api.openai.com/v1", description="With /v1.")
    key_env: KeyEnv = "OPENAI_API_KEY"
    max_output_tokens: int = Field(8192, ge=16, description="Reasoning included.")
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = Field("auto", description="responses only.")
    temperature: float | None = Field(None, ge=0, le=2, description="Reasoning models take none.")
    image_detail: Literal["low", "high", "auto", "original"] = "high"


class Teacher(Batched):
    """See the module."""

    mends = True
    stored = background = False

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.model = options.model
        self.sees_images = options.images
        self._options = options
        self.max_output_tokens = options.max_output_tokens
        super().__init__(options)
        self._endpoint = Endpoint("openai", options.base_url, key_env=options.key_env, seconds=options.seconds)
        self._path = "/responses" if options.api == "responses" else "/chat/completions"
        self.endpoints: tuple[str, ...] = (self._endpoint.base_url,)
        self._identity = {
            "provider": "openai",
            **options.model_dump(exclude={"seconds", "key_env", "batch"}),
            "base_url": self._endpoint.base_url,
            "transform": TRANSFORM,
            "store": False,
        }

    def identity(self) -> Mapping[str, Any]:
        """See `curation.teacher.Teacher`."""
        return self._identity

    async def ask(self, question: Question) -> bytes:
        """See `curation.teacher.Teacher`."""
        self.put_off(self, question)
        return await self._endpoint.post(self._path, pack(await self.body(question)))

    def read(self, raw: bytes) -> Reply:
        """See `curation.teacher.Teacher`."""
        return (read_responses if self._options.api == "responses" else read_chat)(unseal(raw))

    async def close(self) -> None:
        """See `curation.teacher.Teacher`."""
        await self._endpoint.close()

    def batches(self, folder: Path) -> Batches:
        """Batches of this teacher, with their ledger in a folder."""
        o = self._options
        endpoint = Endpoint("openai", o.base_url, key_env=o.key_env, seconds=o.seconds, most_bytes=RESULTS)
        return Batches(folder, batch_api(endpoint, self._path))

    async def body(self, question: Question) -> dict[str, Any]:
        """The request's body; batches send the same."""
        o = self._options
        images = await films(question, o.max_side) if o.images else []
        sampling = {} if o.temperature is None else {"temperature": o.temperature}
        if o.api == "responses":
            body = responses_body(o.model, question, images, o.image_detail)
            reasoning = {"effort": o.reasoning_effort, "summary": o.reasoning_summary}
            if o.reasoning_effort != "none" and (given := {k: v for k, v in reasoning.items() if v}):
                body["reasoning"] = given
            return body | {"max_output_tokens": o.max_output_tokens} | sampling
        body = chat_body(o.model, question, images, o.image_detail)
        if o.reasoning_effort:
            body["reasoning_effort"] = o.reasoning_effort
        return (
            body
            | sampling
            | {
                "max_completion_tokens": o.max_output_tokens,
                "response_format": response_format(answer_schema(question.prompt.keys)),
                "store": False,
            }
        )
