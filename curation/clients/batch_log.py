"""The log of a run's batches: a file of lines, each on disk before the next thing happens.

    intent   shard, keys      before anything is sent
    created  shard, batch id  the provider has it
    absent   shard            it is sure that the provider never had it: its keys are free again
    done     shard            every key of it has been handed out

A shard is the requests of one batch. One with an intent only may be at the provider or not (batch.py finds out).
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...schemas.errors import RunError


@dataclass
class LoggedBatch:
    """The requests of one batch, and what is known of it."""

    name: str  # sha256 of its custom ids and the time
    keys: Mapping[str, str]  # by custom id
    at: float  # of the intent; seconds since the epoch
    batch: str | None = None  # the provider's id
    state: Literal["intent", "created", "absent", "done"] = "intent"


def custom_id(key: str) -> str:
    """The name of a request in a batch: nothing of a study, 40 characters of the set that both providers take."""
    return key[:40]


class BatchLog:
    """See the module.

    Args:
        folder: the log's; made if missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = folder / "ledger.jsonl"
        self.shards = {shard.name: shard for shard in _read(self._file)}

    def in_state(self, *states: str) -> list[LoggedBatch]:
        """The shards in one of these states, oldest first."""
        return [shard for shard in self.shards.values() if shard.state in states]

    def intend(self, keys: Sequence[str]) -> LoggedBatch:
        """Note that a batch of these keys is about to be created."""
        if len(names := {custom_id(key): key for key in keys}) < len(keys):
            raise RunError("two requests have the same key", file=self._file)
        at = time.time()
        name = hashlib.sha256("\n".join([str(at), *names]).encode()).hexdigest()
        self._note({"state": "intent", "shard": name, "at": at, "keys": list(keys)})
        shard = self.shards[name] = LoggedBatch(name, names, at)
        return shard

    def created(self, shard: LoggedBatch, batch: str) -> None:
        """Note that the provider has it, and its name there."""
        self._note({"state": "created", "shard": shard.name, "batch": batch})
        shard.batch, shard.state = batch, "created"

    def absent(self, shard: LoggedBatch) -> None:
        """Note that the provider never had it."""
        self._note({"state": "absent", "shard": shard.name})
        shard.state = "absent"

    def done(self, shard: LoggedBatch) -> None:
        """Note that every key of it has been handed out."""
        self._note({"state": "done", "shard": shard.name})
        shard.state = "done"

    def _note(self, line: Mapping[str, Any]) -> None:
        """Append a line; on return it survives a power cut."""
        with self._file.open("ab") as file:
            # a line that a kill has torn is ended, so that this one stands alone
            file.write(b"\n" + json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _read(file: Path) -> list[LoggedBatch]:
    shards: dict[str, LoggedBatch] = {}
    for line in file.read_bytes().split(b"\n") if file.is_file() else ():
        try:
            found = json.loads(line)
        except ValueError:
            continue  # empty, or torn by a kill: what it was to note had not happened
        name = found["shard"]
        if found["state"] == "intent":
            shards[name] = LoggedBatch(name, {custom_id(key): key for key in found["keys"]}, found["at"])
        else:
            shards[name].state = found["state"]
            shards[name].batch = found.get("batch", shards[name].batch)
    return list(shards.values())
