"""The entries of a zip archive, one at a time, and each of them read on its own: no list of all is ever held.

`zipfile` keeps an object for every entry, which for the 227,835 reports of MIMIC-CXR is more memory than all the
rest of an ingest. Format: PKWARE APPNOTE 6.3.10, with zip64. Names that lead elsewhere, links, encrypted entries and
whatever unpacks to more than it may are refused; nothing is written to disk.
"""

import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from ...schemas.errors import InputError, cannot_be_read
from .reports import Refusal

_END, _END64, _PLACE64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_STORED, _DEFLATED = 0, 8
_FULL = 0xFFFFFFFF


class ZipEntry(NamedTuple):
    """One file of an archive: where it lies, and what it says of itself; or why it is not read."""

    name: str
    offset: int
    packed: int
    size: int
    method: int
    crc: int
    refusal: Refusal | None = None


def zip_entries(path: Path, *, max_size: int) -> Iterator[ZipEntry]:
    """The files of a zip archive, in the order of its directory; folders are passed over.

    Raises:
        InputError: it is no zip archive, or its directory is damaged or cut off.
    """
    try:
        with path.open("rb") as file:
            count, start = _directory(file, path)
            file.seek(start)
            for number in range(count):
                entry = _entry(file, path, number, max_size)
                if not entry.name.endswith("/"):
                    yield entry
    except OSError as error:
        raise InputError(cannot_be_read(error), file=path) from None


def read_entry(file: BinaryIO, entry: ZipEntry) -> bytes | Refusal:
    """The bytes of one entry of an open archive."""
    if entry.refusal is not None:
        return entry.refusal
    file.seek(entry.offset)
    head = file.read(30)
    if len(head) < 30 or not head.startswith(_LOCAL):
        return Refusal("bad_zip", "the archive is damaged here; fetch it again")
    name, extra = struct.unpack_from("<HH", head, 26)
    file.seek(name + extra, 1)
    packed = file.read(entry.packed)
    try:
        if entry.method == _DEFLATED:
            inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            data = inflater.decompress(packed, entry.size + 1)
        else:
            data = packed
    except zlib.error as error:
        return Refusal("bad_zip", f"the archive is damaged here ({error}); fetch it again")
    if len(data) != entry.size or zlib.crc32(data) != entry.crc:
        return Refusal("bad_zip", "its size or checksum is not what the archive's directory says; fetch it again")
    return data


def _directory(file: BinaryIO, path: Path) -> tuple[int, int]:
    """Number of entries, and where their list begins."""
    size = file.seek(0, 2)
    tail_at = max(0, size - 66_000)
    file.seek(tail_at)
    tail = file.read()
    at = tail.rfind(_END)
    while at >= 0 and tail[at + 20 : at + 22] != struct.pack("<H", len(tail) - at - 22 & 0xFFFF):
        at = tail.rfind(_END, 0, at)  # the archive's comment holds the same four bytes
    if at < 0:
        raise InputError("not a zip archive, or cut off: its directory is missing; fetch it again", file=path)
    count, length, start = struct.unpack_from("<HII", tail, at + 10)
    if (count == 0xFFFF or start == _FULL or length == _FULL) and tail[at - 20 : at - 16] == _PLACE64:
        (end64,) = struct.unpack_from("<Q", tail, at - 20 + 8)
        file.seek(end64)
        record = file.read(56)
        if not record.startswith(_END64) or len(record) < 56:
            raise InputError("damaged: its directory cannot be found; fetch it again", file=path)
        count, length, start = struct.unpack_from("<QQQ", record, 32)
    if start + length > size or count * 46 > length:
        raise InputError("damaged: its directory cannot be right; fetch it again", file=path)
    return count, start


def _entry(file: BinaryIO, path: Path, number: int, max_size: int) -> ZipEntry:
    head = file.read(46)
    if len(head) < 46 or not head.startswith(_ENTRY):
        raise InputError(f"damaged: its directory breaks off after {number} entries; fetch it again", file=path)
    made_by, flags, method = head[5], *struct.unpack_from("<HH", head, 8)
    crc, packed, size, name_length, extra_length, comment = struct.unpack_from("<IIIHHH", head, 16)
    attributes, offset = struct.unpack_from("<II", head, 38)
    name = file.read(name_length).decode("utf-8" if flags & 0x800 else "cp437", "replace")
    extra = file.read(extra_length)
    file.seek(comment, 1)
    size, packed, offset = _large(extra, size, packed, offset)
    mode = attributes >> 16
    is_link = made_by == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR)
    refusal = None
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\\" in name or "\0" in name or name[1:2] == ":":
        refusal = Refusal("outside_folder", "its name leads out of the archive")
    elif is_link:
        refusal = Refusal("outside_folder", "a link or a device, not a file")
    elif flags & 1:
        refusal = Refusal("encrypted", "the entry is encrypted")
    elif method not in (_STORED, _DEFLATED):
        refusal = Refusal("bad_zip", f"compression method {method}; only stored and deflated are read")
    elif size > max_size or packed > max_size:
        refusal = Refusal("large_file", f"{max(size, packed):,} bytes; at most {max_size:,} are read")
    return ZipEntry(name, offset, packed, size, method, crc, refusal)


def _large(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """The zip64 values that stand in for full 32-bit fields, in this order."""
    values = [size, packed, offset]
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            numbers = iter(struct.unpack_from(f"<{length // 8}Q", extra[: at + 4 + length], at + 4))
            values = [next(numbers, value) if value == _FULL else value for value in values]
        at += 4 + length
    return values[0], values[1], values[2]
