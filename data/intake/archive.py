"""Report archives read in place: nothing is unpacked, and nothing in them can lead elsewhere or fill the memory."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from ...schemas.errors import InputError, cannot_be_read
from .reports import Refusal

MAX_UNPACKED = 4 * 2**30  # bytes; a bomb is refused here, long before the disk or the day is full
_CHUNK = 2**20


class Member(NamedTuple):
    """One file of an archive: its name, and its bytes or why they are not read."""

    name: str
    content: bytes | Refusal


def tar_members(path: Path, *, max_member: int, max_unpacked: int = MAX_UNPACKED) -> Iterator[Member]:
    """The files of a .tar or .tar.gz in their order; folders are passed over.

    Raises:
        InputError: it is no tar archive, it is damaged or cut off, or it unpacks to more than `max_unpacked` bytes.
    """
    count = 0
    try:
        with path.open("rb") as file, _opened(file) as plain:
            counted = _Counted(plain, max_unpacked, path)
            with tarfile.open(fileobj=cast(BinaryIO, counted), mode="r|") as archive:
                for entry in archive:
                    count += 1
                    if not entry.isdir():
                        yield Member(entry.name, _content(archive, entry, max_member))
            while counted.read(_CHUNK):  # to the end: tarfile does not notice an archive that is cut off
                pass
            if not counted.ended_in_zeros:
                raise tarfile.ReadError("its end is missing")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        place = f"damaged or cut off after {count} entries" if count else "not a tar archive"
        raise InputError(f"{place} ({error}); fetch it again", file=path) from None
    except OSError as error:
        raise InputError(cannot_be_read(error), file=path) from None


def _opened(file: BinaryIO) -> BinaryIO:
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if zipped else file


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo, limit: int) -> bytes | Refusal:
    name = PurePosixPath(entry.name)
    if name.is_absolute() or ".." in name.parts or "\\" in entry.name:
        return Refusal("outside_folder", "its name leads out of the archive")
    if not entry.isfile():
        return Refusal("outside_folder", "a link or a device, not a file")
    if entry.size > limit:
        return Refusal("large_file", f"{entry.size:,} bytes; at most {limit:,} are read")
    stream = archive.extractfile(entry)
    assert stream is not None  # it is a plain file
    return stream.read()


class _Counted:
    """A stream that refuses to go on past a number of bytes, and knows whether its end was a tar's end."""

    def __init__(self, stream: BinaryIO, limit: int, path: Path) -> None:
        self._stream, self._left, self._path = stream, limit, path
        self._tail = b""

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, _CHUNK))
        self._left -= len(data)
        if self._left < 0:
            raise InputError(
                "unpacks to far more than a report archive holds, which is refused; fetch it again", file=self._path
            )
        self._tail = (self._tail + data)[-1024:]
        return data

    @property
    def ended_in_zeros(self) -> bool:
        """A tar archive ends in two blocks of zeros."""
        return not self._tail.strip(b"\0")
