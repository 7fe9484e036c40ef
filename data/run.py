"""The run folder: one recipe, one journal, and the tables that are written from it.

    recipe.yaml      resolved, re-runnable, no secrets
    manifest.json    written first; its "finished" field is the mark of an ended run
    journal.db       SQLite: every request, every answer, every verdict, every reading (journal.py)
    journal.mark     how many events the journal has held, to notice a journal that was cut (high_water.py)
    *.jsonl          accepted, doubted, and rejected or samples, written from the journal (tables.py)
    *.cache          what makes the next call shorter, and may be removed (table_lines.py, curation/kept_traces.py)
    run.lock         held by the one process that writes

Other commands write into it as well; none of these files is read by a later curate:

    handover/<teacher>/   a teacher of kind file: questions.jsonl, answers.jsonl
    audit.json .html      tenstep audit RUN
    review.html           tenstep review RUN
    judge/<name>/         tenstep judge: judgements.jsonl, and the judge's own journal
    probe/                tenstep probe: probe.json, and a run folder of its answers
    evaluation/           tenstep evaluate, of a student's run
    attribution/          tenstep attribute: attribution.jsonl, attribution.json

Teacher runs and student runs are the same kind of folder. One process writes (a file lock); others may read.
This file knows who may open a folder, whether a call continues what lies there, and the manifest. It knows neither how
candidates come about nor what a line of a table looks like.
"""

import stat
import time
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import yaml

from ..schemas import plugins
from ..schemas.base import Noun
from ..schemas.candidate import Candidate
from ..schemas.errors import PolicyError, RunError
from ..schemas.example import Example
from ..schemas.policy import PolicyDecision
from ..schemas.run import Event, Manifest, Settled, State
from ..schemas.verdict import Verdict
from ..schemas.version import __version__
from . import tables
from .files import hold, readable_by, replace_text
from .journal import Journal
from .judged import Judged, judged, judged_event, judged_events
from .remote import local, url_of
from .run_files import (
    CONTINUABLE,
    JOURNAL,
    MANIFEST,
    keep_private,
    open_journal,
    read_manifest,
    recipe_sha256,
    relative_store,
    unexpected_files,
    with_defaults,
    writing,
)
from .store.studies import StudyStore

if TYPE_CHECKING:
    from filelock import FileLock

Kind = Literal["curate", "sample"]


class RunFolder:
    """A run, opened for writing with `open` or for reading with `read`."""

    def __init__(self, path: Path, manifest: Manifest, journal: Journal, lock: "FileLock | None") -> None:
        self.path = path
        self.manifest = manifest
        self.journal = journal
        self._lock = lock
        self._studies: StudyStore | None = None
        self._since = time.monotonic()

    @classmethod
    def open(
        cls, path: Path, *, kind: Kind, recipe: Noun, studies: StudyStore, changeable: Collection[str] = ()
    ) -> Self:
        """Create a run folder, or continue one.

        Args:
            path: the folder.
            kind: curate or sample.
            recipe: resolved; a folder made with another recipe is refused, except for its CONTINUABLE keys.
            studies: what the run works on.
            changeable: further keys that may differ: those of whoever judges what is there again.

        Raises:
            RunLockedError: another process writes to it.
            NewerRunError: a later version wrote it.
            RunError: it holds another run, or is not a run folder.
        """
        if path.exists() and not path.is_dir():
            raise RunError("is a file, not a run folder; name another", file=path)
        private = studies.data_class == "restricted"
        with writing(path):
            return cls._open(path, kind, recipe, studies, {*CONTINUABLE, *changeable}, private=private)

    @classmethod
    def _open(
        cls, path: Path, kind: Kind, recipe: Noun, studies: StudyStore, changeable: Collection[str], *, private: bool
    ) -> Self:
        known = (path / MANIFEST).exists()
        if path.is_dir() and not known and (foreign := unexpected_files(path)):
            raise RunError(
                f"is not empty and not a run folder (it holds '{foreign[0]}'); choose another --out", file=path
            )
        path.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o777)
        if private:
            keep_private(path)
        lock = hold(path / "run.lock", "working on this run")
        try:
            resolved = recipe.model_dump(mode="json")
            manifest = cls._continued(path, kind, recipe, changeable) or Manifest(
                kind=kind,
                name=str(resolved.get("name", path.name)),
                recipe=resolved,
                recipe_sha256=recipe_sha256(resolved),
                studies=relative_store(studies, path),
                code_version=__version__,
                started=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            manifest = manifest.model_copy(
                update={
                    "recipe": resolved,
                    "recipe_sha256": recipe_sha256(resolved),
                    "studies": relative_store(studies, path),  # it may have moved since
                    "finished": None,
                    "settled": None,
                    "plugins": (*plugins.installed(), *map(plugins.file_plugin, resolved.get("rules") or ())),
                }
            )
            with readable_by(owner_only=private):
                journal = open_journal(path, manifest, known=known)
                replace_text(path / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
                replace_text(path / "recipe.yaml", yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))
        except BaseException:
            lock.release()
            raise
        run = cls(path, manifest, journal, lock)
        run._studies = studies
        return run

    @classmethod
    def read(cls, path: Path, *, studies: Path | None = None) -> Self:
        """Open a run for reading, finished or not, also while another process writes to it.

        Args:
            path: the folder.
            studies: its study store, if that is no longer where the manifest says.
        """
        path, store = local(path), None if studies is None else StudyStore.open(studies)
        run = cls(path, read_manifest(path), Journal(path / JOURNAL, writable=False), None)
        run._studies = store
        return run

    @classmethod
    def _continued(cls, path: Path, kind: Kind, recipe: Noun, changeable: Collection[str]) -> Manifest | None:
        if not (path / MANIFEST).exists():
            return None
        manifest = read_manifest(path)
        if manifest.kind != kind:
            raise RunError(f"holds a {manifest.kind} run, not a {kind} run; choose another --out", file=path)
        resolved, before = recipe.model_dump(mode="json"), with_defaults(manifest.recipe, type(recipe))
        if (named := before.get("studies")) and not Path(named).exists():
            changeable = {*changeable, "studies"}  # the store moved
        changed = [
            key for key in {**before, **resolved} if key not in changeable and before.get(key) != resolved.get(key)
        ]
        if changed:
            raise RunError(
                f"holds a run of another recipe ({', '.join(sorted(changed))} differ); choose another --out", file=path
            )
        return manifest

    def decide(self, policy: PolicyDecision, identities: Mapping[str, Mapping[str, Any]] = {}) -> None:
        """Write down, before anything is sent, where data goes and what may become of the answers.

        Args:
            policy: the decision.
            identities: who will be asked, by hash; they are added to those that were asked before.
        """
        known = self.manifest.identities | {name: dict(one) for name, one in identities.items()}
        self.manifest = self.manifest.model_copy(update={"policy": policy, "identities": known})
        self._write_manifest()

    def check_training(self) -> None:
        """Whoever exports this run for training, or trains on it, asks first.

        Raises:
            PolicyError: no attestation says that the terms of an endpoint which wrote it allow training.
        """
        policy = self.manifest.policy
        if policy is not None and not policy.training:
            raise PolicyError(f"may not be used for training: {policy.reason}", file=self.path)

    @property
    def studies(self) -> StudyStore:
        """The store that the run works on.

        Raises:
            RunError: it is not where the manifest says.
        """
        if self._studies is None:
            if url := url_of(self.manifest.studies):
                self._studies = StudyStore.open(url)
                return self._studies
            place = self.path / self.manifest.studies  # runs of earlier versions name the whole path
            if not place.exists():
                raise RunError(
                    f"its study store is not at {place.resolve()}; if it moved, say once where it is: tenstep recheck "
                    f"{self.path} --studies STORE",
                    file=self.path,
                )
            self._studies = StudyStore.open(place)
        return self._studies

    def judged(self, *, by_study: bool = False) -> Iterator[Judged]:
        """Every judged candidate with its last verdict, in the order they were first judged.

        With `by_study`: in the order of the study store, those of one study by attempt, whichever answer came first.
        """
        for event in judged_events(self.journal, index=self.studies.index if by_study else None):
            yield judged(event)

    def accepted(self) -> Iterator[Example]:
        """One accepted candidate of each study, as an example (tables.py)."""
        yield from tables.accepted(self.manifest, self.journal, self.studies)

    def record(self, candidate: Candidate, verdict: Verdict, *, raw: bytes) -> None:
        """Journal an answer and its verdict at once, durably: for authors that cannot be lost half-way."""
        received = Event(
            key=candidate.key, state=State.RECEIVED, study_id=candidate.study_id, at=candidate.started_at, raw=raw
        )
        self.journal.append(received, judged_event(candidate, verdict)).result()

    def write_tables(self) -> dict[str, int]:
        """Write the tables from the journal as it stands, and count (tables.py)."""
        with writing(self.path):
            return tables.write_tables(self.path, self.manifest, self.journal, self.studies)

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
        self._write_manifest()
        return self.manifest

    def note(self, settled: Settled) -> None:
        """Complete the manifest of a finished run: nothing is left to do."""
        self.manifest = self.manifest.model_copy(update={"settled": settled})
        self._write_manifest()

    def _write_manifest(self) -> None:
        with writing(self.path):
            private = not stat.S_IMODE((self.path / MANIFEST).stat().st_mode) & 0o077
            replace_text(self.path / MANIFEST, self.manifest.model_dump_json(indent=2) + "\n", private=private)

    def close(self) -> None:
        """Close the journal and let go of the lock."""
        self.journal.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def relocate(path: Path, studies: Path) -> None:
    """Write into a run's manifest that its study store lies elsewhere now.

    Raises:
        RunLockedError: another process works on the run.
        InputError: there is no store, or it lacks a study of the run.
    """
    store = StudyStore.open(studies)
    lock = hold(path / "run.lock", "working on this run")
    try:
        with RunFolder.read(path) as run:
            for event in islice(run.journal.latest(State.JUDGED), 1):
                store.get(event.study_id)
            run.manifest = run.manifest.model_copy(update={"studies": relative_store(store, path)})
            run._write_manifest()
    finally:
        lock.release()
