"""Request bodies of the three APIs: one system text, the images with their views, one user text, the answer's schema.

The text of a study stands in one JSON object inside the user text (see prompt.py); the instructions stand in the
system text. Pure, but for reading the image files.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ...schemas.errors import ImageError
from ...schemas.run import State
from ..prompt import Prompt
from ..teacher import Question, Unanswered
from .images import Encoded, encode

Schema = dict[str, Any]


def answer_schema(prompt: Prompt, **of_each: Any) -> Schema:
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
        raise Unanswered(State.FAILED, "nobody says where the study's images are", sent=False)
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


def chat_body(model: str, question: Question, images: Sequence[tuple[str, Encoded]], detail: str | None) -> Schema:
    """OpenAI chat completions, without the parameters that differ between servers."""
    content: str | list[Mapping[str, Any]] = question.prompt.user
    if images:
        parts: list[Mapping[str, Any]] = []
        for line, image in images:
            url: dict[str, Any] = {"url": image.data_uri}
            if detail:
                url["detail"] = detail
            parts += [{"type": "text", "text": line}, {"type": "image_url", "image_url": url}]
        content = [*parts, {"type": "text", "text": question.prompt.user}]
    messages = [{"role": "system", "content": question.prompt.system}, {"role": "user", "content": content}]
    return {"model": model, "messages": messages}


def responses_body(model: str, question: Question, images: Sequence[tuple[str, Encoded]], detail: str) -> Schema:
    """OpenAI Responses; never stored."""
    parts: list[Mapping[str, Any]] = []
    for line, image in images:
        parts.append({"type": "input_text", "text": line})
        parts.append({"type": "input_image", "image_url": image.data_uri, "detail": detail})
    parts.append({"type": "input_text", "text": question.prompt.user})
    format_ = {
        "type": "json_schema",
        "name": "ten_steps",
        "strict": True,
        "schema": answer_schema(question.prompt),
    }
    return {
        "model": model,
        "instructions": question.prompt.system,
        "input": [{"role": "user", "content": parts}],
        "text": {"format": format_},
        "store": False,
    }


def messages_body(model: str, question: Question, images: Sequence[tuple[str, Encoded]]) -> Schema:
    """Anthropic Messages; an image that is too large is an error there, not made smaller behind our back."""
    parts: list[Mapping[str, Any]] = []
    for line, image in images:
        source = {"type": "base64", "media_type": image.media_type, "data": image.base64}
        parts.append({"type": "text", "text": line})
        parts.append({"type": "image", "source": source, "transformations": {"oversized_image": "error"}})
    parts.append({"type": "text", "text": question.prompt.user})
    return {
        "model": model,
        "system": question.prompt.system,
        "messages": [{"role": "user", "content": parts}],
        "output_config": {"format": {"type": "json_schema", "schema": answer_schema(question.prompt)}},
    }


def response_format(schema: Schema) -> Schema:
    """How chat completions are told the answer's schema."""
    return {"type": "json_schema", "json_schema": {"name": "ten_steps", "strict": True, "schema": schema}}
