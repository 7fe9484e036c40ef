"""Batches: requests that a provider answers within a day, at half the price, and a ledger that survives a kill.

    batches = Batches(run.path / "batches", batch_api(endpoint, path))
    await batches.submit(keys, body)               asked once; a key that is in a batch is not submitted again
    await batches.reconcile()                      after a kill: batches that were created and not noted are found
    async for some in batches.harvest():           (key, outcome), many at once: bytes for `Teacher.read`, or Unanswered

The ledger is a file of lines, each on disk before the next thing happens:

    intent   shard, keys      before anything is sent
    created  shard, batch id  the provider has it. A shard with an intent only may be there or not: `reconcile`
                              looks it up at the provider by its name (OpenAI: metadata) or by its contents
                              (Anthropic has no names), and notes `created` or, once it is sure, `absent`
    done     shard            every key of it has been handed out

`done` is noted when the harvest is asked to go on, so whoever takes outcomes puts them on disk before that. One that
was interrupted hands out the whole shard again, from the result files that were kept: a key may come twice.

It knows keys and bytes. It does not know studies, teachers or journals.
"""

import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from ...data.files import replacing_bytes
from ...schemas.errors import RunError, TeacherError
from ...schemas.run import State
from ..teacher import Unanswered
from .envelope import unseal

_GRACE = 120.0  # seconds from the first look on, after which a batch that is not listed was never created
_LATE = 3600.0  # seconds for which a batch that has ended may name no file of its answers
_CHUNK = 256  # outcomes that are handed out at once
_LOOKED_AT = 20_000  # batches of the provider's, newest first, among which one of ours is looked for

Outcome = bytes | Unanswered


@dataclass(frozen=True, slots=True)
class Shard:
    """Requests of one batch."""

    name: str  # sha256 of its custom ids
    keys: Mapping[str, str]  # by custom id
    at: float  # of the intent; seconds since the epoch


@dataclass(frozen=True, slots=True)
class Listed:
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

    async def get(self, batch: str) -> Listed:
        """One batch."""
        ...

    def newest(self) -> AsyncIterator[Listed]:
        """All batches, newest first."""
        ...

    async def results(self, batch: Listed) -> bytes:
        """All result lines, whatever files they lie in."""
        ...

    def read(self, line: bytes) -> tuple[str, Outcome]:
        """Custom id and outcome of one result line. Raises ValueError if it is none."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


@dataclass
class _Entry:
    shard: Shard
    batch: str | None = None
    state: Literal["intent", "created", "absent", "done"] = "intent"


@dataclass
class Progress:
    """Where the batches stand."""

    batches: int = 0
    ended: int = 0
    requests: int = 0
    lost: int = 0  # intents of which nobody knows yet whether they were created
    listed: dict[str, Listed] = field(default_factory=dict)


@dataclass
class Submitted:
    """What a submission came to."""

    sent: int = 0
    unsent: dict[str, Unanswered] = field(default_factory=dict)  # their bodies could not be made


class Batches:
    """See the module.

    Args:
        folder: the ledger's and the result files'; made if missing.
        api: of the provider.
        grace: seconds; see `_GRACE`.
    """

    def __init__(self, folder: Path, api: BatchApi, *, grace: float = _GRACE) -> None:
        self._folder = folder
        self._api = api
        self._grace = grace
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._entries = {entry.shard.name: entry for entry in _read(folder / "ledger.jsonl")}
        self._late = _LATE
        self._unnamed_since: dict[str, float] = {}  # monotonic
        self._first_look: dict[str, float] = {}  # monotonic; at an intent that was not confirmed

    @property
    def pending(self) -> frozenset[str]:
        """Keys that are, or may be, in a batch whose answers have not been handed out."""
        open_ = (entry for entry in self._entries.values() if entry.state in ("intent", "created"))
        return frozenset(key for entry in open_ for key in entry.shard.keys.values())

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
        names: dict[str, str] = {}
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
                result.sent += await self._create(names, lines)
                names, lines, size = {}, [], 0
            names[custom_id(key)] = key
            lines.append(line)
            size += len(line) + 1
        if lines:
            result.sent += await self._create(names, lines)
        return result

    async def _create(self, names: Mapping[str, str], lines: Sequence[bytes]) -> int:
        if len(names) < len(lines):
            raise RunError("two requests have the same key", file=self._folder)
        at = time.time()
        name = hashlib.sha256("\n".join([str(at), *names]).encode()).hexdigest()
        self._note({"state": "intent", "shard": name, "at": at, "keys": list(names.values())})
        entry = self._entries[name] = _Entry(Shard(name, dict(names), at))
        try:
            batch = await self._api.create(name, lines)
        except TeacherError:
            self._absent(entry)
            raise
        except Unanswered as no:
            if no.state is State.FAILED and (not no.sent or unseal(no.raw or b"").status < 500):
                self._absent(entry)
                raise
            # an error of the server says nothing about what it did before
            raise Unanswered(State.UNKNOWN, no.reason, no.raw) from None
        self._created(entry, batch)
        return len(lines)

    async def reconcile(self) -> None:
        """Find out about every batch whose creation was not confirmed. Raises as `Endpoint.post` does."""
        lost = [entry for entry in self._entries.values() if entry.state == "intent"]
        if not lost:
            return
        listed = await self._since_ours(lost)
        for entry in lost:
            found, maybe = await self._look_up(entry.shard, listed)
            looked = self._first_look.setdefault(entry.shard.name, time.monotonic())
            if found is not None:
                self._created(entry, found)
            elif not maybe and time.monotonic() - looked >= self._grace:
                self._absent(entry)

    async def _since_ours(self, lost: Sequence[_Entry]) -> list[Listed]:
        """Batches that are not known to be ours, back to one that we created before those that are looked for.

        No clock is asked: ours and the provider's may differ by hours.
        """
        entries = list(self._entries.values())
        before = {entry.batch for entry in entries[: entries.index(lost[0])] if entry.batch}
        ours = {entry.batch for entry in entries}
        names = {entry.shard.name for entry in lost}
        listed: list[Listed] = []
        async for batch in self._api.newest():
            if batch.id in before or len(listed) >= _LOOKED_AT:
                break
            if batch.id not in ours:
                listed.append(batch)
                names.discard(batch.name or "")
                if not names:
                    break
        return listed

    async def _look_up(self, shard: Shard, listed: Sequence[Listed]) -> tuple[str | None, bool]:
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

    async def poll(self) -> Progress:
        """Look at every batch once. Raises as `Endpoint.post` does."""
        progress = Progress()
        for entry in self._entries.values():
            if entry.state == "intent":
                progress.lost += 1
            if entry.state != "created":
                continue
            assert entry.batch is not None
            listed = await self._api.get(entry.batch)
            progress.listed[entry.shard.name] = listed
            progress.batches += 1
            progress.ended += listed.ended
            progress.requests += len(entry.shard.keys)
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
            entry = self._entries[name]
            file = self._folder / f"{name[:16]}.results.jsonl"
            if not file.is_file():
                _write(file, await self._api.results(listed))
            left = dict(entry.shard.keys)
            # of two lines with one name the first counts; a line with a strange name is not ours
            found = [(left.pop(name), out) for name, out in self._outcomes(file.read_bytes()) if name in left]
            found += [(key, _without_line(listed)) for key in left.values()]
            for at in range(0, len(found), _CHUNK):
                yield found[at : at + _CHUNK]
            self._note({"state": "done", "shard": name})
            entry.state = "done"

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

    def _created(self, entry: _Entry, batch: str) -> None:
        self._note({"state": "created", "shard": entry.shard.name, "batch": batch})
        entry.batch, entry.state = batch, "created"

    def _absent(self, entry: _Entry) -> None:
        self._note({"state": "absent", "shard": entry.shard.name})
        entry.state = "absent"

    def _note(self, line: Mapping[str, Any]) -> None:
        """Append to the ledger; on return it survives a power cut."""
        with (self._folder / "ledger.jsonl").open("ab") as ledger:
            # a line that a kill has torn is ended, so that this one stands alone
            ledger.write(b"\n" + json.dumps(line).encode() + b"\n")
            ledger.flush()
            os.fsync(ledger.fileno())


def _without_line(batch: Listed) -> Unanswered:
    if batch.turned_away:
        return Unanswered(State.FAILED, f"batch {batch.id} was turned away as a whole")
    reason = f"batch {batch.id} ended without a line for it; it may have been paid for"
    return Unanswered(State.UNKNOWN, reason)


def custom_id(key: str) -> str:
    """The name of a request in a batch: nothing of a study, 40 characters of the set that both providers take."""
    return key[:40]


def _read(ledger: Path) -> list[_Entry]:
    entries: dict[str, _Entry] = {}
    for line in ledger.read_bytes().split(b"\n") if ledger.is_file() else ():
        try:
            found = json.loads(line)
        except ValueError:
            continue  # empty, or torn by a kill: what it was to say had not happened
        name = found["shard"]
        if found["state"] == "intent":
            keys = {custom_id(key): key for key in found["keys"]}
            entries[name] = _Entry(Shard(name, keys, found["at"]))
        else:
            entries[name].state = found["state"]
            entries[name].batch = found.get("batch", entries[name].batch)
    return list(entries.values())


def _write(file: Path, content: bytes) -> None:
    with replacing_bytes(file) as stream:
        stream.write(content)
