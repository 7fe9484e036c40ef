"""Pages for two runs next to each other: the next pair, a reader's preference, and what the preferences come to."""

import time

from starlette.requests import Request
from starlette.responses import Response

from ...schemas.errors import InputError
from ...schemas.reading import Preference
from .compare import BlindedComparison
from .rendering import Handler, Renderer, read_form, session_of
from .screens import ReviewRun
from .shown import one_side, safe


class PairPages:
    """The handlers, over a run and its comparison with a second one."""

    def __init__(self, renderer: Renderer, review: ReviewRun, comparison: BlindedComparison | None) -> None:
        self._renderer = renderer
        self._review = review
        self._comparison = comparison

    def table(self) -> list[tuple[str, Handler, list[str]]]:
        """Addresses, handlers and methods."""
        return [
            ("/compare", self.compare, ["GET"]),
            ("/compare/result", self.compared, ["GET"]),
            ("/compare/{key}", self.prefer, ["POST"]),
        ]

    async def compare(self, request: Request) -> Response:
        """The next pair of two runs."""
        return self._pair(request)

    async def prefer(self, request: Request) -> Response:
        """Write a preference; the answer is the next pair."""
        form, comparison = await read_form(request), self._compared()
        pair = comparison.pair(request.path_params["key"])
        if form.one("decision") not in ("left", "right", "tie"):
            raise InputError("left, right or tie is wanted")
        other = "second" if pair.left == "first" else "first"
        preference = Preference.model_validate(
            {
                **pair._asdict(),
                "reader": session_of(request).reader,
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

    def _compared(self) -> BlindedComparison:
        if self._comparison is None:
            raise InputError("two runs are compared with: tenstep review RUN RUN --serve")
        return self._comparison

    def _results(self, request: Request, *, part: bool = False) -> Response:
        comparison = self._compared()
        readers = sorted({one.reader for one in comparison.preferences()})
        rows = [(name, comparison.result(name)) for name in readers]
        rows.append(("all", comparison.result()))
        names = [run.manifest.name for run in comparison.runs]
        return self._renderer.page("compared.html", request, "work", part=part, rows=rows, names=names)

    def _pair(self, request: Request, *, part: bool = False) -> Response:
        comparison, reader = self._compared(), session_of(request).reader
        pair = comparison.next_pair(reader)
        if pair is None:
            return self._results(request, part=part)
        study = self._review.run.studies.get(pair.study_id)
        keys = (pair.first, pair.second) if pair.left == "first" else (pair.second, pair.first)
        indexes = comparison.indexes if pair.left == "first" else comparison.indexes[::-1]
        done = sum(one.reader == reader for one in comparison.preferences())
        return self._renderer.page(
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
