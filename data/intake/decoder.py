"""Images are decoded in a process of their own, which is given so much time and so much memory.

    decoder().run(decode, data)       what decode(data) returns there

A decoder of PNG, JPEG or JPEG 2000 is one call of a compiled library. Damaged bytes can keep it busy for ever, fill the
memory, or crash it, and nothing in Python can stop it; ending its process can. The process starts with the first image
(about a second), serves those that follow, is replaced when it has ended, and ends with the process that started it.
"""

import atexit
import contextlib
import os
import pickle
import resource
import select
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from ..child import COMMAND, HEAD, framed, length_of

R = TypeVar("R")
MAX_SECONDS = 30  # for an image; the largest films take one or two
MAX_MEMORY = 4 << 30  # bytes of address space; a film of 50 million pixels, four channels and 16 bits takes half of it
_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}  # each reserves address space


class DecodeError(Exception):
    """An image that was not decoded: a reason for rejected rows, and what it means."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # what pickle makes it from again
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return self.detail


class Decoder:
    """The process, started when it is needed and again after it was ended. Threads take turns."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def run(self, decode: Callable[..., R], *args: Any, seconds: float = MAX_SECONDS) -> R:
        """What `decode(*args)` returns in the process.

        Args:
            decode: a function at the top of a module.
            args: what pickle can carry, like the result.
            seconds: how long it may take.

        Raises:
            DecodeError: it took more time or memory than it may, it raised, or the process ended.
        """
        with self._lock:
            try:
                process = self._started()
                assert process.stdin is not None and process.stdout is not None  # both are pipes
                process.stdin.write(framed(pickle.dumps((decode, args), pickle.HIGHEST_PROTOCOL)))
                process.stdin.flush()
                until = time.monotonic() + seconds
                answers = process.stdout.fileno()
                answer = _read(answers, length_of(_read(answers, HEAD, until)), until)
            except (OSError, EOFError):  # the library took its process with it
                self.close()
                raise DecodeError("unreadable_image", "its decoder crashed; is it damaged?") from None
            except BaseException:  # too slow, or interrupted: its answer is not wanted any more
                self.close()
                raise
        result: R | DecodeError = pickle.loads(answer)  # noqa: S301 from the process that we started
        if isinstance(result, DecodeError):
            raise result
        return result

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is not None:
            self.close()  # it ended by itself, or was ended: its pipes are still open
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603  our own module, and no shell
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=os.environ | _ONE_THREAD,
            )  # fmt: skip
            assert self._process.stdin is not None  # a pipe
            self._process.stdin.write(framed(pickle.dumps(limited)))
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


def _read(stream: int, length: int, until: float) -> bytes:
    held = bytearray()
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    while len(held) < length:
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise DecodeError("slow_image", f"not decoded within {MAX_SECONDS} seconds; is it damaged?")
        piece = os.read(stream, min(length - len(held), 1 << 20))
        if not piece:
            raise EOFError
        held += piece
    return bytes(held)


def limited(memory: int = MAX_MEMORY) -> Callable[[bytes], bytes]:
    """What the process answers with, once it has limited itself: a result, or a DecodeError."""
    with contextlib.suppress(ValueError, OSError):  # a lower limit holds already, or the system has none
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    def answer(message: bytes) -> bytes:
        result: Any
        try:
            decode, args = pickle.loads(message)  # noqa: S301 from the process that started this one
            result = decode(*args)
        except MemoryError:
            result = DecodeError("large_image", f"takes more than {memory >> 30} GB of memory to decode")
        except Exception as error:  # noqa: BLE001  a decoder raises whatever damaged bytes make it trip over
            result = DecodeError("unreadable_image", " ".join(str(error).split())[:200] or type(error).__name__)
        return pickle.dumps(result, pickle.HIGHEST_PROTOCOL)

    return answer
