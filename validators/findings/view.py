"""A sentence read as far as its mentions: what the questions of meaning and of statement are asked of. Plain data."""

from dataclasses import dataclass

from .claim import Measurement
from .lexicon import Entry, Lexicon, word_set
from .organs import Mention
from .states import Scope
from .tagging import Tagged

IS = frozenset({"is", "are"})
NEAR = 7  # words between a verb of existence and what exists
OPENING = 4  # words before the subject of a sentence, at most
_MARKS = word_set("mark")


@dataclass(slots=True)
class View:
    """`reserved`: it speaks of all but something. `generic`: it speaks of a kind, not of this patient."""

    tagged: Tagged
    scope: Scope
    mentions: list[Mention]
    book: Lexicon
    measurements: tuple[Measurement, ...]
    reserved: bool = False
    generic: bool = False


def statement(view: View, first: int) -> tuple[int, int]:
    borders = view.scope.borders
    start = max((border for border in borders if border < first), default=0)
    return start, min((border for border in borders if border > first), default=len(view.tagged.words))


def bounds(view: View, index: int, start: int, stop: int) -> tuple[int, int]:
    """The words between the marks and conjunctions next to a mention."""
    words, first, last = view.tagged.words, view.tagged.first[index], view.tagged.last[index]
    low = max((at + 1 for at in range(start, first) if words[at] in _MARKS), default=start)
    return low, min((at for at in range(last + 1, stop) if words[at] in _MARKS), default=stop)


def uncovered(view: View, begin: int, end: int) -> int:
    """Words between that no phrase of the lexicon covers."""
    known = {
        at
        for first, last in zip(view.tagged.first, view.tagged.last, strict=True)
        if first < end and last >= begin
        for at in range(first, last + 1)
    }
    return sum(at not in known and len(view.tagged.words[at]) > 2 for at in range(begin, end))


def modifies(entry: Entry) -> bool:
    return not entry.finding and bool(entry.side or entry.place or entry.size or entry.qualities)
