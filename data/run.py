"""The run folder: one recipe, one journal, and the tables that are written from it.

    recipe.yaml      resolved, re-runnable, no secrets
    manifest.json    written first; its "finished" field is the mark of an ended run
    journal.db       every attempt, every answer, every verdict (see journal.py)
    accepted.jsonl   Example, one a line            \\
    rejected.jsonl   study, candidate, verdict       > written from the journal, whole or any prefix of it
    samples.jsonl    the same, for a student's run  /

Teacher runs and student runs are the same kind of folder. One process writes (a file lock); others may read.
This file knows the folder. It does not know how candidates come about.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TextIO

import yaml
from pydantic import ValidationError
from pydantic_core import to_json

from .. import __version__
from ..schemas.base import SCHEMA_VERSION, Noun
from ..schemas.candidate import Candidate
from ..schemas.errors import NewerRunError, PolicyError, RunError, RunLockedError
from ..schemas.example import Example, Provenance
from ..schemas.policy import PolicyDecision
from ..schemas.run import Event, Manifest, State
from ..schemas.study import Study
from ..schemas.trace import STEPS
from ..schemas.verdict import Verdict
from .choice import Rank, rank
from .journal import Journal
from .nearby import Nearby
from .store import StudyStore

Kind = Literal["curate", "sample"]

# What may differ between two calls on one folder; anything else would make it another run.
CONTINUABLE = frozenset(
    {"goal", "limit", "concurrency", "resend_unknown", "budget", "prices", "policy", "rate", "retries"}
)


class Judged(NamedTuple):
    """A candidate and what the rules found in it."""

    candidate: Candidate
    verdict: Verdict


class RunFolder:
    """A run, opened for writing with `open` or for reading with `read`."""

    def __init__(self, path: Path, manifest: Manifest, journal: Journal, lock: TextIO | None) -> None:
        self.path = path
        self.manifest = manifest
        self.journal = journal
        self._lock = lock
        self._studies: StudyStore | None = None
        self._since = time.monotonic()

    @classmethod
    def open(cls, path: Path, *, kind: Kind, recipe: Noun, studies: StudyStore) -> Self:
        """Create a run folder, or continue one.

        Args:
            path: the folder.
            kind: curate or sample.
            recipe: resolved; a folder made with another recipe is refused, except for its CONTINUABLE keys.
            studies: what the run works on.

        Raises:
            RunLockedError: another process writes to it.
            NewerRunError: a later version wrote it.
            RunError: it holds another run, or is not a run folder.
        """
        if path.exists() and not path.is_dir():
            raise RunError("is a file, not a run folder", file=path)
        if path.is_dir() and not (path / "manifest.json").exists() and _strangers(path):
            raise RunError("is not empty and not a run folder; choose another --out", file=path)
        private = studies.data_class == "restricted"
        path.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o777)
        lock = _lock(path)
        try:
            resolved = recipe.model_dump(mode="json")
            manifest = cls._continued(path, kind, resolved) or Manifest(
                kind=kind,
                name=str(resolved.get("name", path.name)),
                recipe=resolved,
                recipe_sha256=_sha256(resolved),
                studies=str(studies.root.resolve()),
                code_version=__version__,
                started=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            manifest = manifest.model_copy(
                update={"recipe": resolved, "recipe_sha256": _sha256(resolved), "finished": None}
            )
            with _umask(0o077 if private else None):
                _write(path / "manifest.json", manifest.model_dump_json(indent=2) + "\n")
                _write(path / "recipe.yaml", yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))
                journal = Journal(path / "journal.db", writable=True)
        except BaseException:
            lock.close()
            raise
        run = cls(path, manifest, journal, lock)
        run._studies = studies
        return run

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open a run for reading, finished or not, also while another process writes to it."""
        manifest = _manifest(path)
        return cls(path, manifest, Journal(path / "journal.db", writable=False), None)

    @classmethod
    def _continued(cls, path: Path, kind: Kind, resolved: Mapping[str, Any]) -> Manifest | None:
        if not (path / "manifest.json").exists():
            return None
        manifest = _manifest(path)
        if manifest.kind != kind:
            raise RunError(f"holds a {manifest.kind} run, not a {kind} run; choose another --out", file=path)
        changed = [
            key
            for key in {**manifest.recipe, **resolved}
            if key not in CONTINUABLE and manifest.recipe.get(key) != resolved.get(key)
        ]
        if changed:
            raise RunError(
                f"holds a run of another recipe ({', '.join(sorted(changed))} differ); choose another --out", file=path
            )
        return manifest

    def decide(self, policy: PolicyDecision) -> None:
        """Write down, before anything is sent, where data goes and what may become of the answers."""
        self.manifest = self.manifest.model_copy(update={"policy": policy})
        _write(self.path / "manifest.json", self.manifest.model_dump_json(indent=2) + "\n")

    def check_training(self) -> None:
        """Whoever exports this run for training, or trains on it, asks first.

        Raises:
            PolicyError: nobody attests that the terms of an endpoint which wrote it allow training.
        """
        policy = self.manifest.policy
        if policy is not None and not policy.training:
            raise PolicyError(f"may not be used for training: {policy.reason}", file=self.path)

    @property
    def studies(self) -> StudyStore:
        """The store that the run works on."""
        if self._studies is None:
            self._studies = StudyStore.open(Path(self.manifest.studies))
        return self._studies

    def judged(self) -> Iterator[Judged]:
        """Every judged candidate with its last verdict, in the order they were first judged."""
        for event in self.journal.latest(State.JUDGED):
            yield judged(event)

    def accepted(self) -> Iterator[Example]:
        """One accepted candidate of each study, as an example: the first, or the best of several (choice.py)."""
        done: set[str] = set()
        chosen = self._chosen()
        for candidate, verdict in self.judged():
            if verdict.accepted and candidate.study_id not in done and (not chosen or candidate.key in chosen):
                done.add(candidate.study_id)
                yield self._example(self.studies.get(candidate.study_id), candidate, verdict)

    def _chosen(self) -> set[str]:
        """The keys that were chosen, where several answers to a study may have been accepted; else empty."""
        several = self.manifest.recipe.get("several", {})
        if several.get("strategy", "split") == "split" and several.get("samples", 1) == 1:
            return set()
        names = [spec.get("name") or spec.get("kind") for spec in self.manifest.recipe.get("teachers", ())]
        best: dict[str, Rank] = {}
        for candidate, verdict in self.judged():
            if verdict.accepted:
                here = rank(candidate, verdict, names)
                best[candidate.study_id] = min(here, best.get(candidate.study_id, here))
        return {found[-1] for found in best.values()}

    def _example(self, study: Study, candidate: Candidate, verdict: Verdict) -> Example:
        assert candidate.trace is not None  # a candidate without a trace has an error, so it was not accepted
        layout = self.manifest.recipe.get("layout", "plain")
        provenance = Provenance(
            **candidate.model_dump(include=set(Provenance.model_fields) - {"warnings"}),
            warnings=tuple(f.code for f in verdict.findings),
        )
        return Example(study=study, trace=candidate.trace, layout=layout, provenance=provenance)

    def _line(self, study: Study, event: Event) -> str:
        """What `_example(...).model_dump_json()` writes, at a third of the price."""
        candidate, verdict = event.body["candidate"], event.body["verdict"]
        if [step["number"] for step in candidate["trace"]["steps"]] != list(range(1, STEPS + 1)):
            return self._example(study, *judged(event)).model_dump_json()  # says what is wrong
        provenance = {name: candidate.get(name) for name in Provenance.model_fields}
        provenance["warnings"] = [finding["code"] for finding in verdict["findings"]]
        example = {
            "schema_version": SCHEMA_VERSION,
            "study": study,
            "trace": candidate["trace"],
            "layout": self.manifest.recipe.get("layout", "plain"),
            "provenance": provenance,
        }
        return to_json(example).decode()

    def record(self, candidate: Candidate, verdict: Verdict, *, raw: bytes) -> None:
        """Journal an answer and its verdict at once, durably: for authors that cannot be lost half-way."""
        received = Event(
            key=candidate.key, state=State.RECEIVED, study_id=candidate.study_id, at=candidate.started_at, raw=raw
        )
        self.journal.append(received, judged_event(candidate, verdict)).result()

    def write_tables(self) -> dict[str, int]:
        """Write the tables from the journal as it stands, and count.

        Returns:
            attempts, accepted, rejected (studies none of whose candidates was accepted), repaired (studies
            accepted at a later attempt), and one count per state that is not judged.
        """
        rows = "samples" if self.manifest.kind == "sample" else "rejected"
        accepted: set[str] = set()
        tried: set[str] = set()
        chosen = self._chosen()
        attempts = repaired = 0
        studies = Nearby(self.studies)
        with (
            _umask(0o077 if self.studies.data_class == "restricted" else None),
            _replacing(self.path / "accepted.jsonl") as good,
            _replacing(self.path / f"{rows}.jsonl") as bad,
        ):
            # what was written by these nouns is copied, not checked and made again
            for event in self.journal.latest(State.JUDGED):
                candidate, verdict, study_id = event.body["candidate"], event.body["verdict"], event.study_id
                attempts += 1
                tried.add(study_id)
                good_one = all(finding["severity"] != "error" for finding in verdict["findings"])
                if good_one and study_id not in accepted and (not chosen or event.key in chosen):
                    accepted.add(study_id)
                    repaired += candidate["attempt"] > 1
                    good.write(self._line(studies.get(study_id), event) + "\n")
                if rows == "samples" or not good_one:
                    row = {"schema_version": SCHEMA_VERSION, "study_id": study_id}
                    row |= {"candidate": candidate, "verdict": verdict}
                    bad.write(json.dumps(row) + "\n")
        counts = {
            "attempts": attempts,
            "accepted": len(accepted),
            "rejected": len(tried - accepted),
            "repaired": repaired,
        }
        for state in self.journal.states().values():
            if state is not State.JUDGED:
                counts[state] = counts.get(state, 0) + 1
        return counts

    def finish(self, *, spend_usd: float | None = 0.0, **more: int) -> Manifest:
        """Write the tables and complete the manifest, last."""
        self.manifest = self.manifest.model_copy(
            update={
                "counts": self.write_tables() | more,
                "spend_usd": spend_usd,
                "seconds": round(self.manifest.seconds + time.monotonic() - self._since, 3),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )
        _write(self.path / "manifest.json", self.manifest.model_dump_json(indent=2) + "\n")
        return self.manifest

    def close(self) -> None:
        """Close the journal and let go of the lock."""
        self.journal.close()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def judged(event: Event) -> Judged:
    """Read a judged event."""
    return Judged(
        Candidate.model_validate(event.body["candidate"], strict=False), Verdict.model_validate(event.body["verdict"])
    )


def judged_event(candidate: Candidate, verdict: Verdict) -> Event:
    """Write a judged event."""
    body = {"candidate": candidate.model_dump(mode="json"), "verdict": verdict.model_dump(mode="json")}
    return Event(key=candidate.key, state=State.JUDGED, study_id=candidate.study_id, at=time.time(), body=body)


def _manifest(path: Path) -> Manifest:
    file = path / "manifest.json"
    try:
        found = json.loads(file.read_text("utf-8"))
        if found.get("schema_version", 0) > SCHEMA_VERSION:
            raise NewerRunError(f"written by a newer tenstep ({found.get('code_version')}); update tenstep", file=file)
        return Manifest.model_validate(found)
    except FileNotFoundError:
        raise RunError("there is no manifest.json here; is this a run folder?", file=path) from None
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        raise RunError(f"the manifest cannot be read ({error})", file=file) from None


def _strangers(path: Path) -> bool:
    return any(child.name != "run.lock" for child in path.iterdir())


def _lock(path: Path) -> TextIO:
    lock = (path / "run.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise RunLockedError("another process is working on this run; wait for it or stop it", file=path) from None
    return lock


def _sha256(resolved: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def _umask(mask: int | None) -> Iterator[None]:
    old = os.umask(mask) if mask is not None else None
    try:
        yield
    finally:
        if old is not None:
            os.umask(old)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A file that appears under its name only when it is whole."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="\n") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def _write(path: Path, text: str) -> None:
    with _replacing(path) as stream:
        stream.write(text)
