"""OpenAI: the Responses API, or chat completions for servers that speak its dialect. Nothing is ever stored there.

    options:
      model: gpt-5.4
      reasoning_effort: medium         summaries of the reasoning are kept with each candidate

Ask for what the terms of use allow: whether answers may train a model is for a person to attest (policy).
"""

from typing import Any, Literal

from pydantic import Field

from ..clients.answers import read_chat, read_responses
from ..clients.bodies import Detail, answer_schema, chat_body, films, response_format, responses_body
from ..clients.envelope import unseal
from ..clients.hosted import Hosted, HostedTeacher, KeyEnv
from ..teacher import Question, Reply


class Options(Hosted):
    """See the module."""

    api: Literal["responses", "chat"] = Field(
        "responses", description="responses, or chat for servers that have only chat completions."
    )
    base_url: str = Field("https://api.openai.com/v1", description="With /v1.")
    key_env: KeyEnv = Field("OPENAI_API_KEY", description="The environment variable that holds the key.")
    max_output_tokens: int = Field(8192, ge=16, description="Reasoning included.")
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="How much the model thinks. None leaves it to the model."
    )
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = Field("auto", description="responses only.")
    temperature: float | None = Field(None, ge=0, le=2, description="Reasoning models take none.")
    image_detail: Detail = Field("high", description="The resolution at which the model sees images.")


class Teacher(HostedTeacher[Options]):
    """See the module."""

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(
            name,
            options,
            provider="openai",
            path="/responses" if options.api == "responses" else "/chat/completions",
            max_output_tokens=options.max_output_tokens,
            store=False,
        )

    def read(self, raw: bytes) -> Reply:
        """See `curation.teacher.Teacher`."""
        return (read_responses if self._options.api == "responses" else read_chat)(unseal(raw))

    async def body(self, question: Question) -> dict[str, Any]:
        """See `HostedTeacher`."""
        o = self._options
        images = await films(question, o.max_side) if o.images else []
        sampling = {} if o.temperature is None else {"temperature": o.temperature}
        if o.api == "responses":
            body = responses_body(o.model, question, images, o.image_detail)
            reasoning = {"effort": o.reasoning_effort, "summary": o.reasoning_summary}
            if o.reasoning_effort != "none" and (given := {k: v for k, v in reasoning.items() if v}):
                body["reasoning"] = given
            return body | {"max_output_tokens": o.max_output_tokens} | sampling
        body = chat_body(o.model, question.prompt, images, o.image_detail)
        if o.reasoning_effort:
            body["reasoning_effort"] = o.reasoning_effort
        return (
            body
            | sampling
            | {
                "max_completion_tokens": o.max_output_tokens,
                "response_format": response_format(answer_schema(question.prompt)),
                "store": False,
            }
        )
