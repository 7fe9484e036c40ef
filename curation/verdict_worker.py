"""A process that judges: batches of candidates come in on standard input, their opinions go out on standard output.

    python -m tenstep.curation.verdict_worker

It ends when its input does, so it never outlives the process that started it (verdict_pool.py). What goes through the
pipes is between our own two processes: lengths and pickles.
"""

import gc
import pickle
import struct
import sys
from typing import BinaryIO

from ..validators.gate import prepare
from .verdicts import Opinion, judge_candidate

LENGTH = struct.Struct(">I")


def main() -> None:
    """Judge until there is nothing more to read."""
    given, found = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever prints must not end up between opinions
    prepare()
    gc.set_threshold(100_000)  # verdicts make many objects and no circles
    first = _read(given)
    if first is None:
        return
    severities, doubts, own = pickle.loads(first)  # noqa: S301 from the process that started this one
    while (batch := _read(given)) is not None:
        opinions: list[Opinion | Exception] = []
        for study, candidate in pickle.loads(batch):  # noqa: S301 the same
            try:
                opinions.append(judge_candidate(study, candidate, severities, doubts, own))
            except Exception as error:  # noqa: BLE001 it is raised where the candidate is waited for
                opinions.append(RuntimeError(f"judging {candidate.study_id} raised {type(error).__name__}"))
        answer = pickle.dumps(opinions, pickle.HIGHEST_PROTOCOL)
        found.write(LENGTH.pack(len(answer)) + answer)
        found.flush()


def _read(given: BinaryIO) -> bytes | None:
    head = given.read(LENGTH.size)
    return given.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


if __name__ == "__main__":
    main()
