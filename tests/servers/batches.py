"""Files and batches of both providers, kept in memory. A batch is worked on by being looked at.

batches.polls = 2          looks until it has ended
batches.expired = 0.5      the share of its requests that end expired
batches.errored = 0.1      the share that end with an error
batches.torn = True        the last line of each result file is cut
batches.lost = 1           so many requests have no line at all
batches.no_output = True   OpenAI says completed, and names no output file
"""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from . import replies
from .replies import Api
from .wire import Answer, Request

Author = Callable[[Api, dict[str, Any]], bytes]


class Files:
    """Uploaded and written files."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        """Keep a file; its id."""
        name = f"file-{len(self.held) + 1}"
        self.held[name] = content
        return name


@dataclass
class Batch:
    """One batch of either provider."""

    id: str
    anthropic: bool
    requests: list[dict[str, Any]]
    metadata: dict[str, str] | None
    endpoint: str = "/v1/responses"
    input_file_id: str = ""
    created_at: int = 0
    looks: int = 0
    canceled: bool = False
    output: bytes | None = None
    errors: bytes | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    counts: dict[str, int] = field(default_factory=dict)


class Batches:
    """See the module."""

    def __init__(self, files: Files, author: Author) -> None:
        self.files = files
        self.held: dict[str, Batch] = {}
        self.polls = 1
        self.expired = 0.0
        self.errored = 0.0
        self.torn = False
        self.lost = 0
        self.no_output = False
        self.created = 0
        self.paid: Counter[str] = Counter()  # by custom id
        self._author = author

    def handle(self, request: Request, path: str, query: dict[str, str], url: str) -> Answer | None:
        """The answer of the files and batches APIs; none for other paths."""
        anthropic = path.startswith("/messages/batches")
        path = path.removeprefix("/messages")
        if path == "/files" and request.method == "POST":
            name = self.files.put(_upload(request.body))
            return _json(
                {"id": name, "object": "file", "purpose": "batch", "bytes": 1, "created_at": 1, "filename": "x"}
            )
        if match := re.fullmatch(r"/files/([\w-]+)/content", path):
            held = self.files.held.get(match[1])
            return (
                _missing() if held is None else Answer(body=held, headers={"content-type": "application/octet-stream"})
            )
        if (match := re.fullmatch(r"/files/([\w-]+)", path)) and request.method == "DELETE":
            self.files.held.pop(match[1], None)
            return _json({"id": match[1], "object": "file", "deleted": True})
        if path == "/batches" and request.method == "POST":
            return self._create(json.loads(request.body), anthropic, url)
        if path == "/batches":
            return self._list(anthropic, query, url)
        match = re.fullmatch(r"/batches/(\w+)(/cancel|/results)?", path)
        batch = self.held.get(match[1]) if match else None
        if match is None or batch is None:
            return None if match is None else _missing()
        if match[2] == "/results":
            return Answer(body=batch.output or b"", headers={"content-type": "application/x-jsonl"})
        if match[2] == "/cancel":
            batch.canceled = True
        self._look(batch)
        return _json(_shown(batch, url))

    def _look(self, batch: Batch) -> None:
        batch.looks += 1
        if batch.output is None and (batch.looks >= self.polls or batch.canceled):
            self._finish(batch)
        if batch.output and not batch.output_file_id and not self.no_output:
            batch.output_file_id = self.files.put(batch.output)

    def _create(self, body: dict[str, Any], anthropic: bool, url: str) -> Answer:
        if anthropic:
            requests = body["requests"]
            batch = Batch(f"msgbatch_{len(self.held) + 1}", True, requests, None)
        else:
            lines = self.files.held[body["input_file_id"]].decode().splitlines()
            requests = [json.loads(line) for line in lines]
            batch = Batch(
                f"batch_{len(self.held) + 1}", False, requests, body.get("metadata"), body["endpoint"],
                body["input_file_id"],
            )  # fmt: skip
        ids = [request["custom_id"] for request in requests]
        if len(set(ids)) < len(ids) or not all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in ids):
            return _json(replies.error("messages" if anthropic else "chat", 400, "custom_id must be unique"), 400)
        self.created += 1
        batch.created_at = int(time.time())
        self.held[batch.id] = batch
        return _json(_shown(batch, url))

    def _list(self, anthropic: bool, query: dict[str, str], url: str) -> Answer:
        """Newest first, pages of `limit` behind `after` (OpenAI) or `after_id` (Anthropic)."""
        held = [batch for batch in reversed(self.held.values()) if batch.anthropic == anthropic]
        for batch in held:
            self._look(batch)
        after = query.get("after_id") or query.get("after")
        if after:
            held = held[[batch.id for batch in held].index(after) + 1 :]
        limit = int(query.get("limit", "20"))
        data = [_shown(batch, url) for batch in held[:limit]]
        ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
        return _json({"object": "list", "data": data, "has_more": len(held) > limit, **ends})

    def _finish(self, batch: Batch) -> None:
        dice = random.Random(batch.id)
        good, bad = [], []
        for request in batch.requests:
            roll = dice.random()
            if batch.canceled or roll < self.expired:
                bad.append(_line(batch, request, "canceled" if batch.canceled else "expired", b""))
            elif roll < self.expired + self.errored:
                bad.append(_line(batch, request, "errored", b""))
            else:
                api: Api = "messages" if batch.anthropic else _api(batch.endpoint)
                body = request["params"] if batch.anthropic else request["body"]
                self.paid[request["custom_id"]] += 1
                good.append(_line(batch, request, "succeeded", self._author(api, body)))
        batch.counts = {"total": len(batch.requests), "completed": len(good), "failed": len(bad)}
        if batch.anthropic:
            good, bad = good + bad, []
        dice.shuffle(good)
        good = good[: len(good) - self.lost]
        batch.output, batch.errors = self._file(good), self._file(bad)
        if batch.anthropic:
            return
        batch.error_file_id = self.files.put(batch.errors) if batch.errors else None

    def _file(self, lines: list[str]) -> bytes:
        whole = "".join(line + "\n" for line in lines).encode()
        return whole[:-30] if self.torn else whole


def _api(endpoint: str) -> Api:
    return "responses" if endpoint.endswith("/responses") else "chat"


def _line(batch: Batch, request: dict[str, Any], result: str, body: bytes) -> str:
    name = request["custom_id"]
    if batch.anthropic:
        content: dict[str, Any] = {"type": result}
        if result == "succeeded":
            content["message"] = json.loads(body)
        elif result == "errored":
            content["error"] = replies.error("messages", 400, "could not be done")
        return json.dumps({"custom_id": name, "result": content})
    line: dict[str, Any] = {"id": f"batch_req_{name}", "custom_id": name, "response": None, "error": None}
    if result == "succeeded":
        line["response"] = {"status_code": 200, "request_id": f"req_{name}", "body": json.loads(body)}
    elif result == "errored":
        line["response"] = {"status_code": 400, "request_id": "req", "body": replies.error("chat", 400, "no")}
    else:
        line["error"] = {"code": f"batch_{result}", "message": "This request could not be executed in time."}
    return json.dumps(line)


def _shown(batch: Batch, url: str) -> dict[str, Any]:
    ended = batch.output is not None
    if batch.anthropic:
        counts = {"processing": 0 if ended else len(batch.requests), "succeeded": 0, "errored": 0}
        counts |= {"canceled": 0, "expired": 0}
        if ended and batch.output:
            for line in batch.output.splitlines():
                kind = re.search(rb'"result": \{"type": "(\w+)"', line)
                if kind:
                    counts[kind[1].decode()] += 1
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": datetime.fromtimestamp(batch.created_at, UTC).isoformat(),
            "expires_at": "2026-11-25T00:00:00Z",
            "ended_at": "2026-11-24T01:00:00Z" if ended else None,
            "results_url": f"{url}/v1/messages/batches/{batch.id}/results" if ended else None,
        }
    expired = batch.errors is not None and b"batch_expired" in batch.errors
    end = "expired" if expired else "cancelled" if batch.canceled else "completed"
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "input_file_id": batch.input_file_id,
        "completion_window": "24h",
        "status": end if ended else "in_progress",
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": batch.created_at,
        "metadata": batch.metadata,
        "request_counts": batch.counts or {"total": len(batch.requests), "completed": 0, "failed": 0},
    }


def _upload(body: bytes) -> bytes:
    """The file in a multipart form."""
    boundary = body[: body.index(b"\r\n")]
    for part in body.split(boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if b'name="file"' in head:
            return content.removesuffix(b"\r\n")
    raise ValueError("the form holds no file")


def _json(body: dict[str, Any], status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode())


def _missing() -> Answer:
    return Answer(404, json.dumps(replies.error("chat", 404, "not found")).encode())
