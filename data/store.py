"""The study store: a folder of studies, whatever they came from. Who reads it never sees its format.

    store.json       what it holds, written last: a folder without it is not a store
    studies.jsonl    one Study a line, in the source's order
    index.jsonl      [id, offset in studies.jsonl] a line
    rejected.jsonl   source rows that did not become studies, with reasons
    warnings.jsonl   oddities of studies that were kept
    traces.jsonl     reasoning that came with the source, as audit input
    images/          images that had to be converted, named by the SHA-256 of what they came from

A writer works under temporary names and renames at the end, so a store is whole or it is not one. The
folder is made private (0700) and is opened to others only if every study is public.
"""

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

from pydantic import Field, ValidationError

from ..schemas.base import SCHEMA_VERSION, Record
from ..schemas.errors import InputError, RunLockedError
from ..schemas.study import DataClass, ImageRef, RejectedRow, ReportForm, Study
from .source import Row, SourceTrace, SourceWarning

R = TypeVar("R", bound=Record)

_HEAD = "store.json"
_PARTS = ("studies", "index", "rejected", "warnings", "traces")
_PARTIAL = ".partial"
_OURS = {_HEAD, _HEAD + _PARTIAL, "images", *(f"{part}.jsonl{end}" for part in _PARTS for end in ("", _PARTIAL))}


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


class StudyStore:
    """Studies on disk, read lazily: memory does not grow with their number."""

    def __init__(self, root: Path, head: StoreHead) -> None:
        self.root = root
        self.head = head
        self._offsets: dict[str, int] | None = None

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a finished store.

        Raises:
            InputError: nothing lies at `path`, or something that is not a store, or one of a later version.
        """
        root = Path(path)
        head = root / _HEAD
        if not root.exists():
            raise InputError("there is no such folder; make a study store with: tenstep ingest", file=root)
        if not root.is_dir():
            raise InputError("this is a file, not a study store; make one with: tenstep ingest", file=root)
        if not any(root.iterdir()):
            raise InputError("the folder is empty; fill it with: tenstep ingest", file=root)
        if not head.is_file():
            unfinished = any(root.glob(f"*{_PARTIAL}"))
            why = "its ingest did not finish; run it again" if unfinished else "make a store with: tenstep ingest"
            raise InputError(f"not a study store (no {_HEAD}): {why}", file=root)
        try:
            fields = json.loads(head.read_bytes())
            version = fields.get("schema_version")
        except (ValueError, AttributeError):
            raise InputError("damaged: it is not a JSON object; ingest again", file=head) from None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise InputError(f"written by a newer tenstep (version {version}, this reads {SCHEMA_VERSION})", file=head)
        try:
            return cls(root, StoreHead.model_validate(fields))
        except ValidationError as error:
            raise _unreadable(error, head, None) from None

    @classmethod
    def create(cls, path: str | Path, source: str) -> "StoreWriter":
        """A writer for a new store; use it in a `with` block.

        Raises:
            InputError: a store, or anything that is not ours, already lies at `path`.
            RunLockedError: another process writes there.
        """
        return StoreWriter(Path(path), source)

    @property
    def data_class(self) -> DataClass:
        """restricted if a single study is."""
        return self.head.data_class

    def __len__(self) -> int:
        return self.head.studies

    def __iter__(self) -> Iterator[Study]:
        return _read(self.root / "studies.jsonl", Study)

    def rejected(self) -> Iterator[RejectedRow]:
        """The source rows that did not become studies."""
        return _read(self.root / "rejected.jsonl", RejectedRow)

    def warnings(self) -> Iterator[SourceWarning]:
        """What was odd about studies that were kept."""
        return _read(self.root / "warnings.jsonl", SourceWarning)

    def traces(self) -> Iterator[SourceTrace]:
        """The reasoning that came with the source."""
        return _read(self.root / "traces.jsonl", SourceTrace)

    def get(self, study_id: str) -> Study:
        """One study.

        Raises:
            InputError: the store does not hold it.
        """
        if self._offsets is None:
            with (self.root / "index.jsonl").open("rb") as lines:
                self._offsets = dict(json.loads(line) for line in lines)
        offset = self._offsets.get(study_id)
        if offset is None:
            raise InputError(f"no study '{study_id}' in this store", file=self.root)
        with (self.root / "studies.jsonl").open("rb") as studies:
            studies.seek(offset)
            return Study.model_validate_json(studies.readline())

    def path_of(self, ref: ImageRef) -> Path:
        """Where an image lies; a relative path is under the store.

        Raises:
            InputError: a relative path leads out of the store.
        """
        path = Path(ref.path)
        if path.is_absolute():
            return path
        if not (self.root / path).resolve().is_relative_to(self.root.resolve()):
            raise InputError(f"the image path '{ref.path}' leads out of the store", file=self.root)
        return self.root / path


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
            if _HEAD in held:
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
        temporary = self.root / (_HEAD + _PARTIAL)
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
        temporary.rename(self.root / _HEAD)
        _sync_folder(self.root)
        self._close()

    def _publish(self, head: Path) -> None:
        """Give public data the permissions that the user's umask gives any new file."""
        umask = os.umask(0o077)
        os.umask(umask)
        for file in (head, *(self.root / f"{part}.jsonl" for part in _PARTS)):
            file.chmod(0o666 & ~umask)
        if self._made:
            self.root.chmod(0o777 & ~umask)

    def _abandon(self) -> None:
        for part in _PARTS:
            self._partial(part).unlink(missing_ok=True)
        self._close()
        if self._made and not any(self.root.iterdir()):
            self.root.rmdir()

    def _partial(self, part: str) -> Path:
        return self.root / f"{part}.jsonl{_PARTIAL}"

    def _write(self, part: str, record: Record) -> None:
        self._files[part].write(record.model_dump_json().encode() + b"\n")

    def _close(self) -> None:
        for file in self._files.values():
            file.close()


def _read(path: Path, kind: type[R]) -> Iterator[R]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield kind.model_validate_json(line)
            except ValidationError as error:
                raise _unreadable(error, path, number) from None


def _unreadable(error: ValidationError, path: Path, row: int | None) -> InputError:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or None
    return InputError(f"damaged: {first['msg']}; ingest again", file=path, row=row, field=field)


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb")


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
