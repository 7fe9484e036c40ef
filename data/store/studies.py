"""The study store: a folder of studies, whatever they came from. Who reads it never sees its format.

    store.json           what it holds, written last: a folder without it is not a store
    studies-*.parquet    the studies in the source's order, one row each, for any tool (store/parquet.py)
    index.db             SQLite: which study is where, and whose it is
    rejected.jsonl       source rows that did not become studies, with reasons
    warnings.jsonl       oddities of studies that were kept
    traces.jsonl         reasoning that came with the source, as audit input
    images/              images that had to be converted, named by the SHA-256 of what they came from

It is written by a StoreWriter (store/writer.py): whole, or not at all.
"""

import json
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import ValidationError

from ...schemas.base import SCHEMA_VERSION, Record
from ...schemas.errors import InputError, first_fault
from ...schemas.study import DataClass, ImageRef, RejectedRow, Study
from ..remote import fetch_into, local, origin_of
from ..source import SourceTrace, SourceWarning
from . import parquet
from .batch import StoreHead, ups
from .index import Index
from .writer import HEAD, INDEX, PARTIAL, StoreWriter

if TYPE_CHECKING:
    import pyarrow as pa

R = TypeVar("R", bound=Record)
_GROUPS = 8  # row groups that are kept for `get`, some hundred kilobytes each


class StudyStore:
    """Studies on disk, read lazily: memory does not grow with their number."""

    def __init__(self, root: Path, head: StoreHead) -> None:
        self.root = root
        self.head = head
        self._index = Index(root / INDEX, writable=False)
        self._files = self._index.files()
        self._origin = origin_of(root)
        self._groups: OrderedDict[tuple[str, int], pa.Table] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a finished store, here or at a remote place (data/remote.py).

        Raises:
            InputError: nothing lies at `path`, or something that is not a store, or one of a later version.
        """
        root = local(path)
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
            raise InputError(
                f"written by a newer tenstep (version {version}, this reads {SCHEMA_VERSION}); update tenstep",
                file=head,
            )
        if not (root / INDEX).is_file():
            raise InputError(f"written by an older tenstep, or damaged (no {INDEX}); ingest again", file=root)
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
    def place(self) -> str:
        """Where it lies: a folder, or the URL that it was fetched from."""
        return self._origin or str(self.root.resolve())

    @property
    def index(self) -> Path:
        """The file that says where each study lies (index.py)."""
        return self.root / INDEX

    @property
    def state(self) -> list[tuple[str, int, int]]:
        """Its files by name, size and time of the last change: others once it was made anew."""
        files = [path for path in sorted(self.root.iterdir()) if path.suffix in (".parquet", ".json")]
        return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]

    @property
    def data_class(self) -> DataClass:
        """restricted if a single study is."""
        return self.head.data_class

    def __len__(self) -> int:
        return self.head.studies

    def __iter__(self) -> Iterator[Study]:
        return (study for _, study in self.placed())

    def placed(self, but: bytes | None = None) -> Iterator[tuple[int, Study]]:
        """The studies with their places, in order.

        Args:
            but: a byte for each place of the store; studies are left out where it is not 0, and not read.
        """
        for file in self._files:
            left = None if but is None else but[file.first : file.first + file.rows]
            groups = [
                at for at in range(0, file.rows, parquet.GROUP) if left is None or 0 in left[at : at + parquet.GROUP]
            ]
            batches = parquet.batches(self.root / file.name, [at // parquet.GROUP for at in groups])
            for start, batch in zip(groups, batches, strict=True):
                rows = [row for row in range(batch.num_rows) if left is None or not left[start + row]]
                at = 0
                try:
                    for at, study in enumerate(parquet.decode(parquet.pick(batch, rows)), 1):
                        yield file.first + start + rows[at - 1], study
                except ValidationError as error:
                    raise _unreadable(error, self.root / file.name, start + rows[at] + 1) from None

    def rejected(self) -> Iterator[RejectedRow]:
        """The source rows that did not become studies."""
        return _read(self.root / "rejected.jsonl", RejectedRow)

    def warnings(self) -> Iterator[SourceWarning]:
        """What was odd about studies that were kept."""
        return _read(self.root / "warnings.jsonl", SourceWarning)

    def traces(self) -> Iterator[SourceTrace]:
        """The reasoning that came with the source."""
        return _read(self.root / "traces.jsonl", SourceTrace)

    def with_full_paths(self, study: Study) -> Study:
        """A study of this store whose images are named by absolute paths, so that another store can hold it."""
        images = tuple(image.model_copy(update={"path": str(self.path_of(image).resolve())}) for image in study.images)
        return study.model_copy(update={"images": images})

    def get(self, study_id: str) -> Study:
        """One study.

        Raises:
            InputError: the store does not hold it, or it is damaged.
        """
        row = self._row(study_id)
        try:
            (study,) = parquet.decode(row)
        except ValidationError as error:
            raise _unreadable(error, self.root, self._index.place(study_id)) from None
        return study

    def derived(self, study_id: str) -> tuple[str, ...]:
        """What of one study is not the source's own (Marks in source.py), e.g. `technique`, `view=text`.

        Raises:
            InputError: the store does not hold it.
        """
        return tuple(self._row(study_id).column("derived")[0].as_py())

    def _row(self, study_id: str) -> "pa.Table":
        place = self._index.place(study_id)
        if place is None:
            raise InputError(f"no study '{study_id}' in this store; name the store that holds it", file=self.root)
        file = self._files[bisect_right(self._files, place, key=lambda one: one.first) - 1]
        group, row = divmod(place - file.first, parquet.GROUP)
        with self._lock:
            return self._group(file.name, group).slice(row, 1)

    def place_of(self, study_id: str) -> int | None:
        """A study's number in the store, from 0; none if the store does not hold it."""
        return self._index.place(study_id)

    def patients(self) -> Iterator[tuple[str, str]]:
        """Every study's id with its patient, in order, without reading the studies."""
        return self._index.patients()

    def _group(self, name: str, group: int) -> "pa.Table":
        table = self._groups.get((name, group))
        if table is None:
            table = parquet.read_group(self.root / name, group)
            self._groups[name, group] = table
            if len(self._groups) > _GROUPS:
                self._groups.popitem(last=False)
        else:
            self._groups.move_to_end((name, group))
        return table

    def path_of(self, ref: ImageRef) -> Path:
        """Where an image lies.

        A path that leads out of the store is under a folder above it that the head names. If the store was moved and
        the images were not, they are looked for where that folder was at ingest.

        Raises:
            InputError: a relative path leads out of the store, and the head names no such folder.
        """
        path = Path(ref.path)
        if path.is_absolute():
            return path
        if above := ups(ref.path):
            inside = Path(*path.parts[above.count("/") + 1 :])
            was = self.head.image_roots.get(above)
            if was is None or ".." in inside.parts:
                raise InputError(f"the image path '{ref.path}' leads out of the store; ingest again", file=self.root)
            place, before = self.root.resolve() / above / inside, Path(was) / inside
            return before if not place.exists() and before.exists() else place
        if not (self.root / path).resolve().is_relative_to(self.root.resolve()):
            raise InputError(f"the image path '{ref.path}' leads out of the store; ingest again", file=self.root)
        if self._origin is not None and not (self.root / path).exists():
            fetch_into(self.root, self._origin, path.as_posix())
        return self.root / path

    def is_unchanged(self, ref: ImageRef) -> bool:
        """Whether an image's file has the size and the time of change that it had when it was hashed.

        Then it need not be read again to know that it is the file that was ingested. False also where nothing was
        noted (a store of an earlier version, files that were copied since): compare the hash then.
        """
        known = self._index.image(ref.path)
        if known is None:
            return False
        try:
            found = self.path_of(ref).stat()
        except OSError:
            return False
        return known == (found.st_size, found.st_mtime_ns)


def _read(path: Path, kind: type[R]) -> Iterator[R]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield kind.model_validate_json(line)
            except ValidationError as error:
                raise _unreadable(error, path, number) from None


def _unreadable(error: ValidationError, path: Path, row: int | None) -> InputError:
    message, field = first_fault(error)
    return InputError(f"damaged: {message}; ingest again", file=path, row=row, field=field)
