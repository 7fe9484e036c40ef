"""Text: sentences and words of a report, with their offsets. Knows punctuation and headings, not medicine."""

import re
from functools import lru_cache

from ..memory import remembered

# A sentence ends at . ? or ! before white space, a capital or the end, at a line's end, and after "Heading:".
# It opens with one character, so that the search can skip to it.
_END = re.compile(r"[.?!\n](?:(?<=\n)\n*|[.?!]*(?=\s|$|[A-Z]))")
_ABBREVIATION = re.compile(r"\b(?:vs|dr|mr|mrs|e\.g|i\.e|approx)$", re.I)
_HEADED = 60  # characters in which the colon of a heading must come
HEADING = re.compile(
    r"[ \t>*#_-]*(technique|views?|findings?|impressions?|conclusions?|comparisons?|indications?"
    r"|clinical (?:history|information)"
    r"|reason for (?:exam(?:ination)?|study)|history|examination|exam|procedure|recommendations?|final report"
    r"|notification"
    r"|opinion|addendum)[ \t]*[*_]*[ \t]*:[*_]*[ \t]*",
    re.I,
)
NOT_ASSERTED = ("indication", "clinical", "reason", "history", "comparison", "recommendation", "notification")

# Words, numbers, runs of underscores (a de-identified word, like XXXX), and single marks; the plain words first, which
# are matched in half the time.
WORD = re.compile(r"[a-z]+(?=[ ,.])|_{2,}|[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:\.\d+)?|[^\w\s-]")

_SHORT = 1_000  # characters; several rules ask for the sentences of one step


def lower(text: str) -> str:
    """Lower case of the same length, so that offsets hold."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """Spans of the sentences of a text; a heading ("Impression:") is not part of the sentence after it."""
    return tuple([(start, end) for start, end, _ in headed_sentences(text)])


def headed_sentences(text: str) -> list[tuple[int, int, str]]:
    """Spans of the sentences and the heading, in lower case, that each stands under ("" for none)."""
    return _of_short(text) if len(text) <= _SHORT else _split(text)


@remembered
@lru_cache(maxsize=512)
def _of_short(text: str) -> list[tuple[int, int, str]]:
    return _split(text)


def _split(text: str) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    heading = ""
    line_start, start, size = True, 0, len(text)
    while start < size:
        if line_start and text.find(":", start, start + _HEADED) > 0:
            match = HEADING.match(text, start)
            if match:
                heading, start = match.group(1).lower(), match.end()
        end_match = _END.search(text, start)
        while (
            end_match is not None
            and text[end_match.start()] == "."
            and _ABBREVIATION.search(text, max(start, end_match.start() - 7), end_match.start())
        ):
            end_match = _END.search(text, end_match.end())
        if end_match is None:
            stop = after = size
            line_start = False
        else:
            line_start = text[end_match.start()] == "\n"
            after = end_match.end()
            stop = end_match.start() if line_start else after
        sentence = text[start:stop]
        left = start + len(sentence) - len(sentence.lstrip())
        right = left + len(sentence.strip())
        if left < right:
            found.append((left, right, heading))
        start = after
    return found
