"""The batch APIs of both providers: how a batch is created, listed and read. What is done with them is in batch.py.

A batch keeps what it is sent for days: it is for public data alone, which policy.py and batched.py see to.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ...schemas.errors import TeacherError
from ...schemas.run import State
from ..teacher import Unanswered
from .endpoint import Endpoint, pack
from .envelope import Envelope, failure, seal

RESULTS = 1 << 30  # bytes of one result file that are read
if TYPE_CHECKING:
    from anthropic.types.messages import MessageBatch
    from openai.types import Batch, FileObject

_PAGE = 100  # batches
_NO_ANSWER = "the batch API sent something that is no answer of it"
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
        content, kept = b"\n".join(lines) + b"\n", {"anchor": "created_at", "seconds": _KEPT}
        try:
            file: FileObject = await self._endpoint.call(
                lambda openai: openai.files.create(file=("batch.jsonl", content), purpose="batch", expires_after=kept)
            )
            _check(file)
        except Unanswered as no:  # a file is no batch: nothing was asked
            raise Unanswered(State.FAILED, no.reason, no.raw, retryable=True, sent=False) from None
        batch: Batch = await self._endpoint.call(
            lambda openai: openai.batches.create(
                input_file_id=file.id,
                endpoint=f"/v1{self._path}",
                completion_window="24h",
                metadata={"tenstep_shard": name},
                output_expires_after=kept,
            )
        )
        _check(batch)
        return batch.id

    async def get(self, batch: str) -> ListedBatch:
        """See `BatchApi`."""
        return _openai(await self._endpoint.call(lambda openai: openai.batches.retrieve(batch)))

    async def newest(self) -> AsyncIterator[ListedBatch]:
        """See `BatchApi`."""
        async for found in _all(self._endpoint, lambda openai: openai.batches.list(limit=_PAGE)):
            yield _openai(found)

    async def results(self, batch: ListedBatch) -> bytes:
        """See `BatchApi`."""
        parts = []
        for file in batch.files:
            parts.append((await self._endpoint.call(partial(_content, file))).content)
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
        """See `BatchApi`; the lines go as they are, in place of a list of parameters that would be packed again."""
        from anthropic.types.messages import MessageBatch

        content = b'{"requests":[' + b",".join(lines) + b"]}"
        batch: MessageBatch = await self._endpoint.call(
            lambda anthropic: anthropic.post("/v1/messages/batches", cast_to=MessageBatch, content=content)
        )
        _check(batch)
        return batch.id

    async def get(self, batch: str) -> ListedBatch:
        """See `BatchApi`."""
        return _anthropic(await self._endpoint.call(lambda anthropic: anthropic.messages.batches.retrieve(batch)))

    async def newest(self) -> AsyncIterator[ListedBatch]:
        """See `BatchApi`."""
        async for found in _all(self._endpoint, lambda anthropic: anthropic.messages.batches.list(limit=_PAGE)):
            yield _anthropic(found)

    async def results(self, batch: ListedBatch) -> bytes:
        """See `BatchApi`; as bytes, since the SDK's decoder of lines ends at a torn one."""
        import httpx2

        path = f"/v1/messages/batches/{batch.id}/results"
        found: httpx2.Response = await self._endpoint.call(
            lambda anthropic: anthropic.get(path, cast_to=httpx2.Response)
        )
        return found.content

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


async def _all(endpoint: Endpoint, first: Callable[[Any], Awaitable[Any]]) -> AsyncIterator[Any]:
    """What stands on all pages, from the first on."""
    page = await endpoint.call(first)
    while isinstance(getattr(page, "data", None), list):
        for found in page.data:
            yield found
        if not page.data or not page.has_next_page():
            return
        page = await endpoint.call(partial(_after, page))
    raise Unanswered(State.UNKNOWN, _NO_ANSWER)


def _after(page: Any, _: Any) -> Awaitable[Any]:
    following: Awaitable[Any] = page.get_next_page()
    return following


def _content(file: str, openai: Any) -> Awaitable[Any]:
    content: Awaitable[Any] = openai.files.content(file)
    return content


def _openai(found: "Batch") -> ListedBatch:
    _check(found)
    counts = found.request_counts
    return ListedBatch(
        id=found.id,
        requests=counts.total if counts else 0,
        ended=found.status in _ENDED,
        unnamed=bool(counts and counts.completed) and not found.output_file_id,
        turned_away=found.status == "failed",
        name=(found.metadata or {}).get("tenstep_shard", ""),
        files=tuple(file for file in (found.output_file_id, found.error_file_id) if file),
    )


def _anthropic(found: "MessageBatch") -> ListedBatch:
    _check(found)
    return ListedBatch(
        id=found.id,
        requests=sum(found.request_counts.model_dump().values()) if found.request_counts else 0,
        ended=found.processing_status == "ended" and bool(found.results_url),
    )


def _check(found: object) -> None:
    """See that something of the SDK's is what its type says, which the SDK itself does not."""
    if not isinstance(getattr(found, "id", None), str):
        raise Unanswered(State.UNKNOWN, _NO_ANSWER)
