"""Statement: whether the words around a mention say plainly that it is there.

What they do not is soft: the sentence may weigh, seek, explain or deny it in words that the cues do not know.
"""

from itertools import pairwise

from .lexicon import CUES, Entry, word_set
from .states import BACKWARD, DENIED, FORWARD, NEG, NEG_PRE, is_head
from .view import View

_SOFT = word_set("soft")
_WEIGH = word_set("weigh")
_NEAR_SOFT = word_set("soft_near")
_SUPPOSES = word_set("supposes")
_COMPOUNDS = word_set("compound")
_SORTS = word_set("sort")
_CONDITIONS = word_set("condition")
_SHOWS = word_set("show")
_REGARDS = word_set("regard")
_MARKS = word_set("mark")
_CAN, _ANY = frozenset({"can", "may", "will"}), frozenset({"any", "a", "an", "one"})
_ORIGINS = frozenset({"source", "cause", "origin", "explanation", "reason", "kind", "type", "form", "result"})
_AUXILIARIES = frozenset({"do", "does", "did"})
_DETERMINED = frozenset({"a", "an", "the", "this", "that", "some", "no", "any", "its", "their", "of"})
_BARE = 2  # words of a name without adjectives
_CONTRASTS = frozenset({"but", "although", "though"})
_EXCEPTS = frozenset({"but", "except", "save", "apart", "aside"})  # "the bones are normal, but one joint is worn"
_RELATIVES = frozenset({"which", "that"})
_VIEWS = frozenset({"lateral", "frontal", "pa", "ap"})
_ARTICLES = frozenset({"a", "an", "some", "several", "multiple", "two", "three"})
_VERBS, _JOINS = CUES["verb"] | CUES["presup"], CUES["conj"] | CUES["comma"] | CUES["or"]
_CROSSED = _VERBS | CUES["cause"] | CUES["dismiss"] | FORWARD & ~NEG_PRE
_FAR = 4  # unknown words that a denial plainly reaches across
_APPOSED = 6  # words of an apposition
_NEAR = 7  # words between a verb of existence and what exists
_LISTED = 4  # words from one item of a list to the next
_MANY = 3
_THERE = word_set("there")
_IS = frozenset({"is", "are"})
_COPULAS = frozenset({"is", "are", "was", "were", "be", "been", "remains"})
_OPENING = 4  # words before the subject of a sentence, at most
_SEARCHES = word_set("search")
# words before a finding, and after one, by which a statement says that it is there
_STATES = word_set("states")
_STANDS = word_set("stands")
_PORTIONS = word_set("portion")
_KINDS = word_set("kind")
_TURNS = word_set("turn")
_NOTS = frozenset({"not", "never", "nowhere", "isn't", "aren't", "doesn't", "don't", "wasn't", "can't"})


def is_soft(view: View, index: int) -> bool:
    """Whether the statement that a mention stands in has words of weighing or denial that did not reach it."""
    words, first = view.tagged.words, view.tagged.first[index]
    start, stop = _statement(view, first)
    if _of_a_kind(view, index, start):
        return True
    if _explicit(view, index, start, stop):
        return False
    if view.tagged.entries[index].finding in view.book.devices:
        low, high = _bounds(view, index, start, stop)
        return not _SUPPOSES.isdisjoint(words[low:high])
    low = _segment(view, index, start)
    if not _SOFT.isdisjoint(words[low:stop]) or _negated_later(view, index):
        return True
    end = min((at for at in range(first, stop) if words[at] == ","), default=stop)
    if not _NEAR_SOFT.isdisjoint(words[low:end]):
        return True
    if _one_of_many(view, index):
        return True
    if (view.generic or weighs(view, index)) and not _affirmed(view, words[first:stop], words[start:first], index):
        return True
    return not _stated(view, index, start, stop)


def only_spoken_of(view: View, index: int) -> bool:
    """Whether a mention is what is looked for, or the object of a preposition of regard: nothing is said of it."""
    start, _ = _statement(view, view.tagged.first[index])
    return _sought(view, start, view.tagged.first[index]) or _object(view, index)


def is_soft_denial(view: View, index: int) -> bool:
    """Whether a denial of a mention may not be meant as one: it reaches it across another verb or subject, holds for
    one view only, or under a condition."""
    tagged, state = view.tagged, view.scope.states[index]
    start, _ = _statement(view, tagged.first[index])
    if _elsewhere(tagged.words):
        return True
    if not _CONDITIONS.isdisjoint(tagged.words[start : tagged.first[index]]):
        return True
    if not state & (NEG | DENIED):
        return not _EXCEPTS.isdisjoint(tagged.words[tagged.last[index] + 1 :])
    entries = tagged.entries
    if state & DENIED:
        cue = next((at for at in range(index + 1, len(entries)) if entries[at].cues & BACKWARD), None)
        if cue is None:
            return False
        low, high = index + 1, cue
        begin, end = tagged.last[index] + 1, tagged.first[cue]
        after = tagged.words[tagged.last[cue] + 1 : tagged.last[cue] + 5]
        if _VIEWS & {*after} and "either" not in after and "both" not in after:
            return True
        if "," in tagged.words[begin:end] and _unknown(view, begin, end):
            return True  # "an effusion, cause not apparent"
        if not _RELATIVES.isdisjoint(tagged.words[max(0, tagged.first[index] - 2) : tagged.first[index]]):
            return True  # "for a pneumothorax, which emphysema can provoke, and found none"
    else:
        cue = next((at for at in range(index, -1, -1) if entries[at].cues & NEG_PRE), None)
        if cue is None or cue == index:
            return False
        low, high = cue + 1, index
        begin, end = tagged.last[cue] + 1, tagged.first[index]
        if tagged.words[tagged.first[cue]] in ("rather", "none") and not entries[index].finding:
            return True  # "rather than a lobar process": of what is there it denies only the kind
        if _causes_nothing(view, cue, begin):
            return True
        if not tagged.first[cue] and tagged.words[0] == "without" and "," in tagged.words[begin:end]:
            return True  # "without a decubitus view, fluid cannot be told from ..."
        if tagged.words[end - 1] == "from" and end > begin:
            return True  # "no shift from volume loss"
        if tagged.words[end - 1] == "of" and tagged.words[end - 2] in _ORIGINS:
            return True  # "not a source of fluid"
    between = entries[low:high]
    crossed = any(
        entry.cues & _CROSSED
        and not (is_head(entry) or entry.cues & NEG_PRE)
        and tagged.words[tagged.first[low + offset]] not in _COPULAS
        for offset, entry in enumerate(between)
    )
    if crossed and not _ANY & {*tagged.words[max(begin, end - 3) : end]}:
        return True  # but "neither base shows any atelectasis"
    if state & NEG and _object(view, index):
        return True
    return _unknown(view, begin, end) > _FAR


def _causes_nothing(view: View, cue: int, begin: int) -> bool:
    """ "They do not by themselves produce consolidation": what is denied is a verb, unless it is one of showing."""
    words, at = view.tagged.words, view.tagged.first[cue]
    negated = words[at].endswith("n't") or (at > 0 and words[at - 1] in _AUXILIARIES)
    if not negated:
        return False
    return _SHOWS.isdisjoint(words[begin : begin + _OPENING]) and _IS.isdisjoint(words[max(0, at - 1) : at])


def _statement(view: View, first: int) -> tuple[int, int]:
    borders = view.scope.borders
    start = max((border for border in borders if border < first), default=0)
    return start, min((border for border in borders if border > first), default=len(view.tagged.words))


def _elsewhere(words: list[str]) -> bool:
    """ "No opacity is recognized there": where, the sentence before said."""
    return any(
        word == "there"
        and words[at + 1 : at + 2] not in (["is"], ["are"], ["was"], ["were"])
        and words[at - 1 : at] not in (["is"], ["are"])
        for at, word in enumerate(words)
        if at
    )


def _segment(view: View, index: int, start: int) -> int:
    """Where the words begin that can soften a mention: at its comma, if what stands before that says something itself
    ("no fracture line, wires in the midline")."""
    words, first = view.tagged.words, view.tagged.first[index]
    comma = max((at for at in range(start, first) if words[at] == ","), default=start)
    if comma > start and any(start <= view.tagged.first[other.index] < comma for other in view.mentions):
        return comma
    return start


def _unknown(view: View, begin: int, end: int) -> int:
    """Words between that no phrase of the lexicon covers."""
    known = {
        at
        for first, last in zip(view.tagged.first, view.tagged.last, strict=True)
        if first < end and last >= begin
        for at in range(first, last + 1)
    }
    return sum(at not in known and len(view.tagged.words[at]) > 2 for at in range(begin, end))


def _explicit(view: View, index: int, start: int, stop: int) -> bool:
    """Whether existence is said in the mention's own clause ("there is a", "shows a", "is present"), whatever the rest
    of the sentence weighs."""
    words, first, last = view.tagged.words, view.tagged.first[index], view.tagged.last[index]
    if words[0] in _CONDITIONS and ";" not in words[:first] and ":" not in words[:first]:
        return False
    low, high = _bounds(view, index, start, stop)
    clause = words[low:high]
    if not (_SOFT.isdisjoint(clause) and _WEIGH.isdisjoint(clause)):
        return False
    before, after = words[low:first], words[last + 1 : high]
    be = next((at for at, word in enumerate(after[:_OPENING]) if word in _IS), None)
    if be is not None and not (_THERE | _STANDS).isdisjoint(after[be + 1 : be + 4]):
        return True
    near = before[-_NEAR:]
    if "there" in near and not _IS.isdisjoint(near[near.index("there") :]):
        return True
    if view.tagged.entries[index].qualities and view.mentions and before[-1:] and before[-1] in _IS:
        return any(mention.index == index and mention.organs for mention in view.mentions)  # "the knob is calcified"
    be = max((at for at, word in enumerate(near) if word in _IS), default=None)
    if be is not None and not _ARTICLES.isdisjoint(near[be : be + 2]):
        return True  # "what I see is a scar"
    verb = max((at for at, word in enumerate(near) if word in _SHOWS), default=None)
    return verb is not None and not _ARTICLES.isdisjoint(near[verb:])


def _bounds(view: View, index: int, start: int, stop: int) -> tuple[int, int]:
    """The words between the marks and conjunctions next to a mention."""
    words, first, last = view.tagged.words, view.tagged.first[index], view.tagged.last[index]
    low = max((at + 1 for at in range(start, first) if words[at] in _MARKS), default=start)
    return low, min((at for at in range(last + 1, stop) if words[at] in _MARKS), default=stop)


def _object(view: View, index: int) -> bool:
    """ "Moving past infection", "a verdict on pneumothorax": what a preposition of regard governs is not asserted."""
    first = view.tagged.first[index]
    back = index - 1
    while back >= 0 and view.tagged.last[back] == first - 1 and _modifies(view.tagged.entries[back]):
        first, back = view.tagged.first[back], back - 1
    before = view.tagged.words[max(0, first - 2) : first]
    joint = first - 1 - (before[-1:] in (["a"], ["an"], ["the"]))
    if before and back > 0 and view.tagged.last[back] == joint and view.tagged.entries[back].cues & _JOINS:
        nearest = next((at for at in range(back - 1, -1, -1) if view.tagged.entries[at].finding), None)
        if nearest is not None and first - view.tagged.last[nearest] <= _LISTED:
            return _object(view, nearest)
    if not before or (before[-1] not in _REGARDS and before != ["away", "from"]):
        return False
    return not (
        back >= 0 and view.tagged.last[back] == first - 1 and view.tagged.first[back] < first - 1
    )  # "due to", "suspicious for": a phrase of its own


def _modifies(entry: Entry) -> bool:
    return not entry.finding and bool(entry.side or entry.place or entry.size or entry.qualities)


def _one_of_many(view: View, index: int) -> bool:
    """Whether it is in a bare list of three findings or more: a differential diagnosis, if nothing places them."""
    tagged = view.tagged
    items = [at for at, entry in enumerate(tagged.entries) if entry.finding and entry.finding not in view.book.devices]
    if index not in items or len(items) < _MANY:
        return False
    groups, group = [], [items[0]]
    for before, item in pairwise(items):
        between = tagged.entries[before + 1 : item]
        joined = between and all(entry.cues & _JOINS or _modifies(entry) for entry in between)
        if joined and tagged.first[item] - tagged.last[before] <= _NEAR:
            group.append(item)
        else:
            groups.append(group)
            group = [item]
    groups.append(group)
    mine = next(group for group in groups if index in group)
    low, high = tagged.first[mine[0]], tagged.last[mine[-1]]
    return len(mine) >= _MANY and not any(
        entry.side or entry.place or entry.size
        for first, entry in zip(tagged.first, tagged.entries, strict=True)
        if low - 2 <= first <= high
    )


def _stated(view: View, index: int, start: int, stop: int) -> bool:
    """Whether the words say in some way that it is there; a bare subject of another verb may be weighed by it
    ("pneumonia is off the table", "infection explains it")."""
    entry, words = view.tagged.entries[index], view.tagged.words
    first, last = view.tagged.first[index], view.tagged.last[index]
    if entry.finding is None or entry.finding in view.book.devices:
        return True
    if _invited(view, index) or _taken(view, index, start):
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
    if _generally(view, index, start):
        return False
    if any(other.side or other.place or other.size for other in inside) or view.measurements:
        return True
    before, after = words[start:first], words[last + 1 : stop]
    if not any(other.cues & CUES["verb"] for other in inside):
        return True
    return not _STATES.isdisjoint(before) or not _STANDS.isdisjoint(after)


def _generally(view: View, index: int, start: int) -> bool:
    """ "Fluid collects in the recesses", "a pneumothorax separates the pleurae", "nodules appear as densities", "a
    cavity is tested for": a bare subject of some verb is the thing as such, or what is searched for."""
    entry, words = view.tagged.entries[index], view.tagged.words
    first, last = view.tagged.first[index], view.tagged.last[index]
    at = index + 1
    entries = view.tagged.entries
    while (
        at + 1 < len(entries) and entries[at].cues & _JOINS and (entries[at + 1].finding or entries[at + 1].qualities)
    ):
        if view.tagged.first[at + 1] - last > _LISTED:
            break
        last, at = view.tagged.last[at + 1], at + 2  # the end of its list
    follows = words[last + 1 : last + 4]
    if len(follows) > 1 and follows[0] in _IS and follows[1].endswith("ed") and follows[1] not in _STANDS:
        return True
    if follows[:1] in (["appear"], ["appears"]) and follows[1:2] == ["as"]:
        return True
    if _CAN & {*follows[:2]} and "be" not in follows:
        return True
    opens = first - (words[max(start, first - 1) : first] in (["a"], ["an"]))
    return (
        (opens == start or words[opens - 1] in _MARKS - _CONTRASTS)
        and entry.words <= _BARE
        and "".join(follows[:1]).isalpha()
        and last + 1 not in view.tagged.first
        and _STANDS.isdisjoint(follows)
    )


def _taken(view: View, index: int, start: int) -> bool:
    """ "Gravity takes free fluid to the sulci": the bare object of a verb that the lexicon does not know."""
    words, first = view.tagged.words, view.tagged.first[index]
    known = {at for a, b in zip(view.tagged.first, view.tagged.last, strict=True) for at in range(a, b + 1)}
    for at in range(first - 1, max(start - 1, first - 3), -1):
        word = words[at]
        if at in known or word in _DETERMINED or not word.isalpha():
            return False
        if len(word) > _LISTED - 1 and word.endswith("s") and word not in _SHOWS | _STATES and at > start:
            return True
    return False


def _of_a_kind(view: View, index: int, start: int) -> bool:
    """ "Aspiration is a known complication of hernias", "cancer treatment", "in heart failure the vessels swell"."""
    words, first, last = view.tagged.words, view.tagged.first[index], view.tagged.last[index]
    follows = words[last + 1 : last + 7]
    if follows[:1] and follows[0] in _COMPOUNDS:
        return True
    be = next((at for at, word in enumerate(follows) if word in _IS), None)
    says_what = be is not None and follows[be + 1 : be + 2] in (["a"], ["an"])
    if be is not None and says_what and not _SORTS.isdisjoint(words[last + be + 2 : last + be + 8]):
        return True
    back = index - 1
    while back >= 0 and view.tagged.last[back] == first - 1 and _modifies(view.tagged.entries[back]):
        first, back = view.tagged.first[back], back - 1
    return words[start:first] in (["in"], [",", "in"])


def _invited(view: View, index: int) -> bool:
    """ "Emphysema invites pneumothorax": the object of a verb that the lexicon does not know, beside its subject."""
    first = view.tagged.first[index]
    return (
        index > 0
        and view.tagged.entries[index - 1].finding is not None
        and view.tagged.last[index - 1] == first - 2
        and view.tagged.words[first - 1].endswith("s")
    )


def _sought(view: View, start: int, first: int) -> bool:
    """ "I look first for opacities": what follows, up to a colon, is what is looked for."""
    words = view.tagged.words
    for at in range(first - 1, start, -1):
        if words[at] == ":":
            return False
        if words[at] == "for" and not _SEARCHES.isdisjoint(words[max(0, at - 3) : at]):
            return True
    return False


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
    return not _THERE.isdisjoint(after) and not _IS.isdisjoint(after)


def weighs(view: View, index: int) -> bool:
    """Whether the words around a mention weigh, ask or explain; the words of another statement before it do not."""
    words, first, scope = view.tagged.words, view.tagged.first[index], view.scope
    borders = [border for border in scope.borders if border not in scope.inner and not _opens_list(view, border)]
    start = max((border for border in borders if border < first), default=0)
    stop = min((border for border in borders if border > first), default=len(words))
    if not _WEIGH.isdisjoint(words[start:stop]) or words[max(0, start - 1)] in _WEIGH:
        return True  # also "raises two candidates, a pneumothorax and ..."
    if words[stop : stop + 2] in ([",", "a"], [",", "an"]) and not _WEIGH.isdisjoint(words[stop : stop + _APPOSED]):
        return True  # "edema, a fair question here"
    opens = not _CONDITIONS.isdisjoint(words[: min(start, _OPENING)])
    return opens and ":" not in words[:first] and ";" not in words[:first]


def _opens_list(view: View, border: int) -> bool:
    """Whether a border is a colon before a list without a verb ("raise some ideas: a mass, fat")."""
    return view.tagged.words[border] == ":" and not any(
        first > border and entry.cues & CUES["verb"]
        for first, entry in zip(view.tagged.first, view.tagged.entries, strict=True)
    )


def is_generic(view: View) -> bool:
    """Whether the sentence is of a kind, not of this patient: "bullae that rupture",
    "an effusion of this sort"."""
    if not view.mentions:
        return False
    if view.tagged.words[0] in ("when", "once"):
        return True
    words, first = view.tagged.words, view.mentions[0]
    after = view.tagged.last[first.index] + 1
    return view.tagged.first[first.index] < _OPENING and words[after : after + 1] in (["that"], ["when"])
