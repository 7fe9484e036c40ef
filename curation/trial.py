"""The trial: one short question to a server, before any data goes there: is the answer's schema enforced?

A server that does not know a parameter ignores it without a word, and then writes what it likes. The schema here
allows one answer that nobody gives by chance.
"""

import base64
import io
import json
from collections.abc import Callable
from typing import Any

from PIL import Image

from ..schemas.errors import TeacherError
from ..schemas.run import State
from .answers import read_chat
from .endpoint import Endpoint, pack
from .envelope import unseal
from .teacher import Unanswered

_WORD = "amber-42"
_SCHEMA = {
    "type": "object",
    "properties": {"trial": {"type": "string", "enum": [_WORD]}},
    "required": ["trial"],
    "additionalProperties": False,
}


async def trial(
    endpoint: Endpoint, model: str, *, images: bool, constrain: Callable[[dict[str, Any]], dict[str, Any]] | None
) -> None:
    """Ask the short question, with a grey image if images will be sent.

    Args:
        endpoint: of the server.
        model: its name there.
        images: whether it must take images.
        constrain: from a schema to the parameters that enforce it; none if free text is wanted.

    Raises:
        TeacherError: the server cannot do what the recipe asks of it.
        Unanswered: failed, and it may work later.
    """
    content: str | list[dict[str, Any]] = "Say good morning to the radiology department."
    if images:
        content = [{"type": "image_url", "image_url": {"url": _grey()}}, {"type": "text", "text": content}]
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 512}
    if constrain is not None:
        body |= constrain(_SCHEMA)
    try:
        reply = read_chat(unseal(await endpoint.post("/chat/completions", pack(body))))
    except Unanswered as no:
        if no.retryable:
            raise
        told = f"{no.reason}: this was a trial request" + (" with one image" if images else "")
        hint = "; check model, and that it takes images, or set images: false" if images else "; check model"
        problem = TeacherError(told + hint) if no.state is not State.REFUSED else None
    else:
        problem = None
        if constrain is not None and not _obeyed(reply.text):
            problem = TeacherError(
                f"{endpoint.base_url} does not enforce the answer's schema; set options.server to what it is, or "
                "constrained: false to let it write freely"
            )
    if problem is not None:
        raise problem


def _obeyed(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return bool(found == {"trial": _WORD})


def _grey() -> str:
    stream = io.BytesIO()
    Image.new("L", (112, 112), 128).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
