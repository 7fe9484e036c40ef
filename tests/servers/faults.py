"""Every way in which a provider, a proxy or a network has been seen to fail, by name.

`http` faults replace the answer; `reply` faults change what the author says. `paid` tells whether a provider
would charge for it: an answer was generated, whether or not it arrived.
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache

from .replies import Stop
from .wire import Answer

DATE = "<a date that is soon>"  # becomes one when it is sent
_HTML = b"<!doctype html><html><body><h1>Bad gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail."""

    paid: bool
    http: Callable[[Answer], Answer] | None = None
    status: int | None = None  # an error body in the provider's form goes with it
    message: str = "made to fail"
    code: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    stop: Stop | None = None
    text: Callable[[str], str] | None = None  # from the right answer to what is answered instead


def _limited(value: str, name: str = "retry-after") -> Fault:
    return Fault(False, status=429, code="rate_limit_exceeded", headers=((name, value),))


def _body(body: bytes, status: int = 200, kind: str = "application/json") -> Callable[[Answer], Answer]:
    return lambda whole: replace(whole, status=status, body=body, headers={"content-type": kind})


def _ends(how: str, **changes: object) -> Callable[[Answer], Answer]:
    return lambda whole: replace(whole, ending=how, **changes)  # type: ignore[arg-type]  # one of Ending, see FAULTS


def _with_headers(**headers: Callable[[Answer], str]) -> Callable[[Answer], Answer]:
    def change(whole: Answer) -> Answer:
        made = {name.replace("_", "-"): make(whole) for name, make in headers.items()}
        return replace(whole, headers=whole.headers | made)

    return change


def _bomb(whole: Answer) -> Answer:
    return replace(whole, body=_bomb_body(), headers={"content-encoding": "gzip"})


@cache
def _bomb_body() -> bytes:
    return gzip.compress(bytes(200_000_000), 1)


def _zipped(whole: Answer) -> Answer:
    return replace(whole, body=gzip.compress(whole.body), headers=whole.headers | {"content-encoding": "gzip"})


def soon(seconds: float = 2.0) -> str:
    """An HTTP date that lies so far ahead."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


FAULTS: dict[str, Fault] = {
    # the server says no, and takes nothing
    "429": Fault(False, status=429, code="rate_limit_exceeded"),
    "429_ms": _limited("40", "retry-after-ms"),
    "429_seconds": _limited("1"),
    "429_fraction": _limited("0.05"),
    "429_date": _limited(DATE),
    "429_huge": _limited("86400"),
    "429_negative": _limited("-5"),
    "429_nan": _limited("nan"),
    "429_nonsense": _limited("in a while"),
    "429_empty": _limited(""),
    "429_slow": _limited("89"),
    "529": Fault(False, status=529, message="Overloaded"),
    "503": Fault(False, status=503, headers=(("retry-after", "0.05"),)),
    "500": Fault(False, status=500),
    "408": Fault(False, status=408),
    "409": Fault(False, status=409),
    "502_html": Fault(False, http=_body(_HTML, 502, "text/html")),
    "307": Fault(False, http=_body(b"", 307)),  # the server adds where to
    # the run cannot go on
    "401": Fault(False, status=401, message="Incorrect API key provided", code="invalid_api_key"),
    "403": Fault(False, status=403, message="Country, region, or territory not supported"),
    "404_model": Fault(False, status=404, message="The model `x` does not exist", code="model_not_found"),
    "402": Fault(False, status=402, message="Your credit balance is too low"),
    "quota": Fault(False, status=429, message="You exceeded your current quota", code="insufficient_quota"),
    "credit": Fault(False, status=400, message="Your credit balance is too low to access the API."),
    "schema": Fault(False, status=400, message="Invalid schema for response_format 'ten_steps'", code="invalid_schema"),
    "parameter": Fault(
        False, status=400, message="temperature: this model takes none of it", code="unsupported_parameter"
    ),
    # this one request cannot be served
    "400": Fault(False, status=400, message="string too long"),
    "413": Fault(False, status=413, message="Request too large"),
    "422": Fault(False, status=422, message="image could not be processed"),
    # an answer was generated, or may have been, and something is wrong with it or with its way
    "504": Fault(True, status=504),
    "524": Fault(True, status=524),
    "200_html": Fault(True, http=_body(_HTML, 200, "text/html")),
    "200_empty_object": Fault(True, http=_body(b"{}")),
    "200_empty": Fault(True, http=_body(b"")),
    "200_null": Fault(True, http=_body(b"null")),
    "200_list": Fault(True, http=_body(b"[]")),
    "200_deep": Fault(True, http=_body(b"[" * 100_000)),
    "200_not_utf8": Fault(True, http=lambda whole: replace(whole, body=whole.body.replace(b"lung", b"l\xffng"))),
    "200_bad_json": Fault(True, http=lambda whole: replace(whole, body=whole.body[:-2])),
    "gzip": Fault(True, http=_zipped),
    "gzip_bomb": Fault(True, http=_bomb),
    "cut": Fault(True, http=_ends("cut")),
    "drip": Fault(True, http=_ends("drip", seconds=0.6)),
    "drip_long": Fault(True, http=_ends("drip", seconds=60.0)),
    "reset_before": Fault(True, http=_ends("reset_before")),
    "reset_after_headers": Fault(True, http=_ends("reset_after_headers")),
    "silent": Fault(True, http=_ends("silent")),
    "length_long": Fault(True, http=_with_headers(content_length=lambda whole: str(len(whole.body) + 50))),
    "length_short": Fault(True, http=_with_headers(content_length=lambda whole: str(len(whole.body) - 50))),
    "same_request_id": Fault(True, http=_with_headers(x_request_id=lambda _: "req_same")),
    "length_stop": Fault(True, stop="length", text=lambda right: right[: len(right) // 2]),
    "length_stop_whole": Fault(True, stop="length"),  # looks complete, and was cut all the same
    "refusal": Fault(True, stop="refusal"),
    "filter": Fault(True, stop="filter"),
    "empty_text": Fault(True, text=lambda _: ""),
    "malformed": Fault(True, text=lambda right: right[:-40]),
    "chatter": Fault(True, text=lambda right: "Sure! Here it is:\n" + right),
    "fenced": Fault(True, text=lambda right: f"```json\n{right}\n```"),
    "nine_steps": Fault(True, text=lambda right: right.replace('"step_10"', '"step_09b"')),
    "surrogate": Fault(True, text=lambda right: right.replace("lungs", "lungs \ud800")),
}
