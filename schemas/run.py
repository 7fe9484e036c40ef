"""What a run folder says of itself: the states of a request, the events of the journal, the manifest."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from .base import Noun, Record, Sha256
from .plugins import Plugin
from .policy import PolicyDecision


class State(StrEnum):
    """Where a request stands. The last four are ends."""

    PLANNED = "planned"  # will be asked; only in runs of earlier versions, where the departure was an event of its own
    IN_FLIGHT = "in_flight"  # about to be sent, or sent: from here on it may have been paid for
    RECEIVED = "received"  # the answer is on disk, whole; nothing has looked at it
    JUDGED = "judged"  # parsed and judged; judged again by a recheck
    FAILED = "failed"  # the server said no, and took nothing for it
    REFUSED = "refused"  # the author declined: terminal, counted, never rephrased around
    UNKNOWN = "unknown"  # sent, but the answer was never read whole


class Event(Noun):
    """One line of the append-only journal."""

    key: Sha256
    state: State
    study_id: str
    at: float = Field(description="Seconds since the epoch, UTC.")
    body: dict[str, Any] = Field(default_factory=dict, description="The request's parts, the verdict, or the reason.")
    raw: bytes | None = Field(
        None, description="received: the answer's bytes as they came; judged: sketches of its texts."
    )


class Settled(Noun):
    """What the last call on a run found where it left nothing to do, and how to see that this is still so."""

    mark: Sha256 = Field(description="Of recipe, code, teachers and study store.")
    events: int = Field(description="In the journal.")
    tables: dict[str, tuple[int, int]] = Field(description="Bytes, and time of the last change in nanoseconds.")
    tally: dict[str, Any] = Field(description="As a call that asks nothing would count.")


class Manifest(Record):
    """Written first, completed last: a run without `finished` did not finish."""

    kind: Literal["curate", "sample", "distill"] = Field(description="Which command wrote the run.")
    name: str = Field(description="Of the recipe.")
    recipe: dict[str, Any] = Field(description="The resolved recipe.")
    recipe_sha256: Sha256 = Field(description="Of the resolved recipe.")
    studies: str = Field(description="Where the studies lie, seen from the run's folder.")
    code_version: str = Field(description="Version of tenstep.")
    started: str = Field(description="ISO 8601, UTC.")
    finished: str | None = Field(None, description="ISO 8601, UTC; none while the run is open or after a kill.")
    counts: dict[str, int] = Field(
        default_factory=dict, description="Studies, attempts, accepted, doubted, rejected, repaired."
    )
    spend_usd: float | None = Field(0.0, description="None when a price is unknown.")
    seconds: float = Field(0.0, description="Of all calls on this run together.")
    plugins: tuple[Plugin, ...] = Field((), description="What other packages, or the recipe's own files, brought.")
    settled: Settled | None = Field(None, description="curate: nothing is left to do while this holds.")
    policy: PolicyDecision | None = Field(None, description="curate: where data went, and what answers may be for.")
    identities: dict[Sha256, dict[str, Any]] = Field(
        default_factory=dict,
        description="Who was asked: provider, model, parameters; by the hash in the journal.",
    )
