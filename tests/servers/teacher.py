"""A loopback server that speaks OpenAI chat completions, Responses, files and batches, and Anthropic messages and
batches; every fault can be switched for each request, and it counts what was paid for, per prompt.

    with TeacherServer() as server:
        server.fail("429_seconds", "cut")            the next two requests; then all is well
        server.fail("500", where="pneumonia")        the next request whose body holds that text
        server.rates = {"429": 0.1, "500": 0.05}     a share of first tries, chosen by the body's hash
        server.url                                   http://127.0.0.1:PORT, for Anthropic; add /v1 for OpenAI
        server.paid                                  Counter: body hash -> answers generated
        server.seen                                  every request, as it came

As a process of its own, for benchmarks (prints its address; GET /_stats tells the counts):

    python -m tests.servers.teacher --latency 0.05 --rate 429=0.1 --rate 500=0.05
"""

import argparse
import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import parse_qs

from . import replies
from .batches import Batches, Files
from .faults import DATE, FAULTS, Fault, soon
from .replies import Api
from .wire import Answer, Loopback, Request

PATHS: dict[str, Api] = {"/chat/completions": "chat", "/responses": "responses", "/messages": "messages"}
Honours = Literal["response_format", "structured_outputs", "json_schema", "format", "guided_json"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that asked an author."""

    api: Api
    body: dict[str, Any]
    sha256: str
    headers: Mapping[str, str]
    fault: str | None


class TeacherServer(Loopback):
    """See the module. Attributes may be set at any time; they count from the next request.

    Args:
        latency: seconds before each answer.
        honours: the parameters under which a schema is enforced; under others it is silently ignored.
        write: the answer's text, from the request body; the default writes ten sentences, or what the schema asks.
        keep: whether `seen` keeps requests; benchmarks need no list of 20,000 images.
        models: names that exist; None knows every name.
        key: the only key that is let in; None lets in everyone.
        port: 0 takes a free one.
        host: an address of this machine.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        honours: frozenset[Honours] | None = None,
        write: Callable[[dict[str, Any]], str] | None = None,
        keep: bool = True,
        models: tuple[str, ...] | None = None,
        key: str | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        super().__init__(self._handle, port, host)
        self.latency = latency
        self.honours: frozenset[Honours] = (
            frozenset({"response_format", "structured_outputs", "json_schema", "format"})
            if honours is None
            else honours
        )
        self.write = write or self._ten_sentences
        self.keep = keep
        self.models = models
        self.key = key
        self.rates: dict[str, float] = {}
        self.rates_where = ""  # they count for bodies that hold this text
        self.redirect_to = "http://127.0.0.1:9/elsewhere"
        self.headers: dict[str, str] = {}  # go with every answer, e.g. rate-limit headers
        self.asked: Counter[str] = Counter()  # by body hash
        self.paid: Counter[str] = Counter()
        self.seen: list[Seen] = []
        self.requests = 0
        self.delivered = 0  # answers of a teacher, handed whole to a connection that was open
        self.bytes = 0
        self.in_flight_most = 0
        self.files = Files()
        self.batches = Batches(self.files, self._author)
        self._planned: deque[tuple[str, str]] = deque()
        self._lock = threading.Lock()

    def fail(self, *names: str, where: str = "") -> None:
        """Fail the next requests whose bodies hold `where`, one fault a request; `ok` lets one through."""
        unknown = [name for name in names if name not in FAULTS and name != "ok"]
        assert not unknown, unknown
        with self._lock:
            self._planned.extend((name, where) for name in names)

    def _handle(self, request: Request) -> Answer:
        self.requests += 1
        self.bytes += len(request.body)
        self.in_flight_most = max(self.in_flight_most, sum(len(c._tasks) for c in self._connections))
        if request.path == "/_stats":
            return _json(self.stats())
        path = request.path.removeprefix("/v1")
        if request.method == "POST" and path in PATHS:
            return self._ask(PATHS[path], request)
        if path == "/models" or path == "/health":
            data = [{"id": name, "object": "model"} for name in self.models or ("test-model",)]
            return _json({"object": "list", "data": data})
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        fault = self._next_fault(request.body.decode("utf-8", "replace"), path)
        status = FAULTS[fault].status if fault else None
        if status and 400 <= status < 500:
            return self._fail(FAULTS[str(fault)], "chat", Answer())
        found = self.batches.handle(request, path, query, self.url)
        if found is None:
            return _json(replies.error("chat", 404, f"no such path: {path}"), 404)
        return found if fault is None else self._fail(FAULTS[fault], "chat", found)

    def stats(self) -> dict[str, Any]:
        """The counts, for another process."""
        twice = sum(count > 1 for count in self.paid.values())
        return {
            "requests": self.requests,
            "prompts": len(self.asked),
            "paid": self.paid.total(),
            "paid_twice": twice,
            "delivered": self.delivered,
            "in_flight_most": self.in_flight_most,
        }

    def _ask(self, api: Api, request: Request) -> Answer:
        sha256 = hashlib.sha256(request.body).hexdigest()
        text = request.body.decode("utf-8", "replace") if self._planned or self.rates_where else ""
        body = json.loads(request.body)
        name = self._next_fault(text, None) or (self._by_rate(sha256) if self.rates_where in text else None)
        self.asked[sha256] += 1
        if self.keep:
            self.seen.append(Seen(api, body, sha256, request.headers, name))
        fault = FAULTS.get(name or "")
        if fault is None and (no := self._unwelcome(api, request, body)):
            return no
        if fault is None or fault.paid:
            self.paid[sha256] += 1
        number = self.requests
        whole = Answer(
            body=self._author(api, body, fault, number),
            headers={"x-request-id": f"req_{number}", "request-id": f"req_{number}", **self.headers},
            seconds=self.latency,
            on_written=self._count_delivered,
        )
        return whole if fault is None else self._fail(fault, api, whole)

    def _count_delivered(self) -> None:
        self.delivered += 1

    def _author(self, api: Api, body: dict[str, Any], fault: Fault | None = None, number: int = 1) -> bytes:
        text = self.write(body)
        if fault and fault.text:
            text = fault.text(text)
        stop = (fault.stop if fault else None) or "stop"
        return json.dumps(replies.reply(api, text, stop=stop, model=body.get("model", ""), number=number)).encode()

    def _fail(self, fault: Fault, api: Api, whole: Answer) -> Answer:
        if fault.status is not None:
            request_id = whole.headers.get("x-request-id", "req_0")
            body = replies.error(api, fault.status, fault.message, code=fault.code, request_id=request_id)
            headers = {name: soon() if value == DATE else value for name, value in fault.headers}
            return replace(whole, status=fault.status, body=json.dumps(body).encode(), headers=whole.headers | headers)
        answer = fault.http(whole) if fault.http else whole
        if answer.status == 307:
            answer = replace(answer, headers=answer.headers | {"location": self.redirect_to})
        return answer

    def _next_fault(self, text: str, path: str | None) -> str | None:
        with self._lock:
            for at, (name, where) in enumerate(self._planned):
                # a fault meant for a path (`where="/batches"`) waits for that path
                if where == path or (path is None and not where.startswith("/") and where in text):
                    del self._planned[at]
                    return None if name == "ok" else name
        return None

    def _by_rate(self, sha256: str) -> str | None:
        """The fault of a prompt's first request; its later ones are served."""
        if not self.rates or self.asked[sha256]:
            return None
        dice = int(sha256[:13], 16) / 16**13
        for name, rate in self.rates.items():
            if dice < rate:
                return name
            dice -= rate
        return None

    def _unwelcome(self, api: Api, request: Request, body: dict[str, Any]) -> Answer | None:
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return _json(replies.error(api, 401, "Incorrect API key provided", code="invalid_api_key"), 401)
        if self.models is not None and body.get("model") not in self.models:
            message = f"The model `{body.get('model')}` does not exist"
            return _json(replies.error(api, 404, message, code=None if api == "messages" else "model_not_found"), 404)
        if "json_schema" in body and "response_format" in body:
            return _json(replies.error(api, 400, 'Either "json_schema" or "response_format"'), 400)
        return None

    def _ten_sentences(self, body: dict[str, Any]) -> str:
        schema = self._schema(body)
        return replies.numbered() if schema is None else json.dumps(replies.instance(schema))

    def _schema(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """The schema that a request asks for, where this server enforces it under that name."""
        found: dict[Honours, Any] = {
            "structured_outputs": body.get("structured_outputs", {}).get("json"),
            "json_schema": body.get("json_schema"),
            "guided_json": body.get("guided_json"),
            "response_format": (body.get("response_format") or {}).get("json_schema", {}).get("schema")
            or (body.get("text") or {}).get("format", {}).get("schema"),
            "format": (body.get("output_config") or {}).get("format", {}).get("schema"),
        }
        return next((schema for name, schema in found.items() if schema and name in self.honours), None)


def _json(body: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"x-request-id": "req_0", "request-id": "req_0"})


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.05, metavar="SECONDS")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", action="append", default=[], metavar="FAULT=SHARE", help=f"of: {', '.join(FAULTS)}")
    args = parser.parse_args()
    with TeacherServer(latency=args.latency, port=args.port, keep=False) as server:
        server.rates = {name: float(share) for name, _, share in (rate.partition("=") for rate in args.rate)}
        print(server.url, flush=True)  # noqa: T201  whoever started it reads the address
        threading.Event().wait()


if __name__ == "__main__":
    main()
