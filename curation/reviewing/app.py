"""The routes of the review application: pages for reading, deciding, adjudicating and looking at agreement.

A decision is a form, answered with the next candidate. Sessions, forms and templates are rendering.py's, what they
mean is in screens.py and decide.py, and two runs next to each other are pair_pages.py's.
"""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ...data.files import readable_by, replace_text
from ...data.films import Pixels, pixels
from ...data.store.studies import StudyStore
from ...schemas.study import ImageRef
from ..pages.templates import part
from .compare import BlindedComparison
from .decide import edited, rewritten
from .guard import Guard, Sessions
from .measured import agreement_rows, gate_rows
from .pair_pages import PairPages
from .rendering import Handler, Renderer, errors_as_pages, read_form, session_of
from .screens import PAGE, Filters, ReviewRun
from .shown import code_names, explained, finding, item

_STATIC = {
    "app.js": "text/javascript",
    "app.css": "text/css",
    "findings.css": "text/css",  # of pages/: findings look alike on both
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def application(
    review: ReviewRun, sessions: Sessions, *, port: int, comparison: BlindedComparison | None = None
) -> Starlette:
    """The application for one run, or for comparing it with another.

    Args:
        review: the run that is read.
        sessions: who may come.
        port: that it is served on; requests for another are refused.
        comparison: of the run with a second one; then the first page is that.
    """
    pages = Pages(review, comparison)
    return Starlette(routes=pages.routes(), middleware=[Middleware(Guard, port=port, sessions=sessions)], debug=False)


class Pages:
    """The handlers, over one run."""

    def __init__(self, review: ReviewRun, comparison: BlindedComparison | None) -> None:
        self._review = review
        self._begin = review.settings.queue
        self._comparing = comparison is not None
        self._renderer = Renderer(review, comparing=self._comparing)
        self._pairs = PairPages(self._renderer, review, comparison)

    def routes(self) -> list[Route]:
        """Every address; errors of ours become a page that says what to do."""
        table: list[tuple[str, Handler, list[str]]] = [
            ("/", self.home, ["GET"]),
            ("/read", self.read, ["GET"]),
            ("/item/{key}", self.open, ["GET"]),
            ("/item/{key}", self.decide, ["POST"]),
            ("/item/{key}/check", self.check, ["POST"]),
            ("/item/{key}/draft", self.draft, ["POST"]),
            ("/undo", self.undo, ["POST"]),
            ("/film/{key}/{number:int}", self.film, ["GET"]),
            ("/list", self.list, ["GET"]),
            ("/agreement", self.agreement, ["GET"]),
            ("/static/{name}", self.static, ["GET"]),
            *self._pairs.table(),
        ]
        return [Route(path, errors_as_pages(handler), methods=methods) for path, handler, methods in table]

    async def home(self, request: Request) -> Response:
        """To the default queue, or to the first pair."""
        return RedirectResponse("/compare" if self._comparing else f"/read?{urlencode({'queue': self._begin})}", 303)

    async def read(self, request: Request) -> Response:
        """The next candidate of a queue, or that there is none left."""
        spec = request.query_params.get("queue", self._begin)
        reader = session_of(request).reader
        key = self._review.next_key(reader, spec)
        if key is None:
            return self._renderer.page("done.html", request, spec)
        return self._item(request, key, spec)

    async def open(self, request: Request) -> Response:
        """One candidate by its key."""
        return self._item(request, request.path_params["key"], request.query_params.get("queue", self._begin))

    async def decide(self, request: Request) -> Response:
        """Write a decision; the answer is the next candidate's part of the page."""
        form = await read_form(request)
        spec, reader, key = form.one("queue", self._begin), session_of(request).reader, request.path_params["key"]
        self._review.decide(reader, key, form, spec, adjudicate=spec == "disputed")
        return self._next(request, spec, reader, after=key)

    async def undo(self, request: Request) -> Response:
        """Take back the last decision and show its candidate again."""
        form = await read_form(request)
        spec, reader = form.one("queue", self._begin), session_of(request).reader
        key = self._review.undo(reader)
        return self._item(request, key, spec, part=True) if key else self._next(request, spec, reader, after=None)

    def _next(self, request: Request, spec: str, reader: str, *, after: str | None) -> Response:
        key = self._review.next_key(reader, spec, after=after)
        return (
            self._renderer.page("done.html", request, spec, part=True)
            if key is None
            else self._item(request, key, spec, part=True)
        )

    async def check(self, request: Request) -> Response:
        """What the rules say of a rewritten step, at once."""
        form = await read_form(request)
        reader, key = session_of(request).reader, request.path_params["key"]
        screen = self._review.screen(reader, key)
        texts = rewritten(form, screen.judged.candidate)
        step = int(form.number("step"))
        if not texts:
            return HTMLResponse("")
        verdict = self._review.decisions.judged_edit(screen.study, edited(screen.judged.candidate, texts, reader))
        mine = [finding(n, f) for n, f in enumerate(verdict.findings, 1) if f.step == step]
        return self._renderer.fragment("findings.html", findings=mine, checked=True)

    async def draft(self, request: Request) -> Response:
        """Keep an unfinished form, so that a closed window loses nothing."""
        form = await read_form(request)
        file = self._review.draft_file(session_of(request).reader, request.path_params["key"])
        self._review.screen(session_of(request).reader, request.path_params["key"])  # there is such a candidate
        file.parent.mkdir(mode=0o700, exist_ok=True)
        with readable_by(owner_only=True):
            replace_text(file, json.dumps({name: list(values) for name, values in form.fields.items()}))
        return Response(status_code=204)

    async def film(self, request: Request) -> Response:
        """The pixels of one film."""
        screen = self._review.screen(session_of(request).reader, request.path_params["key"])
        number = request.path_params["number"]
        if number >= len(screen.study.images):
            return PlainTextResponse("no such film", 404)
        ref = screen.study.images[number]
        found = await run_in_threadpool(_film, self._review.run.studies, ref)
        return Response(found.data, media_type="application/octet-stream", headers=found.headers)

    async def list(self, request: Request) -> Response:
        """A queue as a list, filtered and sorted by what the address says."""
        query = request.query_params
        spec = query.get("queue", "all")
        names = [name for name in Filters._fields if name != "page"]
        page = query.get("page", "1")
        filters = Filters(
            **{name: query.get(name, "") for name in names if name != "sort"},
            sort=query.get("sort", "queue"),
            page=max(1, int(page)) if page.isdigit() else 1,
        )
        rows, total = self._review.listing(spec, filters)
        given = {"queue": spec, **{name: value for name, value in filters._asdict().items() if value}}
        pages = max(1, -(-total // PAGE))
        index = self._review.index.entries.values()
        return self._renderer.page(
            "list.html",
            request,
            spec,
            rows=rows,
            total=total,
            filters=filters,
            pages=pages,
            codes=sorted({code for entry in index for code in entry.codes}),
            authors=sorted({entry.author for entry in index}),
            attributed=bool(self._review.attribution),
            address=lambda number: "/list?" + urlencode({**given, "page": number}),
        )

    async def agreement(self, request: Request) -> Response:
        """How far readers agree, and how far the rules agree with them."""
        run = self._review.run
        readings = self._review.decisions.readings.current()
        return self._renderer.page(
            "agreement.html",
            request,
            "work",
            agreement=await run_in_threadpool(agreement_rows, run, readings),
            gate=await run_in_threadpool(gate_rows, self._review.index, readings),
        )

    async def static(self, request: Request) -> Response:
        """Our own script and style, and the vendored htmx."""
        name = request.path_params["name"]
        if name not in _STATIC:
            return PlainTextResponse("no such file", 404)
        folder = resources.files(__package__ or "").joinpath("static")
        data = part(name).encode() if name == "findings.css" else folder.joinpath(name).read_bytes()
        return Response(data, media_type=_STATIC[name])

    def _item(self, request: Request, key: str, spec: str, *, part: bool = False) -> Response:
        reader = session_of(request).reader
        adjudicate = spec == "disputed"
        screen = self._review.screen(reader, key, adjudicate=adjudicate)
        attempts = self._review.index.attempts(screen.study.id)
        return self._renderer.page(
            "item.html",
            request,
            spec,
            part=part,
            item=item(screen.study, screen.judged, findings=screen.findings, own=screen.own),
            screen=screen,
            attributed=self._review.attribution.get(key) if screen.findings else None,
            draft=_draft(self._review.draft_file(reader, key)),
            attempt=(list(attempts).index(key) + 1, len(attempts)),
            code_names=code_names(),
            explained=explained,
        )


def _film(store: StudyStore, ref: ImageRef) -> Pixels:
    """The film as the source has it, or, where that has gone, as it was converted at ingest."""
    if ref.original is not None:
        original = store.path_of(ref.model_copy(update={"path": ref.original}))
        if original.is_file():
            return pixels(original)
    return pixels(store.path_of(ref))


def _draft(file: Path) -> Mapping[str, list[str]]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
