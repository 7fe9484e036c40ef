"""Files and folders that appear under their name only when they are whole, who may read them, and locks.

A reader never sees half a file, and what bore the name before stays until the new one is on disk. While it is written
it lies in the same folder, under the name with `.part`; what a kill left there is overwritten by the next writer. Of
two writers of one file, the second waits for the first, and its file stays. A link stays one, and what is no file, a
pipe or a device, is written as it is.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from ..schemas.errors import RunError, RunLockedError

if TYPE_CHECKING:
    from filelock import FileLock

PART = ".part"
_TAKEN = "is there already; choose another --out"
_NO_LOCKS = "locks do nothing on this file system, so two processes could do the same work; choose a local disk"


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[TextIO]:
    """A text file (UTF-8, `\\n`) that takes its name when the block ends, and is gone when it ends with an error.

    Args:
        path: its name.
        private: only the owner may read it; otherwise the umask decides.
    """
    with (
        _whole(path, private=private) as stream,
        os.fdopen(os.dup(stream), "w", encoding="utf-8", newline="\n") as text,
    ):
        yield text


@contextlib.contextmanager
def replacing_bytes(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """The same for bytes."""
    with _whole(path, private=private) as stream, os.fdopen(os.dup(stream), "wb") as data:
        yield data


def replace_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a whole text."""
    with replacing(path, private=private) as stream:
        stream.write(text)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that takes its name when the block ends, in the place of one that bore it."""
    part = path.with_name(path.name + PART)
    shutil.rmtree(part, ignore_errors=True)
    try:
        yield part
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


@contextlib.contextmanager
def readable_by(*, owner_only: bool) -> Iterator[None]:
    """Files and folders made meanwhile by this process are its owner's only, or have their usual permissions."""
    if not owner_only:
        yield
        return
    old = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(old)


def hold(file: Path, what: str) -> "FileLock":
    """Lock a file until `release` is called on what is returned, or this process ends.

    Args:
        file: the lock's file; it is made, and stays.
        what: what another process does that holds it, for its message: `training here`.

    Raises:
        RunLockedError: another process holds it.
        RunError: it cannot be made, or the file system takes locks and keeps none, so that two processes could do
            (and pay for) the same work.
    """
    import filelock

    def lock() -> "FileLock":
        return filelock.FileLock(file, timeout=0, thread_local=False, is_singleton=False, fallback_to_soft=False)

    held = lock()
    try:
        held.acquire()
    except filelock.Timeout:
        raise RunLockedError(f"another process is {what}; wait for it or stop it", file=file.parent) from None
    except NotImplementedError:
        raise RunError(_NO_LOCKS, file=file.parent) from None
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise RunError(_NO_LOCKS, file=file.parent) from None
        raise RunError(f"cannot write here ({error.strerror}); choose another folder", file=file.parent) from None
    second = lock()
    with contextlib.suppress(filelock.Timeout):
        second.acquire()
        second.release()
        held.release()
        raise RunError(_NO_LOCKS, file=file.parent)
    return held


@contextlib.contextmanager
def _whole(path: Path, *, private: bool) -> Iterator[int]:
    if path.exists() and not path.is_file() and not path.is_dir():  # a pipe or a device, /dev/stdout or /dev/null
        with path.open("wb", buffering=0) as special:
            yield special.fileno()
        return
    path = path.resolve()
    part = path.with_name(path.name + PART)
    while (stream := _new(part, 0o600 if private else 0o666)) is None:
        pass
    try:
        yield stream
        os.fsync(stream)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(stream)
    sync_folder(path.parent)


def _new(part: Path, mode: int) -> int | None:
    """A new file that no other writer has; none where another one had it, or a kill left it: both are gone by now."""
    try:
        stream, ours = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), True
    except FileExistsError:
        try:
            stream, ours = os.open(part, os.O_WRONLY), False
        except FileNotFoundError:
            return None
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(stream, fcntl.LOCK_EX)
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(stream), part.stat()):
            if ours:
                return stream
            part.unlink()  # it could be open to others
    os.close(stream)
    return None


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """Make a folder to fill; what the block has written there is removed when it ends with an error.

    Raises:
        RunError: the folder is there already, and holds something.
    """
    must_be_new(path)
    made = not path.exists()
    if made:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir()
        except FileExistsError:  # another process has made it meanwhile, and will fill it
            raise RunError(_TAKEN, file=path) from None
    try:
        with cleared_after_error(path):
            yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


@contextlib.contextmanager
def cleared_after_error(path: Path) -> Iterator[None]:
    """A folder that is empty when the block ends with an error, and may be filled anew."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for written in path.iterdir():
                shutil.rmtree(written) if written.is_dir() else written.unlink()
        raise


def in_use(folder: Path) -> bool:
    """Whether something lies there: a file, or a folder that is not empty."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def must_be_new(folder: Path, what: str = _TAKEN) -> None:
    """Refuse a folder that holds something.

    Raises:
        RunError: it does, or is none.
    """
    if in_use(folder):
        raise RunError(what, file=folder)


def sync_folder(path: Path) -> None:
    """Put a folder's list of names on disk: a rename survives a power cut only then."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
