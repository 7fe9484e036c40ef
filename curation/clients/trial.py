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

from ...schemas.errors import TeacherError
from ...schemas.run import State
from ..teacher import Unanswered
from .answers import read_chat
from .endpoint import Endpoint, pack
from .envelope import unseal

_WORD = "amber-42"
_SCHEMA = {
    "type": "object",
    "properties": {"trial": {"type": "string", "enum": [_WORD]}},
    "required": ["trial"],
    "additionalProperties": False,
}


async def trial(
    endpoint: Endpoint,
    model: str,
    *,
    images: bool,
    max_tokens: int,
    constrain: Callable[[dict[str, Any]], dict[str, Any]] | None,
) -> None:
    """Ask the short question, with a grey image if images will be sent.

    Args:
        endpoint: of the server.
        model: its name there.
        images: whether it must take images.
        max_tokens: of the answer, with whatever thinking goes before it.
        constrain: from a schema to the parameters that enforce it; none if free text is wanted.

    Raises:
        TeacherError: the server cannot do what the recipe asks of it.
        Unanswered: failed, and it may work later.
    """
    content: str | list[dict[str, Any]] = "Say good morning to the radiology department, in a few words."
    if images:
        content = [{"type": "image_url", "image_url": {"url": _grey()}}, {"type": "text", "text": content}]
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": max_tokens}
    if constrain is not None:
        body |= constrain(_SCHEMA)
    failed: Unanswered | None = None
    try:
        reply = read_chat(unseal(await endpoint.post("/chat/completions", pack(body))))
    except Unanswered as no:
        failed = no
    if failed is None:
        if constrain is None or _obeyed(reply.text):
            return
        why = "stopped early" if reply.stop_reason != "stop" else "did not keep to the schema"
        raise TeacherError(
            f"{endpoint.base_url} {why} in a short trial: it does not enforce the answer's schema; set options.server "
            "to what it is, raise max_tokens if it thinks first, or set constrained: false to let it write freely"
        )
    if failed.retryable or failed.state is State.UNKNOWN:  # asking again costs nothing
        raise Unanswered(
            State.FAILED,
            failed.reason,
            failed.raw,
            retryable=True,
            retry_after=failed.retry_after,
            throttled=failed.throttled,
            sent=failed.sent,
        )
    told = f"{failed.reason}: this was a short trial" + (" with one image" if images else "")
    raise TeacherError(told + "; check model" + (", and that it takes images, or set images: false" if images else ""))


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
