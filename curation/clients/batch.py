"""Batches: requests that a provider answers within a day, at half the price; open batches survive a kill.

    batches = Batches(run.path / "batches", batch_api(endpoint, path))
    await batches.submit(keys, body)               asked once; a key that is in a batch is not submitted again
    await batches.reconcile()                      after a kill: batches that were created and not noted are found
    async for some in batches.harvest():           (key, outcome), many at once: bytes for `Teacher.read`, or Unanswered

Every step is in a log (batch_log.py) before the next. A batch of which only the intent is noted is looked up at the
provider by its name (OpenAI: metadata) or by its contents (Anthropic has no names). A shard is noted as done when the
harvest is asked to go on, so whoever takes outcomes puts them on disk before that. A harvest that was interrupted hands
out the whole shard again, from the result files that were kept: a key may come twice.

It knows keys and bytes. It does not know studies, teachers or journals.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...data.files import replacing_bytes
from ...schemas.errors import TeacherError
from ...schemas.run import State
from ..teacher import Unanswered
from .batch_apis import BatchApi, ListedBatch, Outcome
from .batch_log import BatchLog, LoggedBatch, custom_id
from .envelope import unseal

_GRACE = 120.0  # seconds from the first look on, after which a batch that is not listed was never created
_LATE = 3600.0  # seconds for which a batch that has ended may name no file of its answers
_CHUNK = 256  # outcomes that are handed out at once
_LISTED = 20_000  # batches of the provider's, newest first, among which one of ours is searched


@dataclass
class BatchProgress:
    """Where the batches stand."""

    batches: int = 0
    ended: int = 0
    requests: int = 0
    lost: int = 0  # intents of which it is not known yet whether they were created
    listed: dict[str, ListedBatch] = field(default_factory=dict)


@dataclass
class Submitted:
    """What a submission came to."""

    sent: int = 0
    unsent: dict[str, Unanswered] = field(default_factory=dict)  # their bodies could not be made


class Batches:
    """See the module.

    Args:
        folder: of the log and of result files; made if missing.
        api: of the provider.
        grace: seconds; see `_GRACE`.
    """

    def __init__(self, folder: Path, api: BatchApi, *, grace: float = _GRACE) -> None:
        self._folder = folder
        self._api = api
        self._grace = grace
        self._log = BatchLog(folder)
        self._late = _LATE
        self._unnamed_since: dict[str, float] = {}  # monotonic
        self._first_look: dict[str, float] = {}  # monotonic; at an intent that was not confirmed

    @property
    def pending(self) -> frozenset[str]:
        """Keys that are, or may be, in a batch whose answers have not been handed out."""
        return frozenset(key for shard in self._log.in_state("intent", "created") for key in shard.keys.values())

    async def submit(self, keys: Iterable[str], body: Callable[[str], Awaitable[Mapping[str, Any]]]) -> Submitted:
        """Create batches for all keys that are not pending.

        Args:
            keys: request keys (sha256), each once.
            body: makes a key's request body, one shard's at a time; may raise Unanswered.

        Raises:
            Unanswered: failed: this shard was turned away and its keys are free. Unknown: reconcile will tell.
            TeacherError: nothing can be had from the provider.
        """
        pending, result = self.pending, Submitted()
        chosen: list[str] = []
        lines: list[bytes] = []
        size = 0
        for key in keys:
            if key in pending:
                continue
            try:
                line = self._api.line(custom_id(key), await body(key))
            except Unanswered as no:
                result.unsent[key] = no
                continue
            if lines and (len(lines) == self._api.most_requests or size + len(line) + 1 > self._api.most_bytes):
                result.sent += await self._create(chosen, lines)
                chosen, lines, size = [], [], 0
            chosen.append(key)
            lines.append(line)
            size += len(line) + 1
        if lines:
            result.sent += await self._create(chosen, lines)
        return result

    async def _create(self, keys: Sequence[str], lines: Sequence[bytes]) -> int:
        shard = self._log.intend(keys)
        try:
            batch = await self._api.create(shard.name, lines)
        except TeacherError:
            self._log.absent(shard)
            raise
        except Unanswered as no:
            if no.state is State.FAILED and (not no.sent or unseal(no.raw or b"").status < 500):
                self._log.absent(shard)
                raise
            # an error of the server says nothing about what it did before
            raise Unanswered(State.UNKNOWN, no.reason, no.raw) from None
        self._log.created(shard, batch)
        return len(lines)

    async def reconcile(self) -> None:
        """Find out about every batch whose creation was not confirmed. Raises as `Endpoint.post` does."""
        lost = self._log.in_state("intent")
        if not lost:
            return
        listed = await self._since_ours(lost)
        for shard in lost:
            found, maybe = await self._look_up(shard, listed)
            looked = self._first_look.setdefault(shard.name, time.monotonic())
            if found is not None:
                self._log.created(shard, found)
            elif not maybe and time.monotonic() - looked >= self._grace:
                self._log.absent(shard)

    async def _since_ours(self, lost: Sequence[LoggedBatch]) -> list[ListedBatch]:
        """Batches that are not known to be ours, back to one that was created before those that are searched.

        No clock is used: ours and the provider's may differ by hours.
        """
        shards = list(self._log.shards.values())
        before = {shard.batch for shard in shards[: shards.index(lost[0])] if shard.batch}
        ours = {shard.batch for shard in shards}
        names = {shard.name for shard in lost}
        listed: list[ListedBatch] = []
        async for batch in self._api.newest():
            if batch.id in before or len(listed) >= _LISTED:
                break
            if batch.id not in ours:
                listed.append(batch)
                names.discard(batch.name or "")
                if not names:
                    break
        return listed

    async def _look_up(self, shard: LoggedBatch, listed: Sequence[ListedBatch]) -> tuple[str | None, bool]:
        """The batch of a shard; and if there is none, whether one that runs may be it."""
        maybe = False
        for batch in listed:
            if batch.name is not None:
                if batch.name == shard.name:
                    return batch.id, True
            elif batch.requests == len(shard.keys):
                if not batch.ended:
                    maybe = True
                    continue
                ids = {name for name, _ in self._outcomes(await self._api.results(batch))}
                if ids & set(shard.keys):
                    return batch.id, True
        return None, maybe

    async def poll(self) -> BatchProgress:
        """Look at every batch once. Raises as `Endpoint.post` does."""
        progress = BatchProgress(lost=len(self._log.in_state("intent")))
        for shard in self._log.in_state("created"):
            assert shard.batch is not None
            listed = await self._api.get(shard.batch)
            progress.listed[shard.name] = listed
            progress.batches += 1
            progress.ended += listed.ended
            progress.requests += len(shard.keys)
        return progress

    async def harvest(self) -> AsyncIterator[list[tuple[str, Outcome]]]:
        """The outcome of every key of every batch that has ended, expired or been cancelled; each shard once.

        Yields:
            Some keys and their answers; Unanswered where there is none: failed (expired, cancelled, turned away),
            or unknown, for a request that the provider took and gave no line for.
        """
        for name, listed in (await self.poll()).listed.items():
            if not listed.ended:
                continue
            if listed.unnamed:  # what it counts has been paid for, so it is waited for
                ended = self._unnamed_since.setdefault(name, time.monotonic())
                if time.monotonic() - ended < self._late:
                    continue
            shard = self._log.shards[name]
            file = self._folder / f"{name[:16]}.results.jsonl"
            if not file.is_file():
                content = await self._api.results(listed)
                with replacing_bytes(file) as stream:
                    stream.write(content)
            left = dict(shard.keys)
            # of two lines with one name the first counts; a line with a strange name is not ours
            found = [(left.pop(name), out) for name, out in self._outcomes(file.read_bytes()) if name in left]
            found += [(key, _without_line(listed)) for key in left.values()]
            for at in range(0, len(found), _CHUNK):
                yield found[at : at + _CHUNK]
            self._log.done(shard)

    async def close(self) -> None:
        """Close connections."""
        await self._api.close()

    def _outcomes(self, content: bytes) -> list[tuple[str, Outcome]]:
        found = []
        for line in content.split(b"\n"):
            try:
                found.append(self._api.read(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue  # torn, or no line of ours; the key that it may have had is reported as unknown
        return found


def _without_line(batch: ListedBatch) -> Unanswered:
    if batch.turned_away:
        return Unanswered(State.FAILED, f"batch {batch.id} was turned away as a whole")
    reason = f"batch {batch.id} ended without a line for it; it may have been paid for"
    return Unanswered(State.UNKNOWN, reason)
