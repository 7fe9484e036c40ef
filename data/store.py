"""The study store: a folder of studies, whatever they came from. Who reads it never sees its format.

    store.json       what it holds, written last: a folder without it is not a store
    studies.jsonl    one Study a line, in the source's order
    index.jsonl      [id, offset in studies.jsonl] a line
    rejected.jsonl   source rows that did not become studies, with reasons
    warnings.jsonl   oddities of studies that were kept
    traces.jsonl     reasoning that came with the source, as audit input
    images/          images that had to be converted, named by the SHA-256 of what they came from

It is written by a StoreWriter (writer.py): whole, or not at all.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Self, TypeVar

from pydantic import ValidationError

from ..schemas.base import SCHEMA_VERSION, Record
from ..schemas.errors import InputError
from ..schemas.study import DataClass, ImageRef, RejectedRow, Study
from .source import SourceTrace, SourceWarning
from .writer import HEAD, PARTIAL, StoreHead, StoreWriter

R = TypeVar("R", bound=Record)


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
        head = root / HEAD
        if not root.exists():
            raise InputError("there is no such folder; make a study store with: tenstep ingest", file=root)
        if not root.is_dir():
            raise InputError("this is a file, not a study store; make one with: tenstep ingest", file=root)
        if not any(root.iterdir()):
            raise InputError("the folder is empty; fill it with: tenstep ingest", file=root)
        if not head.is_file():
            unfinished = any(root.glob(f"*{PARTIAL}"))
            why = "its ingest did not finish; run it again" if unfinished else "make a store with: tenstep ingest"
            raise InputError(f"not a study store (no {HEAD}): {why}", file=root)
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
    def create(cls, path: str | Path, source: str) -> StoreWriter:
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
