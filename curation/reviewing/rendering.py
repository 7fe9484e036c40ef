"""From a request to an answer: sessions, forms, templates, and errors as pages. What a page is about is not known here.

HTML comes from templates/ (autoescaped, undefined names are errors).
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ...schemas.errors import InputError, TenstepError
from .decide import Form
from .guard import ReaderSession
from .screens import ReviewRun
from .shown import safe

_BODY = 1_000_000  # bytes of a form
Handler = Callable[[Request], Awaitable[Response]]


class Renderer:
    """Templates, with what every page of a run shows."""

    def __init__(self, review: ReviewRun, *, comparing: bool) -> None:
        self._review = review
        self._comparing = comparing
        self._templates = Environment(
            loader=PackageLoader(__package__ or "", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["safe_text"] = safe

    def page(self, name: str, request: Request, queue: str, *, part: bool = False, **values: Any) -> Response:
        """A template as a page, or, for htmx, as the part of it that changes.

        Args:
            name: the template's file.
            request: whose answer it is.
            queue: that the reader is in.
            part: without the frame around it.
            values: what the template names.
        """
        reader = session_of(request).reader
        common = {
            "part": part,
            "comparing": self._comparing,
            "queue": queue,
            "reader": reader,
            "run_name": self._review.run.manifest.name,
            "restricted": self._review.run.studies.data_class == "restricted",
            "min_seconds": self._review.settings.min_seconds,
            "progress": self._review.progress(reader, queue),
        }
        return HTMLResponse(self._templates.get_template(name).render(common | values))

    def fragment(self, name: str, **values: Any) -> Response:
        """A template alone."""
        return HTMLResponse(self._templates.get_template(name).render(values))


def session_of(request: Request) -> ReaderSession:
    """Whose request it is; guard.py lets no request through without a session."""
    session: ReaderSession = request.scope["session"]
    return session


async def read_form(request: Request) -> Form:
    """The form that was sent.

    Raises:
        InputError: it is too large.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY:
            raise InputError(f"the form is larger than {_BODY:,} bytes; shorten the comment")
    try:
        return Form(parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=500))
    except ValueError:
        raise InputError("the form has too many fields; load the page again") from None


def errors_as_pages(handler: Handler) -> Handler:
    """The handler, with errors of ours as a page; their messages are written for people, and are escaped."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except TenstepError as error:
            return HTMLResponse(f'<p role="alert" class="problem">{safe(str(error), 600)}</p>', 422)

    return answer
