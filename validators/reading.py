"""A foreign text as a candidate: foreign datasets, files, the rules' own cases.

It knows how a text is read, not where it came from: prompt and model are `unknown`, and its key is the hash of
the text and its study, so that the same text twice is the same candidate.
"""

import hashlib

from ..schemas.candidate import Author, Candidate
from ..schemas.errors import LayoutError
from ..schemas.layout import parse
from ..schemas.trace import Trace


def read_candidate(
    text: str,
    study_id: str,
    *,
    author: Author = "teacher",
    writes_report: bool = True,
    saw_image: bool = True,
    stop_reason: str | None = None,
) -> Candidate:
    """Parse a text and put it into the form that the rules judge.

    Args:
        text: steps, and the report if `writes_report`.
        study_id: the study that it is about.
        author: a student's report is its own reading, a teacher's is a copy of the reference.
        writes_report: whether a report is expected behind the steps.
        saw_image: whether the author saw the images.
        stop_reason: as the provider gave it.

    Returns:
        A candidate; a text that cannot be read is one with `parse_error` and no trace. Halves of characters (lone
        surrogates, which JSON can carry and no file can) make it unreadable, and are kept as question marks.
    """
    trace: Trace | None = None
    parse_error = None
    try:
        trace = parse(text)
    except LayoutError as error:
        parse_error = str(error)
        text = text.encode(errors="replace").decode()
    return Candidate(
        key=hashlib.sha256(f"{study_id}\n{text}".encode()).hexdigest(),
        study_id=study_id,
        author=author,
        teacher="unknown",
        model="unknown",
        prompt_id="unknown",
        prompt_sha256=hashlib.sha256(b"").hexdigest(),
        saw_image=saw_image,
        writes_report=writes_report,
        text=text,
        trace=trace,
        parse_error=parse_error,
        stop_reason=stop_reason,
        started_at=0.0,
        seconds=0.0,
    )
