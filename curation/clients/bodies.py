"""Request bodies of the three APIs: one system text, the images with their views, one user text, the answer's schema.

The text of a study stands in one JSON object inside the user text (see prompt.py); the instructions stand in the
system text. Parts have the SDKs' own parameter types, which the type checker holds them to; the SDKs are not loaded for
that. Pure, but for reading the image files.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from ...schemas.errors import ImageError
from ...schemas.run import State
from ..prompt import FilledPrompt
from ..teacher import Question, Unanswered
from .images import Encoded, encode

if TYPE_CHECKING:
    from anthropic.types import Base64ImageSourceParam, ImageBlockParam, MessageParam, TextBlockParam
    from openai.types.chat import ChatCompletionContentPartParam, ChatCompletionMessageParam
    from openai.types.chat.chat_completion_content_part_image_param import ImageURL
    from openai.types.responses import (
        EasyInputMessageParam,
        ResponseFormatTextJSONSchemaConfigParam,
        ResponseInputContentParam,
    )

Schema = dict[str, Any]
Detail = Literal["low", "high", "auto", "original"]


def answer_schema(prompt: FilledPrompt, **of_each: Any) -> Schema:
    """The schema of an answer; a prompt that names none takes text under each of its keys.

    Array lengths cannot be enforced everywhere; keys can.
    """
    of_key = prompt.schema or {key: {"type": "string", **of_each} for key in prompt.keys}
    return {
        "type": "object",
        "properties": dict(of_key),
        "required": list(of_key),
        "additionalProperties": False,
    }


async def films(question: Question, max_side: int) -> list[tuple[str, Encoded]]:
    """The images of a question, each with a line that says which it is.

    Raises:
        Unanswered: failed, before anything was sent: an image cannot be read.
    """
    refs = question.study.images
    if question.path_of is None and refs:
        raise Unanswered(State.FAILED, "it is not known where the study's images are", sent=False)
    found = []
    for number, ref in enumerate(refs, 1):
        try:
            assert question.path_of is not None  # there are images
            path = question.path_of(ref)
            if max(ref.width, ref.height) > max_side:
                image = await asyncio.to_thread(encode, path, ref, max_side)
            else:
                image = encode(path, ref, max_side)
        except ImageError as error:
            raise Unanswered(State.FAILED, str(error), sent=False) from None
        found.append((f"Image {number} of {len(refs)}, view: {ref.view}.", image))
    return found


def chat_body(model: str, prompt: FilledPrompt, images: Sequence[tuple[str, Encoded]], detail: Detail | None) -> Schema:
    """OpenAI chat completions, without the parameters that differ between servers."""
    content: str | list[ChatCompletionContentPartParam] = prompt.user
    if images:
        content = []
        for line, image in images:
            url: ImageURL = {"url": image.data_uri}
            if detail:
                url["detail"] = detail
            content += [{"type": "text", "text": line}, {"type": "image_url", "image_url": url}]
        content.append({"type": "text", "text": prompt.user})
    system: ChatCompletionMessageParam = {"role": "system", "content": prompt.system}
    user: ChatCompletionMessageParam = {"role": "user", "content": content}
    return {"model": model, "messages": [system, user]}


def responses_body(model: str, question: Question, images: Sequence[tuple[str, Encoded]], detail: Detail) -> Schema:
    """OpenAI Responses; never stored."""
    parts: list[ResponseInputContentParam] = []
    for line, image in images:
        parts.append({"type": "input_text", "text": line})
        parts.append({"type": "input_image", "image_url": image.data_uri, "detail": detail})
    parts.append({"type": "input_text", "text": question.prompt.user})
    message: EasyInputMessageParam = {"role": "user", "content": parts}
    format_: ResponseFormatTextJSONSchemaConfigParam = {
        "type": "json_schema",
        "name": "ten_steps",
        "strict": True,
        "schema": answer_schema(question.prompt),
    }
    return {
        "model": model,
        "instructions": question.prompt.system,
        "input": [message],
        "text": {"format": format_},
        "store": False,
    }


def messages_body(model: str, question: Question, images: Sequence[tuple[str, Encoded]]) -> Schema:
    """Anthropic Messages; an image that is too large is an error there, not made smaller behind our back."""
    parts: list[TextBlockParam | ImageBlockParam] = []
    for line, image in images:
        source: Base64ImageSourceParam = {"type": "base64", "media_type": image.media_type, "data": image.base64}
        parts.append({"type": "text", "text": line})
        parts.append({"type": "image", "source": source, "transformations": {"oversized_image": "error"}})
    parts.append({"type": "text", "text": question.prompt.user})
    message: MessageParam = {"role": "user", "content": parts}
    return {
        "model": model,
        "system": question.prompt.system,
        "messages": [message],
        "output_config": {"format": {"type": "json_schema", "schema": answer_schema(question.prompt)}},
    }


def response_format(schema: Schema) -> Schema:
    """The parameter of chat completions that holds the answer's schema."""
    return {"type": "json_schema", "json_schema": {"name": "ten_steps", "strict": True, "schema": schema}}
