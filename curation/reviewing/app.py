"""The routes of the review application: pages for reading, deciding, adjudicating and looking at agreement.

HTML comes from templates/ (autoescaped, undefined names are errors); a decision is a form, answered with the next
candidate. The application knows sessions, forms and templates; what they mean is in screens.py and decide.py.
"""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ...data.files import readable_by, replace_text
from ...data.films import Pixels, pixels
from ...data.store.studies import StudyStore
from ...schemas.errors import InputError, TenstepError
from ...schemas.reading import Preference
from ...schemas.study import ImageRef
from .compare import Comparison
from .decide import Form, edited, rewritten
from .guard import Guard, Session, Sessions
from .measured import agreement_rows, gate_rows
from .screens import PAGE, Filters, ReviewRun
from .shown import code_names, explained, finding, item, one_side, safe

_BODY = 1_000_000  # bytes of a form
_STATIC = {
    "app.js": "text/javascript",
    "app.css": "text/css",
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
Handler = Callable[[Request], Awaitable[Response]]


def application(review: ReviewRun, sessions: Sessions, *, port: int, comparison: Comparison | None = None) -> Starlette:
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

    def __init__(self, review: ReviewRun, comparison: Comparison | None) -> None:
        self._review = review
        self._comparison = comparison
        self._templates = Environment(
            loader=PackageLoader(__package__ or "", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["safe_text"] = safe

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
            ("/compare", self.compare, ["GET"]),
            ("/compare/result", self.compared, ["GET"]),
            ("/compare/{key}", self.prefer, ["POST"]),
            ("/static/{name}", self.static, ["GET"]),
        ]
        return [Route(path, _said(handler), methods=methods) for path, handler, methods in table]

    async def home(self, request: Request) -> Response:
        """To the default queue, or to the first pair."""
        return RedirectResponse("/compare" if self._comparison else "/read", 303)

    async def read(self, request: Request) -> Response:
        """The next candidate of a queue, or that there is none left."""
        spec = request.query_params.get("queue", "work")
        reader = _session(request).reader
        key = self._review.next_key(reader, spec)
        if key is None:
            return self._page("done.html", request, spec)
        return self._item(request, key, spec)

    async def open(self, request: Request) -> Response:
        """One candidate by its key."""
        return self._item(request, request.path_params["key"], request.query_params.get("queue", "work"))

    async def decide(self, request: Request) -> Response:
        """Write a decision; the answer is the next candidate's part of the page."""
        form = await _form(request)
        spec, reader, key = form.one("queue", "work"), _session(request).reader, request.path_params["key"]
        self._review.decide(reader, key, form, spec, adjudicate=spec == "disputed")
        return self._next(request, spec, reader, after=key)

    async def undo(self, request: Request) -> Response:
        """Take back the last decision and show its candidate again."""
        form = await _form(request)
        spec, reader = form.one("queue", "work"), _session(request).reader
        key = self._review.undo(reader)
        return self._item(request, key, spec, part=True) if key else self._next(request, spec, reader, after=None)

    def _next(self, request: Request, spec: str, reader: str, *, after: str | None) -> Response:
        key = self._review.next_key(reader, spec, after=after)
        return (
            self._page("done.html", request, spec, part=True)
            if key is None
            else self._item(request, key, spec, part=True)
        )

    async def check(self, request: Request) -> Response:
        """What the rules say of a rewritten step, at once."""
        form = await _form(request)
        reader, key = _session(request).reader, request.path_params["key"]
        screen = self._review.screen(reader, key)
        texts = rewritten(form, screen.judged.candidate)
        step = int(form.number("step"))
        if not texts:
            return HTMLResponse("")
        verdict = self._review.desk.judged_edit(screen.study, edited(screen.judged.candidate, texts, reader))
        mine = [finding(n, f) for n, f in enumerate(verdict.findings, 1) if f.step == step]
        return HTMLResponse(self._templates.get_template("findings.html").render(findings=mine, checked=True))

    async def draft(self, request: Request) -> Response:
        """Keep an unfinished form, so that a closed window loses nothing."""
        form = await _form(request)
        file = self._review.draft_file(_session(request).reader, request.path_params["key"])
        self._review.screen(_session(request).reader, request.path_params["key"])  # there is such a candidate
        file.parent.mkdir(mode=0o700, exist_ok=True)
        with readable_by(owner_only=True):
            replace_text(file, json.dumps({name: list(values) for name, values in form.fields.items()}))
        return Response(status_code=204)

    async def film(self, request: Request) -> Response:
        """The pixels of one film."""
        screen = self._review.screen(_session(request).reader, request.path_params["key"])
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
        return self._page(
            "list.html",
            request,
            spec,
            rows=rows,
            total=total,
            filters=filters,
            pages=pages,
            codes=sorted({code for entry in index for code in entry.codes}),
            authors=sorted({entry.author for entry in index}),
            address=lambda number: "/list?" + urlencode({**given, "page": number}),
        )

    async def agreement(self, request: Request) -> Response:
        """How far readers agree, and how far the rules agree with them."""
        run = self._review.run
        readings = self._review.desk.readings.current()
        return self._page(
            "agreement.html",
            request,
            "work",
            agreement=await run_in_threadpool(agreement_rows, run, readings),
            gate=await run_in_threadpool(gate_rows, self._review.index, readings),
        )

    async def compare(self, request: Request) -> Response:
        """The next pair of two runs."""
        return self._pair(request)

    async def prefer(self, request: Request) -> Response:
        """Write a preference; the answer is the next pair."""
        form, comparison = await _form(request), self._compared()
        pair = comparison.pair(request.path_params["key"])
        if form.one("decision") not in ("left", "right", "tie"):
            raise InputError("left, right or tie is wanted")
        other = "second" if pair.left == "first" else "first"
        preference = Preference.model_validate(
            {
                **pair._asdict(),
                "reader": _session(request).reader,
                "better": {"left": pair.left, "right": other, "tie": "tie"}[form.one("decision")],
                "comment": form.one("comment")[:4_000],
                "seconds": form.number("seconds"),
                "at": time.time(),
            }
        )
        comparison.add(preference)
        return self._pair(request, part=True)

    async def compared(self, request: Request) -> Response:
        """What readers prefer, and how likely that is by chance."""
        return self._results(request)

    def _compared(self) -> Comparison:
        if self._comparison is None:
            raise InputError("two runs are compared with: tenstep review RUN RUN --serve")
        return self._comparison

    def _results(self, request: Request, *, part: bool = False) -> Response:
        comparison = self._compared()
        readers = sorted({one.reader for one in comparison.preferences()})
        rows = [(name, comparison.result(name)) for name in readers]
        rows.append(("all", comparison.result()))
        names = [run.manifest.name for run in comparison.runs]
        return self._page("compared.html", request, "work", part=part, rows=rows, names=names)

    def _pair(self, request: Request, *, part: bool = False) -> Response:
        comparison, reader = self._compared(), _session(request).reader
        pair = comparison.next_pair(reader)
        if pair is None:
            return self._results(request, part=part)
        study = self._review.run.studies.get(pair.study_id)
        keys = (pair.first, pair.second) if pair.left == "first" else (pair.second, pair.first)
        indexes = comparison.indexes if pair.left == "first" else comparison.indexes[::-1]
        done = sum(one.reader == reader for one in comparison.preferences())
        return self._page(
            "compare.html",
            request,
            "work",
            part=part,
            pair=pair,
            study_id=safe(study.id, 200),
            films=[{"view": ref.view} for ref in study.images],
            report=safe(study.report),
            sides=[
                one_side(name, study, index.judged(key))
                for name, index, key in zip(("Left", "Right"), indexes, keys, strict=True)
            ],
            done=done,
            left=len(comparison.pairs) - done,
        )

    async def static(self, request: Request) -> Response:
        """Our own script and style, and the vendored htmx."""
        name = request.path_params["name"]
        if name not in _STATIC:
            return PlainTextResponse("no such file", 404)
        data = resources.files(__package__ or "").joinpath("static", name).read_bytes()
        return Response(data, media_type=_STATIC[name])

    def _item(self, request: Request, key: str, spec: str, *, part: bool = False) -> Response:
        reader = _session(request).reader
        adjudicate = spec == "disputed"
        screen = self._review.screen(reader, key, adjudicate=adjudicate)
        attempts = self._review.index.attempts(screen.study.id)
        return self._page(
            "item.html",
            request,
            spec,
            part=part,
            item=item(screen.study, screen.judged, findings=screen.findings, own=screen.own),
            screen=screen,
            draft=_draft(self._review.draft_file(reader, key)),
            attempt=(list(attempts).index(key) + 1, len(attempts)),
            code_names=code_names(),
            explained=explained,
        )

    def _page(self, name: str, request: Request, spec: str, *, part: bool = False, **values: Any) -> Response:
        reader = _session(request).reader
        template = self._templates.get_template(name)
        common = {
            "part": part,
            "comparing": self._comparison is not None,
            "queue": spec,
            "reader": reader,
            "run_name": self._review.run.manifest.name,
            "restricted": self._review.run.studies.data_class == "restricted",
            "min_seconds": self._review.settings.min_seconds,
            "progress": self._review.progress(reader, spec),
        }
        return HTMLResponse(template.render(common | values))


def _film(store: StudyStore, ref: ImageRef) -> Pixels:
    """The film as the source has it, or, where that has gone, as it was converted at ingest."""
    if ref.original is not None:
        original = store.path_of(ref.model_copy(update={"path": ref.original}))
        if original.is_file():
            return pixels(original)
    return pixels(store.path_of(ref))


def _said(handler: Handler) -> Handler:
    """The handler, with errors of ours as a page; the message was written for people and is escaped."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except TenstepError as error:
            return HTMLResponse(f'<p role="alert" class="problem">{safe(str(error), 600)}</p>', 422)

    return answered


def _session(request: Request) -> Session:
    session: Session = request.scope["session"]
    return session


async def _form(request: Request) -> Form:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY:
            raise InputError(f"the form is larger than {_BODY:,} bytes; shorten the comment")
    try:
        return Form(parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=500))
    except ValueError:
        raise InputError("the form has too many fields; load the page again") from None


def _draft(file: Path) -> Mapping[str, list[str]]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
