"""Text: sentences and words of a report, with their offsets. Knows punctuation and headings, not medicine."""

import re

# A sentence ends at . ? or ! before white space, a capital or the end, at a line's end, and after "Heading:".
_END = re.compile(
    r"(?<!\bvs)(?<!\bdr)(?<!\bDr)(?<!\bMr)(?<!\be\.g)(?<!\bi\.e)(?<!\bapprox)[.?!]+(?=\s|$|[A-Z])|\n+|(?<=\s\d)\.(?=\s)"
)
HEADING = re.compile(
    r"[ \t>*#_-]*(technique|views?|findings?|impressions?|conclusions?|comparisons?|indications?"
    r"|clinical (?:history|information)"
    r"|reason for (?:exam(?:ination)?|study)|history|examination|exam|procedure|recommendations?|final report"
    r"|notification"
    r"|opinion|addendum)[ \t]*[*_]*[ \t]*:[*_]*[ \t]*",
    re.I,
)
NOT_ASSERTED = ("indication", "clinical", "reason", "history", "comparison", "recommendation", "notification")

# Words, numbers, runs of underscores (a de-identified word, like XXXX), and single marks.
WORD = re.compile(r"_{2,}|[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:\.\d+)?|[^\w\s-]")


def lower(text: str) -> str:
    """Lower case of the same length, so that offsets hold."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """Spans of the sentences of a text; a heading ("Impression:") is not part of the sentence after it."""
    return tuple((start, end) for start, end, _ in headed_sentences(text))


def headed_sentences(text: str) -> list[tuple[int, int, str]]:
    """Spans of the sentences and the heading, in lower case, that each stands under ("" for none)."""
    found: list[tuple[int, int, str]] = []
    heading = ""
    line_start, start, size = True, 0, len(text)
    while start < size:
        if line_start:
            match = HEADING.match(text, start)
            if match:
                heading, start = match.group(1).lower(), match.end()
        end_match = _END.search(text, start)
        stop, after = (end_match.start(), end_match.end()) if end_match else (size, size)
        line_start = end_match is not None and text[after - 1] == "\n"
        if end_match is not None and not line_start:
            stop = after
        left, right = start, stop
        while left < right and text[left].isspace():
            left += 1
        while right > left and text[right - 1].isspace():
            right -= 1
        if left < right:
            found.append((left, right, heading))
        start = after
    return found
