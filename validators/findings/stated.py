"""Statement: whether the words around a mention say plainly that it is there.

What they do not is soft: the sentence may weigh, seek, explain or deny it in words that the cues do not know.
"""

from .lexicon import CUES, word_set
from .spoken import generally, invited, of_a_kind, one_of_many, taken
from .view import IS, NEAR, OPENING, View, bounds, statement

_SOFT = word_set("soft")
_WEIGH = word_set("weigh")
_NEAR_SOFT = word_set("soft_near")
_SUPPOSES = word_set("supposes")
_OPENERS = word_set("opener")
_SHOWS = word_set("show")
_ARTICLES = frozenset({"a", "an", "some", "several", "multiple", "two", "three"})
_APPOSED = 6  # words of an apposition
_THERE = word_set("there")
_PLEURAL = ("pleura", "cp_angle")
_STATES = word_set("states")
_STANDS = word_set("stands")
_PORTIONS = word_set("portion")
_KINDS = word_set("kind")
_TURNS = word_set("turn")
_LOOKS = frozenset({"look", "looks", "appear", "appears"})
_NOTS = frozenset({"not", "never", "nowhere", "isn't", "aren't", "doesn't", "don't", "wasn't", "can't"})


def is_soft(view: View, index: int) -> bool:
    """Whether the statement that a mention stands in has words of weighing or denial that did not reach it."""
    words, first = view.tagged.words, view.tagged.first[index]
    start, stop = statement(view, first)
    if of_a_kind(view, index, start):
        return True
    if _explicit(view, index, start, stop):
        return False
    if view.tagged.entries[index].finding in view.book.devices:
        low, high = bounds(view, index, start, stop)
        return not _SUPPOSES.isdisjoint(words[low:high])
    low = _segment(view, index, start)
    if not _SOFT.isdisjoint(words[low:stop]) or _negated_later(view, index):
        return True
    end = min((at for at in range(first, stop) if words[at] == ","), default=stop)
    if not _NEAR_SOFT.isdisjoint(words[low:end]):
        return True
    if one_of_many(view, index):
        return True
    if (view.generic or _weighs(view, index)) and not _affirmed(view, words[first:stop], words[start:first], index):
        return True
    return not _stated(view, index, start, stop)


def _segment(view: View, index: int, start: int) -> int:
    """Where the words begin that can soften a mention: at its comma, if what stands before that says something itself
    ("no fracture line, wires in the midline")."""
    words, first = view.tagged.words, view.tagged.first[index]
    comma = max((at for at in range(start, first) if words[at] == ","), default=start)
    if comma > start and any(start <= view.tagged.first[other.index] < comma for other in view.mentions):
        return comma
    return start


def _explicit(view: View, index: int, start: int, stop: int) -> bool:
    """Whether existence is said in the mention's own clause ("there is a", "shows a", "is present"), whatever the rest
    of the sentence _weighs."""
    words, first, last = view.tagged.words, view.tagged.first[index], view.tagged.last[index]
    if words[0] in _OPENERS and ";" not in words[:first] and ":" not in words[:first]:
        return False
    low, high = bounds(view, index, start, stop)
    clause = words[low:high]
    if not (_SOFT.isdisjoint(clause) and _WEIGH.isdisjoint(clause)):
        return False
    before, after = words[low:first], words[last + 1 : high]
    be = next((at for at, word in enumerate(after[:OPENING]) if word in IS), None)
    if be is not None and not (_THERE | _STANDS).isdisjoint(after[be + 1 : be + 4]):
        return True
    near = before[-NEAR:]
    if "there" in near and not IS.isdisjoint(near[near.index("there") :]):
        return True
    if view.tagged.entries[index].qualities and view.mentions and before[-1:] and before[-1] in IS:
        return any(mention.index == index and mention.organs for mention in view.mentions)  # "the knob is calcified"
    be = max((at for at, word in enumerate(near) if word in IS), default=None)
    if be is not None and not _ARTICLES.isdisjoint(near[be : be + 2]):
        return True  # "what I see is a scar"
    verb = max((at for at, word in enumerate(near) if word in _SHOWS), default=None)
    return verb is not None and not _ARTICLES.isdisjoint(near[verb:])


def _stated(view: View, index: int, start: int, stop: int) -> bool:
    """Whether the words say in some way that it is there; a bare subject of another verb may be weighed by it
    ("pneumonia is off the table", "infection explains it")."""
    entry, words = view.tagged.entries[index], view.tagged.words
    first, last = view.tagged.first[index], view.tagged.last[index]
    if entry.finding is None or entry.finding in view.book.devices:
        return True
    if invited(view, index) or taken(view, index, start):
        return False
    if entry.size or entry.side:
        return True
    if first > 1 and "of" in words[first - 2 : first] and not _KINDS.isdisjoint(words[max(0, first - 4) : first]):
        return False
    inside = [
        other
        for other, begin in zip(view.tagged.entries, view.tagged.first, strict=True)
        if start <= begin < stop and other is not entry
    ]
    if first > 1 and words[first - 1] == "of" and words[first - 2] not in _PORTIONS:
        return False  # "the outcome of aspiration"
    if generally(view, index, start):
        return False
    if words[first : last + 1] == ["fluid"] and not any(e.side or e.place or e.organ in _PLEURAL for e in inside):
        return False  # fluid as such fills alveoli too
    if any(other.side or other.place or other.size for other in inside) or view.measurements:
        return True
    before, after = words[start:first], words[last + 1 : stop]
    if not _LOOKS.isdisjoint(before[-2:]):
        return True  # "the bones look diffusely osteopenic"
    if not any(other.cues & CUES["verb"] for other in inside):
        return True
    return not _STATES.isdisjoint(before) or not _STANDS.isdisjoint(after)


def _negated_later(view: View, index: int) -> bool:
    """ "An effusion, which follows many infections, does not arise": a negation after it, before a contrast."""
    words = view.tagged.words
    for at in range(view.tagged.last[index] + 1, len(words)):
        if words[at] in _TURNS:
            return False
        if words[at] in _NOTS:
            return True
    return False


def _affirmed(view: View, after: list[str], before: list[str], index: int) -> bool:
    """Whether the statement says that it is there ("a fracture is present"); a device needs no such words."""
    if view.tagged.entries[index].finding in view.book.devices or "there" in before:
        return True
    return not _THERE.isdisjoint(after) and not IS.isdisjoint(after)


def _weighs(view: View, index: int) -> bool:
    """Whether the words around a mention weigh, ask or explain; the words of another statement before it do not."""
    words, first, scope = view.tagged.words, view.tagged.first[index], view.scope
    borders = [border for border in scope.borders if border not in scope.inner and not _opens_list(view, border)]
    start = max((border for border in borders if border < first), default=0)
    stop = min((border for border in borders if border > first), default=len(words))
    apposed = words[start : start + 2] != [",", "and"] and words[max(0, start - 1)] in _WEIGH
    if apposed or not _WEIGH.isdisjoint(words[start:stop]):
        return True  # also "raises two candidates, a pneumothorax and ..."
    if words[stop : stop + 2] in ([",", "a"], [",", "an"]) and not _WEIGH.isdisjoint(words[stop : stop + _APPOSED]):
        return True  # "edema, a fair question here"
    opens = not _OPENERS.isdisjoint(words[: min(start, OPENING)])
    return opens and ":" not in words[:first] and ";" not in words[:first]


def _opens_list(view: View, border: int) -> bool:
    """Whether a border is a colon before a list without a verb ("raise some ideas: a mass, fat")."""
    return view.tagged.words[border] == ":" and not any(
        first > border and entry.cues & CUES["verb"]
        for first, entry in zip(view.tagged.first, view.tagged.entries, strict=True)
    )
