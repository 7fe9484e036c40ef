"""Opens a file that may be gzipped, whatever its name says, and stops where one unpacks without end."""

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from ...schemas.errors import InputError, cannot_be_read

MAX_UNPACKED = 4 * 2**30  # bytes of a .gz; a bomb is refused here
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
_BUFFER = 2**18
_GZIP = b"\x1f\x8b"


class CutOffError(InputError):
    """A compressed file that is damaged or ends too early: what came before it has been read."""


def open_file(path: Path) -> io.BufferedIOBase:
    """The file's bytes, unpacked.

    Raises:
        InputError: it cannot be opened, or (while it is read) unpacks without end.
        CutOffError: while it is read, it is damaged or ends too early.
    """
    try:
        file = path.open("rb", buffering=_BUFFER)
        zipped = file.read(2) == _GZIP
        file.seek(0)
    except OSError as error:
        raise InputError(cannot_be_read(error), file=path) from None
    return io.BufferedReader(_Unpacked(path, file), _BUFFER) if zipped else cast(io.BufferedIOBase, file)


def suffix_of(path: Path) -> str:
    """`.jsonl` of `train.jsonl.gz`, in lower case."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


class _Unpacked(io.RawIOBase):
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file, self._left = path, file, MAX_UNPACKED
        self._packed = gzip.GzipFile(fileobj=file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # RawIOBase says any buffer
        try:
            data = self._packed.read1(len(buffer))  # what is there: a cut file gives what comes before the cut
        except _DAMAGED as error:
            raise CutOffError(f"the compressed file is damaged or cut off: {error}", file=self._path) from None
        self._left -= len(data)
        if self._left < 0:
            raise InputError(
                f"unpacks to more than {MAX_UNPACKED:,} bytes, which is refused; unpack and split it", file=self._path
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._packed.close()
            self._file.close()
        super().close()
