"""A process of our own that answers messages, one after the other, and ends when its input does: it never outlives us.

    COMMAND             starts one
    framed(content)     a message as it goes through a pipe: its length, then its bytes
    length_of(head)     the length, from the first HEAD bytes of an answer
    serve(...)          what the process does. Its first message is a pickled function; called once, that gives the
                        function that answers all others
    in_batches(start)   such a function, where messages are pickled batches of items and answers their results

How answers are awaited is the caller's: for so many seconds at most (intake/decoder.py), or while other work goes on
(curation/batch_process.py).
"""

import gc
import pickle
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

_LENGTH = struct.Struct(">Q")
HEAD = _LENGTH.size
COMMAND = (sys.executable, "-m", __name__)
Answering = Callable[[], Callable[[bytes], bytes]]


def framed(content: bytes) -> bytes:
    """A message with its length in front."""
    return _LENGTH.pack(len(content)) + content


def length_of(head: bytes) -> int:
    """How many bytes follow."""
    length: int = _LENGTH.unpack(head)[0]
    return length


def serve(given: BinaryIO, found: BinaryIO) -> None:
    """Answer until there is nothing more to read."""
    start = _read(given)
    if start is None:
        return
    answer = pickle.loads(start)()  # noqa: S301 from the process that started this one
    while (message := _read(given)) is not None:
        found.write(framed(answer(message)))
        found.flush()


def in_batches(start: Callable[[], Callable[[Any], Any]]) -> Callable[[bytes], bytes]:
    """Answer batches with what the function that `start` gives makes of them."""
    gc.set_threshold(100_000)  # verdicts make many objects and no circles
    work = start()
    return lambda batch: pickle.dumps(work(pickle.loads(batch)), pickle.HIGHEST_PROTOCOL)  # noqa: S301 from the process that started this one


def _read(given: BinaryIO) -> bytes | None:
    head = given.read(HEAD)
    return given.read(length_of(head)) if len(head) == HEAD else None


if __name__ == "__main__":
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever prints must not end up between answers
    serve(sys.stdin.buffer, answers)
