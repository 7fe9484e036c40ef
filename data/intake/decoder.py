"""Compressed DICOM pixels, decoded in a process of their own, which is ended when the time is up.

The time limit of deadline.py acts between two instructions of Python and on the main thread; a decoder of JPEG or JPEG
2000 pixels is one call of a compiled library, which damaged bytes could keep busy for ever. The process starts with the
first such film (about a second), serves those that follow, and ends with the process that started it.
"""

import atexit
import io
import os
import pickle
import select
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..child import COMMAND, HEAD, framed, length_of
from .deadline import MAX_SECONDS, TooSlowError

_ARRAY = b"\x93NUMPY"  # opens an array as numpy writes it


class Decoder:
    """The process, started when it is needed and again after it was ended. Threads take turns."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def decode(self, data: bytes, *, correct_unused_bits: bool, seconds: float) -> NDArray[Any]:
        """The pixels of a DICOM file.

        Args:
            data: the file.
            correct_unused_bits: see pydicom.pixels.pixel_array.
            seconds: how long it may take.

        Raises:
            TooSlowError: it took longer.
            ValueError: it cannot be decoded.
        """
        with self._lock:
            try:
                process = self._started()
                assert process.stdin is not None and process.stdout is not None  # both are pipes
                process.stdin.write(framed(bytes([correct_unused_bits]) + data))
                process.stdin.flush()
                until = time.monotonic() + seconds
                answers = process.stdout.fileno()
                answer = _read(answers, length_of(_read(answers, HEAD, until)), until)
            except (OSError, EOFError) as error:  # the decoder took its process with it
                self.close()
                raise ValueError(f"the decoder ended ({type(error).__name__})") from None
            except BaseException:  # too slow, or interrupted: its answer is not wanted any more
                self.close()
                raise
        if not answer.startswith(_ARRAY):
            raise ValueError(answer.decode("utf-8", "replace"))
        found: NDArray[Any] = np.load(io.BytesIO(answer), allow_pickle=False)
        return found

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(  # noqa: S603  our own module, and no shell
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert self._process.stdin is not None  # a pipe
            self._process.stdin.write(framed(pickle.dumps(decoding)))
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()  # waits, and closes the pipes
            self._process = None


@cache
def decoder() -> Decoder:
    """The one of this process, which it ends with."""
    found = Decoder()
    atexit.register(found.close)
    return found


def pixels_of(dataset: Any, data: bytes, *, correct_unused_bits: bool = True) -> NDArray[Any]:
    """The pixels of a DICOM file that was read from `data`; compressed ones are decoded in the other process.

    Raises:
        TooSlowError: that took longer than MAX_SECONDS.
        Exception: what pydicom raises on damaged pixels.
    """
    from pydicom.pixels import pixel_array
    from pydicom.uid import RLELossless

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed or syntax == RLELossless:  # Python and numpy alone
        found: NDArray[Any] = pixel_array(dataset, correct_unused_bits=correct_unused_bits)
        return found
    return decoder().decode(data, correct_unused_bits=correct_unused_bits, seconds=MAX_SECONDS)


def _read(stream: int, length: int, until: float) -> bytes:
    held = bytearray()
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    while len(held) < length:
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TooSlowError
        piece = os.read(stream, min(length - len(held), 1 << 20))
        if not piece:
            raise EOFError
        held += piece
    return bytes(held)


def decoding() -> Callable[[bytes], bytes]:
    """What the process answers with: an array as numpy writes it, or why the pixels cannot be decoded."""
    import pydicom
    from pydicom.pixels import pixel_array

    def decode(message: bytes) -> bytes:
        stream = io.BytesIO()
        try:
            dataset = pydicom.dcmread(io.BytesIO(message[1:]), force=True)
            np.save(stream, pixel_array(dataset, correct_unused_bits=bool(message[0])), allow_pickle=False)
        except Exception as error:  # noqa: BLE001  a decoder raises whatever damaged bytes make it trip over
            return " ".join(str(error).split())[:200].encode() or b"damaged"
        return stream.getvalue()

    return decode
