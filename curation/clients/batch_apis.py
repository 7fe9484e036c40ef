"""The batch APIs of both providers: how a batch is created, listed and read. What is done with them is in batch.py.

A batch keeps what it is sent for days: it is for public data alone, which policy.py and batched.py see to.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...schemas.errors import TeacherError
from ...schemas.run import State
from ..teacher import Unanswered
from .endpoint import Endpoint, pack
from .envelope import Envelope, failure, seal, unseal

RESULTS = 1 << 30  # bytes of one result file that are read
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_KEPT = 7 * 86_400  # seconds; what is uploaded and written there is deleted then

Outcome = bytes | Unanswered


@dataclass(frozen=True, slots=True)
class ListedBatch:
    """A batch as the provider shows it."""

    id: str
    requests: int
    ended: bool
    turned_away: bool = False  # as a whole, before any request was worked on
    unnamed: bool = False  # it counts answers, and does not say yet which file they are in
    name: str | None = None  # the shard's, where the provider keeps names
    files: tuple[str, ...] = ()  # of results


class BatchApi(Protocol):
    """One provider's batches."""

    most_requests: int
    most_bytes: int

    def line(self, custom_id: str, body: Mapping[str, Any]) -> bytes:
        """One request as it lies in a batch."""
        ...

    async def create(self, name: str, lines: Sequence[bytes]) -> str:
        """Create a batch; its id. Raises as `Endpoint.post` does."""
        ...

    async def get(self, batch: str) -> ListedBatch:
        """One batch."""
        ...

    def newest(self) -> AsyncIterator[ListedBatch]:
        """All batches, newest first."""
        ...

    async def results(self, batch: ListedBatch) -> bytes:
        """All result lines, whatever files they lie in."""
        ...

    def read(self, line: bytes) -> tuple[str, Outcome]:
        """Custom id and outcome of one result line. Raises ValueError if it is none."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


def batch_api(endpoint: Endpoint, path: str) -> BatchApi:
    """The provider's batches behind an endpoint, for requests to one path."""
    return OpenAIBatches(endpoint, path) if endpoint.provider == "openai" else AnthropicBatches(endpoint)


class OpenAIBatches:
    """A file of requests goes up, up to two files of results come down. Metadata holds the shard's name."""

    most_requests = 10_000  # 50,000 are taken; results are read at once
    most_bytes = 150 << 20  # 200 MB are taken

    def __init__(self, endpoint: Endpoint, path: str) -> None:
        self._endpoint = endpoint
        self._path = path

    def line(self, custom_id: str, body: Mapping[str, Any]) -> bytes:
        """See `BatchApi`."""
        return pack({"custom_id": custom_id, "method": "POST", "url": f"/v1{self._path}", "body": body})

    async def create(self, name: str, lines: Sequence[bytes]) -> str:
        """See `BatchApi`."""
        fields = {
            "purpose": "batch",
            "expires_after[anchor]": "created_at",
            "expires_after[seconds]": str(_KEPT),
        }
        try:
            uploaded = _object(await self._endpoint.upload("/files", "batch.jsonl", b"\n".join(lines) + b"\n", fields))
        except Unanswered as no:  # a file is no batch: nothing was asked
            raise Unanswered(State.FAILED, no.reason, no.raw, retryable=True, sent=False) from None
        batch = {
            "input_file_id": uploaded["id"],
            "endpoint": f"/v1{self._path}",
            "completion_window": "24h",
            "metadata": {"tenstep_shard": name},
            "output_expires_after": {"anchor": "created_at", "seconds": _KEPT},
        }
        return str(_object(await self._endpoint.post("/batches", pack(batch)))["id"])

    async def get(self, batch: str) -> ListedBatch:
        """See `BatchApi`."""
        return _openai(_object(await self._endpoint.get(f"/batches/{batch}")))

    async def newest(self) -> AsyncIterator[ListedBatch]:
        """See `BatchApi`."""
        after = ""
        while True:
            page = _object(await self._endpoint.get(f"/batches?limit=100{after}"))
            for found in page["data"]:
                yield _openai(found)
            if not page.get("has_more") or not page["data"]:
                return
            after = f"&after={page['data'][-1]['id']}"

    async def results(self, batch: ListedBatch) -> bytes:
        """See `BatchApi`."""
        parts = [unseal(await self._endpoint.get(f"/files/{file}/content")).body for file in batch.files]
        return b"\n".join(parts)

    def read(self, line: bytes) -> tuple[str, Outcome]:
        """See `BatchApi`."""
        found = json.loads(line)
        response, error = found.get("response"), found.get("error")
        if response is None:
            code = str((error or {}).get("code"))
            if code not in ("batch_expired", "batch_cancelled"):
                code = "error"
            return found["custom_id"], Unanswered(State.FAILED, f"not answered in its batch ({code})", retryable=True)
        headers = {"x-request-id": str(response.get("request_id"))}
        return found["custom_id"], _outcome(response["status_code"], headers, response["body"])

    async def close(self) -> None:
        """See `BatchApi`."""
        await self._endpoint.close()


class AnthropicBatches:
    """One request holds them all; one stream of results. There are no names: a batch is known by its contents."""

    most_requests = 10_000  # 100,000 are taken
    most_bytes = 150 << 20  # 256 MB are taken

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def line(self, custom_id: str, body: Mapping[str, Any]) -> bytes:
        """See `BatchApi`."""
        return pack({"custom_id": custom_id, "params": body})

    async def create(self, name: str, lines: Sequence[bytes]) -> str:
        """See `BatchApi`."""
        content = b'{"requests":[' + b",".join(lines) + b"]}"
        return str(_object(await self._endpoint.post("/v1/messages/batches", content))["id"])

    async def get(self, batch: str) -> ListedBatch:
        """See `BatchApi`."""
        return _anthropic(_object(await self._endpoint.get(f"/v1/messages/batches/{batch}")))

    async def newest(self) -> AsyncIterator[ListedBatch]:
        """See `BatchApi`."""
        after = ""
        while True:
            page = _object(await self._endpoint.get(f"/v1/messages/batches?limit=100{after}"))
            for found in page["data"]:
                yield _anthropic(found)
            if not page.get("has_more") or not page["data"]:
                return
            after = f"&after_id={page['data'][-1]['id']}"

    async def results(self, batch: ListedBatch) -> bytes:
        """See `BatchApi`."""
        return unseal(await self._endpoint.get(f"/v1/messages/batches/{batch.id}/results")).body

    def read(self, line: bytes) -> tuple[str, Outcome]:
        """See `BatchApi`."""
        found = json.loads(line)
        result = found["result"]
        kind = result["type"]
        if kind == "succeeded":
            return found["custom_id"], _outcome(200, {}, result["message"])
        error = result.get("error") or {}
        why = error.get("error", error).get("type", "") if kind == "errored" else kind
        known = why if why in ("expired", "canceled", "invalid_request_error", "api_error") else "error"
        reason = f"not answered in its batch ({known})"
        return found["custom_id"], Unanswered(State.FAILED, reason, retryable=why != "invalid_request_error")

    async def close(self) -> None:
        """See `BatchApi`."""
        await self._endpoint.close()


def _outcome(status: int, headers: Mapping[str, str], body: Any) -> Outcome:
    content = json.dumps(body).encode()
    if status == 200:
        return seal(status, headers.items(), content, batched=True)
    no = failure(Envelope(status, headers, content, batched=True), "the batch", None)
    return Unanswered(State.FAILED, no.message) if isinstance(no, TeacherError) else no


def _openai(found: Mapping[str, Any]) -> ListedBatch:
    counts = found.get("request_counts") or {}
    return ListedBatch(
        id=found["id"],
        requests=counts.get("total", 0),
        ended=found["status"] in _ENDED,
        unnamed=bool(counts.get("completed")) and not found.get("output_file_id"),
        turned_away=found["status"] == "failed",
        name=(found.get("metadata") or {}).get("tenstep_shard", ""),
        files=tuple(file for name in ("output_file_id", "error_file_id") if (file := found.get(name))),
    )


def _anthropic(found: Mapping[str, Any]) -> ListedBatch:
    return ListedBatch(
        id=found["id"],
        requests=sum(found["request_counts"].values()),
        ended=found["processing_status"] == "ended" and bool(found.get("results_url")),
    )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(unseal(raw).body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not (isinstance(found.get("id"), str) or isinstance(found.get("data"), list)):
        raise Unanswered(State.UNKNOWN, "the batch API sent something that is no answer of it")
    return found
