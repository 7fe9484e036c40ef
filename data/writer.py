"""Writing a study store; its format is told in store.py.

A writer works under temporary names and renames at the end, so a store is whole or it is not one. The
folder is made private (0700) and is opened to others only if every study is public.
"""

import fcntl
import json
import os
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pydantic import Field

from ..schemas.base import Record
from ..schemas.errors import InputError, RunLockedError
from ..schemas.study import DataClass, RejectedRow, ReportForm, Study
from .source import Marks, Row, RowsRead, SourceWarning

HEAD = "store.json"
IMAGES = "images"
PARTIAL = ".partial"
_PARTS = ("studies", "index", "rejected", "warnings", "traces")
_OURS = {HEAD, HEAD + PARTIAL, IMAGES, *(f"{part}.jsonl{end}" for part in _PARTS for end in ("", PARTIAL))}


class StoreHead(Record):
    """What a store says of itself (store.json)."""

    source: str = Field(description="The kind of source it was ingested from.")
    data_class: DataClass = Field(description="restricted if a single study is.")
    report_form: ReportForm | None = Field(description="How the references were made; none without studies.")
    studies: int
    rejected: dict[str, int] = Field(description="Rejected rows by reason.")
    warnings: dict[str, int] = Field(description="Warnings by code.")
    traces: int = Field(description="Traces that came with the source, in traces.jsonl.")
    finished: bool


class StoreWriter:
    """Writes a store; whole when the `with` block ends, gone when it ends with an error."""

    def __init__(self, root: Path, source: str) -> None:
        self.root = root
        self._source = source
        self._ids: set[str] = set()
        self._counts = {part: Counter[str]() for part in _PARTS}
        self._class: set[DataClass] = set()
        self._form: ReportForm | None = None
        self._files: dict[str, BinaryIO] = {}
        self._made = not root.exists()

    @property
    def studies(self) -> int:
        """Studies kept so far."""
        return len(self._ids)

    @property
    def rejections(self) -> Counter[str]:
        """Rejected rows so far, by reason."""
        return self._counts["rejected"]

    def __enter__(self) -> Self:
        if self.root.is_file():
            raise InputError("this is a file; name a folder for the store", file=self.root)
        if not self._made:
            held = {entry.name for entry in self.root.iterdir()}
            if HEAD in held:
                raise InputError("already holds a finished store; name another folder, or remove it", file=self.root)
            if foreign := sorted(held - _OURS):
                raise InputError(f"not empty (it holds '{foreign[0]}'); name another folder", file=self.root)
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in _PARTS:
                self._files[part] = _private(self._partial(part))
                if part == _PARTS[0]:
                    fcntl.flock(self._files[part], fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._files[part].truncate(0)  # left by a process that was killed
        except BlockingIOError:
            self._close()
            raise RunLockedError("another process is writing this store", file=self.root) from None
        except OSError as error:
            self._close()
            raise InputError(f"cannot write here ({error.strerror}); name another folder", file=self.root) from None
        return self

    def put(self, row: Row) -> bool:
        """Store whatever a source yields; False if it was a study that is refused, or belongs to one."""
        if isinstance(row, Study):
            return self.add(row)
        if isinstance(row, RejectedRow):
            self.reject(row)
            return True
        if isinstance(row, Marks | RowsRead):
            return True
        part, owner, code = (
            ("warnings", row.study_id, row.code) if isinstance(row, SourceWarning) else ("traces", row.id, "")
        )
        if owner not in self._ids:
            return False
        self._write(part, row)
        self._counts[part][code] += 1
        return True

    def add(self, study: Study) -> bool:
        """Store a study. One whose id is taken becomes a rejected row, and False is returned: the first one stays."""
        if study.id in self._ids:
            detail = f"the id '{study.id}' is taken by an earlier row; ids must be unique"
            self.reject(RejectedRow(source=study.source, row=study.id, reason="duplicate_id", detail=detail))
            return False
        offset = self._files["studies"].tell()
        self._write("studies", study)
        self._files["index"].write(json.dumps([study.id, offset], ensure_ascii=False).encode() + b"\n")
        self._ids.add(study.id)
        self._class.add(study.data_class)
        self._form = study.report_form
        return True

    def reject(self, row: RejectedRow) -> None:
        """Store a source row that did not become a study."""
        self._write("rejected", row)
        self._counts["rejected"][row.reason] += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        else:
            self._abandon()

    def _finish(self) -> None:
        head = StoreHead(
            source=self._source,
            data_class="public" if self._class == {"public"} else "restricted",
            report_form=self._form,
            studies=len(self._ids),
            rejected=dict(self._counts["rejected"].most_common()),
            warnings=dict(self._counts["warnings"].most_common()),
            traces=self._counts["traces"].total(),
            finished=True,
        )
        temporary = self.root / (HEAD + PARTIAL)
        temporary.unlink(missing_ok=True)
        with _private(temporary) as file:
            file.write(head.model_dump_json(indent=2).encode() + b"\n")
            for open_file in (*self._files.values(), file):
                open_file.flush()
                os.fsync(open_file.fileno())
        for part in _PARTS:
            self._partial(part).rename(self.root / f"{part}.jsonl")
        if head.data_class == "public":
            self._publish(temporary)
        temporary.rename(self.root / HEAD)
        _sync_folder(self.root)
        self._close()

    def _publish(self, head: Path) -> None:
        """Give public data the permissions that the user's umask gives any new file."""
        umask = os.umask(0o077)
        os.umask(umask)
        for file in (head, *(self.root / f"{part}.jsonl" for part in _PARTS)):
            file.chmod(0o666 & ~umask)
        for folder in (self.root / IMAGES, *([self.root] if self._made else [])):
            if folder.is_dir():
                folder.chmod(0o777 & ~umask)

    def _abandon(self) -> None:
        for part in _PARTS:
            self._partial(part).unlink(missing_ok=True)
        self._close()
        if self._made and not any(self.root.iterdir()):
            self.root.rmdir()

    def _partial(self, part: str) -> Path:
        return self.root / f"{part}.jsonl{PARTIAL}"

    def _write(self, part: str, record: Record) -> None:
        self._files[part].write(record.model_dump_json().encode() + b"\n")

    def _close(self) -> None:
        for file in self._files.values():
            file.close()


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb")


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
