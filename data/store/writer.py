"""Writing a study store; studies.py says what one holds.

A store is whole, or it is not one: its head is written last. What is written before survives a kill, part by part:
a part of the source is either in the index with all that it came to, or it is done again. The folder is made private
(0700, files 0600) and is opened to others only if every study is public.
"""

import os
import re
import stat
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from ...schemas.errors import InputError
from ...schemas.study import RejectedRow, Study
from ..files import hold, sync_folder
from ..source import Row
from . import parquet
from .batch import SIDE_FILES, Batch, Done, SourceTotals, count, taken
from .index import File, Index

if TYPE_CHECKING:
    from filelock import FileLock

HEAD = "store.json"
INDEX = "index.db"
IMAGES = "images"
PARTIAL = ".partial"
_ROWS = 1024  # studies of a file, where they come one by one
_LOCK = "writing" + PARTIAL
_FINGERPRINT = "ask"  # its key in the index; unfinished ingests of earlier versions have it
_OURS = re.compile(r"(store\.json|index\.db(-journal)?|images|writing|finished|(rejected|warnings|traces)\.jsonl"
                   r"|studies-\d+\.parquet)(\.partial)?(-journal|-[0-9a-f]{8})?")  # fmt: skip


class StoreWriter:
    """Writes a store; whole when the `with` block ends, gone or resumable when it ends with an error.

    Args:
        root: the folder.
        source: the kind of source.
        fingerprint: of all that decides the store's content, if a later call with the same is to go on where this one
            stopped.
        options: the source's, for the head.
    """

    def __init__(
        self, root: Path, source: str, *, fingerprint: str | None = None, options: dict[str, Any] | None = None
    ) -> None:
        self.root = root
        self._source, self._fingerprint, self._options = source, fingerprint, options or {}
        self._made = not root.exists()
        self._mode = 0o700  # of the folder before it became a store
        self._lock: FileLock | None = None
        self._index: Index
        self._batch: Batch
        self._tally = SourceTotals()
        self.parts: set[int] = set()  # that were done before

    @property
    def studies(self) -> int:
        """Studies kept so far."""
        return self._tally.studies + len(self._batch.studies)

    @property
    def rows(self) -> int:
        """Rows of the source that were read so far."""
        return self._tally.rows + len(self._batch.studies) + len(self._batch.rejected)

    @property
    def rejections(self) -> Counter[str]:
        """Rejected rows so far, by reason."""
        return self._tally.of("rejected") + Counter(row.reason for row in self._batch.rejected)

    def __enter__(self) -> Self:
        if self.root.is_file():
            raise InputError("this is a file; name a folder for the store", file=self.root)
        if not self._made:
            held = {entry.name for entry in self.root.iterdir()}
            if HEAD in held:
                raise InputError("already holds a finished store; name another folder, or remove it", file=self.root)
            if foreign := sorted(name for name in held if not _OURS.fullmatch(name)):
                raise InputError(f"not empty (it holds '{foreign[0]}'); name another folder", file=self.root)
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._mode = stat.S_IMODE(self.root.stat().st_mode)
            self.root.chmod(0o700)  # also a folder that was there, until its data turn out to be public
            self._lock = hold(self.root / _LOCK, "writing this store")
            self._open()
        except OSError as error:
            self._close()
            raise InputError(f"cannot write here ({error.strerror}); name another folder", file=self.root) from None
        except InputError:
            self._close()
            raise
        return self

    def _open(self) -> None:
        """Begin, or go on where a call with the same fingerprint stopped."""
        path = self.root / (INDEX + PARTIAL)
        if path.exists():
            before = Index(path, writable=True)
            known = before.meta(_FINGERPRINT)
            before.close()
            if self._fingerprint is None or known is None:
                self._remove()
            elif known != self._fingerprint:
                why = "holds an unfinished ingest of another source, or with other options; remove it or name another"
                raise InputError(f"{why} folder", file=self.root)
        else:
            self._remove()
        self._index = Index(path, writable=True)
        self._batch = Batch(self._index.patient)
        if self._fingerprint is not None:
            self._index.meta(_FINGERPRINT, self._fingerprint)
        for number, counts in self._index.parts():
            self.parts.add(number)
            self._tally.add(counts)

    def put(self, row: Row) -> bool:
        """Store whatever a source yields; False if it was a study that is refused, or belongs to one."""
        kept = self._batch.put(row)
        if isinstance(row, Study) and len(self._batch.studies) > _ROWS:
            # the last study's marks and warnings are still to come, so it opens the next batch
            last = self._batch.pop()
            self.flush()
            self._batch.put(last)
        return kept

    def add(self, study: Study) -> bool:
        """Store a study. One whose id is taken becomes a rejected row, and False is returned: the first one stays."""
        return self.put(study)

    def reject(self, row: RejectedRow) -> None:
        """Store a source row that did not become a study."""
        self.put(row)

    def flush(self) -> None:
        """Make a part of what was put since the last one."""
        number = max(self.parts, default=-1) + 1
        self._batch.write(self.file(number))
        done, self._batch = self._batch.done(number), Batch(self._index.patient)
        self.commit(done)

    def file(self, number: int) -> Path:
        """Where the studies of a part are written before it is committed."""
        return self.root / f"studies-{number:05}.parquet{PARTIAL}"

    def commit(self, done: Done) -> None:
        """Take a part in whose studies have been written to `file(number)`. Parts come in order."""
        try:
            with self._index:
                self._commit(done)
        except _TakenError:
            known = {id_: of for id_, _ in done.studies if (of := self._index.patient(id_)) is not None}
            source = self._source
            refused = {id_: taken(source, id_, patient, known[id_]) for id_, patient in done.studies if id_ in known}
            done = self._without(done, refused)
            with self._index:
                self._commit(done)

    def _commit(self, done: Done) -> None:
        first = self._tally.studies
        if not self._index.add_studies(done.studies, first):
            raise _TakenError
        counts = done.counts | {
            "rejected": done.reasons,
            "warnings": dict(Counter(code for part, _, code, _ in done.side_lines if part == "warnings")),
            "traces": {"": sum(part == "traces" for part, *_ in done.side_lines)},
            "classes": dict.fromkeys(done.classes, 1),
            "forms": {done.form: 1} if done.form else {},
        }
        counts["sums"] = {**counts["sums"], "rows": done.rows, "studies": len(done.studies)}
        partial = self.file(done.number)
        if done.studies:
            name = partial.name.removesuffix(PARTIAL)
            partial.rename(self.root / name)
            self._index.add_file(File(first, len(done.studies), name))
        else:
            partial.unlink(missing_ok=True)
        self._index.add_images(done.images)
        self._index.add_side_lines("rejected", done.rejected)
        for part in SIDE_FILES[1:]:
            self._index.add_side_lines(part, [line for kind, _, _, line in done.side_lines if kind == part])
        self._index.add_part(done.number, counts)
        self.parts.add(done.number)
        self._tally.add(counts)

    def _without(self, done: Done, refused: dict[str, RejectedRow]) -> Done:
        """A part without the studies whose ids are taken."""
        path = self.file(done.number)
        table = parquet.read(path)
        keep = [id_ not in refused for id_, _ in done.studies]
        table = table.filter(keep)
        parquet.write(table, path)
        reasons = Counter(done.reasons) + Counter(row.reason for row in refused.values())
        return done._replace(
            studies=tuple(pair for pair, kept in zip(done.studies, keep, strict=True) if kept),
            rejected=(*done.rejected, *(row.model_dump_json() for row in refused.values())),
            reasons=dict(reasons),
            side_lines=tuple(line for line in done.side_lines if line[1] not in refused),
            counts=count(parquet.decode(table), table.column("derived").to_pylist()),
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            whole = (self.root / HEAD).exists()
            if not whole and (self._fingerprint is None or not self.parts):
                self._remove()
                self.root.chmod(self._mode)
            self._close()
            if not whole and self._made and not any(self.root.iterdir()):
                self.root.rmdir()

    def _finish(self) -> None:
        if self._batch.studies or self._batch.rejected:
            self.flush()
        parquet.merge_small(self.root, self._index)
        for part in SIDE_FILES:
            with _private(self.root / f"{part}.jsonl") as file:
                file.writelines(f"{line}\n".encode() for line in self._index.side_lines(part))
                os.fsync(file.fileno())
        named = {file.name for file in self._index.files()}
        for path in self.root.glob("studies-*.parquet*"):
            if path.name not in named:
                path.unlink()
        finished = self.root / f"finished{PARTIAL}"
        self._index.finish(finished)
        self._index.close()
        head = self._tally.head(self.root, self._source, self._options)
        temporary = self.root / (HEAD + PARTIAL)
        with _private(temporary) as file:
            file.write(head.model_dump_json(indent=2).encode() + b"\n")
            os.fsync(file.fileno())
        finished.rename(self.root / INDEX)
        if head.data_class == "public":
            self._publish(temporary)
        temporary.rename(self.root / HEAD)
        (self.root / (INDEX + PARTIAL)).unlink()
        (self.root / _LOCK).unlink()
        sync_folder(self.root)

    def _publish(self, head: Path) -> None:
        """Give public data the permissions that the user's umask gives any new file."""
        umask = os.umask(0o077)
        os.umask(umask)
        for path in (head, *self.root.glob("*.parquet"), *self.root.glob("*.jsonl"), self.root / INDEX):
            path.chmod(0o666 & ~umask)
        images = self.root / IMAGES
        if images.is_dir():
            images.chmod(0o777 & ~umask)
            for path in images.iterdir():
                path.chmod(0o666 & ~umask)
        self.root.chmod(0o777 & ~umask if self._made else self._mode)

    def _remove(self) -> None:
        """Take away all that was written but images, which are the dearest part and are named by what they hold."""
        if hasattr(self, "_index"):
            self._index.close()
        for path in self.root.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in (IMAGES, _LOCK):
                path.unlink()

    def _close(self) -> None:
        if hasattr(self, "_index"):
            self._index.close()
        if self._lock is not None:
            if not any((self.root / name).exists() for name in (INDEX + PARTIAL, HEAD)):
                (self.root / _LOCK).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None


class _TakenError(Exception):
    """A part has a study whose id an earlier part's study has."""


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb")
