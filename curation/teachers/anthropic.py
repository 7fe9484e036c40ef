"""Anthropic: the Messages API. Its sampling cannot be set, so equal questions may be answered differently.

    options:
      model: claude-opus-5
      thinking: adaptive               its summaries are kept with each candidate

Ask for what the terms of use allow: whether answers may train a model is for a person to attest (policy).
"""

from typing import Any, Literal

from pydantic import Field

from ..clients.answers import read_messages
from ..clients.bodies import films, messages_body
from ..clients.envelope import unseal
from ..clients.hosted import Hosted, HostedTeacher, KeyEnv
from ..teacher import Question, Reply


class Options(Hosted):
    """See the module."""

    base_url: str = Field("https://api.anthropic.com", description="Without /v1.")
    key_env: KeyEnv = Field("ANTHROPIC_API_KEY", description="The environment variable that holds the key.")
    max_tokens: int = Field(8192, ge=16, description="Thinking included.")
    thinking: Literal["adaptive", "disabled"] | None = Field(None, description="None leaves it to the model.")
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="How much the model thinks and writes. None leaves it to the model."
    )


class Teacher(HostedTeacher[Options]):
    """See the module."""

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options, provider="anthropic", path="/v1/messages", max_output_tokens=options.max_tokens)

    def read(self, raw: bytes) -> Reply:
        """See `curation.teacher.Teacher`."""
        return read_messages(unseal(raw))

    async def body(self, question: Question) -> dict[str, Any]:
        """See `HostedTeacher`."""
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
