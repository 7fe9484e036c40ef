"""Meaning: the findings that a mention names, by itself or with its organs, and their status. Knows pairs.tsv and
normal.tsv: a normal organ implies absences in its region."""

from collections.abc import Iterator

from .claim import Status
from .lexicon import Entry, word_set
from .organs import Mention
from .states import ALT, DENIED, HIST, HYP, NEG, UNC
from .view import View

_ACUTE = frozenset({"acute", "active", "acutely", "actively", "new"})
_NORMAL_OF = {
    "expanded": "lung_expanded",
    "normal_volume": "lung_normal_volume",
    "full_volume": "lung_full_volume",
    "mineralized": "bone_mineral",
    "intact": "bone_intact",
}
_PRONOUNS = frozenset({"they", "it", "these", "this", "those", "both", "each"})
_LINKS = frozenset({"looks", "look", "remains", "remain", "and", "or", ",", "be", "both", "all"})
_NEXT = 5
_LOOSE = 4  # unknown words between an organ and what is said of it, at which it may be said of something else
_THERE = word_set("there")
# what an attributive "normal" may stand before, and still be said of the organ ("the heart has a normal size")
_ASPECTS = word_set("aspect")
_DEFINITE = word_set("definite")
_ARTICLES = frozenset({"a", "an"})
_DETERMINERS = frozenset({"neither", "no"})
_COPULAS = frozenset({"is", "are", "has", "have", "appears", "appear", "seems", "looks"})
_UNLIKE = {"cp_angle": "costophrenic_blunting"}  # what an organ has that is said not to be normal


def meanings(view: View, mention: Mention, entry: Entry, position: int) -> Iterator[tuple[str, bool, Status]]:
    status = status_of(view, mention.index)
    made = False
    first, last = view.tagged.first[mention.index], view.tagged.last[mention.index]
    words = view.tagged.words
    if first and words[first - 1] == "as" == "".join(words[last + 1 : last + 2]):
        return  # "as dense as bone"
    if words[last + 1 : last + 2] == ["like"]:
        return  # "mass-like"
    if not _modifies_next(view, position, entry):
        for kind, finding in dict.fromkeys(_pairs(view, mention, entry)):
            if kind == "present" and _attributive(view, mention, entry):
                continue
            if kind == "present":
                made = True
                if status is not None:
                    yield finding, False, status
            elif (
                status is not None
                and not (view.reserved or _a_normal_one(view))
                and (kind == "abnormal" or _close(view, mention))
            ):
                made = made or entry.finding is None
                if kind == "absent" and status == "absent" and finding in _UNLIKE:
                    yield _UNLIKE[finding], False, "present"
                yield from ((name, True, "absent") for name in _normal(view, kind, finding, status, mention))
    if entry.finding and not made and status is not None:
        yield entry.finding, False, status


def _attributive(view: View, mention: Mention, entry: Entry) -> bool:
    """ "By the heart sits a prominent cushion of fat": an adjective after an article, with the organ before it, is
    said of the noun to come."""
    first = view.tagged.first[mention.index]
    return (
        entry.finding is None
        and bool(mention.organs)
        and max(mention.organs) < mention.index
        and not _ARTICLES.isdisjoint(view.tagged.words[max(0, first - 2) : first])
        and _modifies_other(view, view.tagged.last[mention.index] + 1)
    )


def _a_normal_one(view: View) -> bool:
    """ "A normal diaphragm is domed": of diaphragms, not of this one."""
    first = view.mentions[0].index
    return (
        view.tagged.words[0] in _ARTICLES
        and "normal" in view.tagged.entries[first].qualities
        and view.tagged.first[first] == 1
    )


def _pairs(view: View, mention: Mention, entry: Entry) -> Iterator[tuple[str, str]]:
    heads = (*((f"[{entry.finding}]",) if entry.finding else ()), *entry.qualities)
    organs = [name for index in mention.organs if (name := view.tagged.entries[index].organ)]
    if not organs and "abnormal" in entry.qualities and _acute(view, mention):
        organ = _where(view, mention)
        organs = [organ] if organ else [] if view.tagged.words[0] in _PRONOUNS else ["chest"]
    for organ in organs:
        for head in heads:
            if pair := view.book.pairs.get((organ, head)):
                finding, kind = pair
                strong = entry.finding not in (None, finding) and not entry.weak
                if kind == "present" and strong and head != f"[{entry.finding}]":
                    continue
                yield kind, finding if finding != "-" else organ
                break


def _where(view: View, mention: Mention) -> str | None:
    """The organ that the clause comes to later ("no acute injury is noticeable in the bones")."""
    clauses = view.scope.clauses
    for at in range(mention.index + 1, len(clauses)):
        if clauses[at] == clauses[mention.index] and view.tagged.entries[at].organ:
            return view.tagged.entries[at].organ
    return None


def _normal(view: View, kind: str, organ: str, status: Status, mention: Mention) -> tuple[str, ...]:
    if kind == "abnormal":
        if status != "absent":
            return ()
        return view.book.normal.get(organ, ((), ()))[1 if _acute(view, mention) else 0]
    if status != "present":
        return ()
    only_acute = organ == "chest" and _acute(view, mention)
    return view.book.normal.get(_NORMAL_OF.get(kind, organ), ((), ()))[1 if only_acute else 0]


def _close(view: View, mention: Mention) -> bool:
    """Whether normality is said of the organ itself: words enough between, or an apposition, and it is unsure."""
    words, first, last = view.tagged.words, view.tagged.first[mention.index], view.tagged.last[mention.index]
    before = [index for index in mention.organs if index < mention.index]
    if len(before) < len(mention.organs) or not before:
        return True
    start = view.tagged.last[before[-1]] + 1
    if "than" in words[start:first]:
        return False  # "darker than usual"
    if "," in words[start:first] and (words[first - 1] in ("a", "an") or _modifies_other(view, last + 1)):
        return False  # "degenerative changes, ordinary wear"
    if (
        words[first - 1] not in _COPULAS | _LINKS
        and first - 1 not in view.tagged.last
        and _modifies_other(view, last + 1)
    ):
        return False
    if not _ARTICLES.isdisjoint(words[max(start, first - 3) : first]) and _modifies_other(view, last + 1):
        return False
    known = {
        position
        for index in range(before[-1] + 1, mention.index)
        for position in range(view.tagged.first[index], view.tagged.last[index] + 1)
    }
    if words[start:first].count(",") > 1:  # an aside between: "the bases, usually the first to be hidden, are clear"
        start = first - words[start:first][::-1].index(",")
    loose = [word for position, word in enumerate(words[start:first], start) if position not in known]
    return sum(len(word) > 3 for word in loose) < _LOOSE or last >= len(words)


def _modifies_other(view: View, after: int) -> bool:
    words = view.tagged.words
    if after >= len(words) or not words[after].isalpha() or words[after] in _ASPECTS:
        return False
    return after not in view.tagged.first


def _acute(view: View, mention: Mention) -> bool:
    first, last = view.tagged.first[mention.index], view.tagged.last[mention.index]
    if mention.organs:
        first = min(first, view.tagged.first[mention.organs[0]])
    after = last + (
        _NEXT if "for" in view.tagged.words[last + 1 : last + 3] else 1
    )  # "a negative study for acute disease"
    return not _ACUTE.isdisjoint(view.tagged.words[max(0, first - 4) : after])


def _modifies_next(view: View, position: int, entry: Entry) -> bool:
    """A quality directly before a finding is its adjective ("increased opacity"), unless an organ is between."""
    if entry.finding is not None or position + 1 >= len(view.mentions):
        return False
    here, there = view.mentions[position].index, view.mentions[position + 1].index
    follows = view.tagged.entries[there]
    return follows.finding is not None and there == here + 1 and view.tagged.first[there] - view.tagged.last[here] == 1


def status_of(view: View, index: int) -> Status | None:
    state = view.scope.states[index]
    if state & DENIED:
        return "absent"
    if state & ALT and not state & NEG:
        return "absent" if view.scope.dismissed[index] and not _definite(view, index) else None
    if state & NEG:
        return None if _presupposed(view, index) or _supposed(view, index) else "absent"
    if state == HIST and (view.tagged.entries[index].finding in view.book.devices):
        return "present"  # "status post spinal fusion"
    if state & (HYP | HIST):
        return "present" if state == HYP and _signs_present(view, index) else None
    return "uncertain" if state & UNC else "present"


def _signs_present(view: View, index: int) -> bool:
    """ "The typical signs of edema are present": signs as such assert nothing, until they are seen."""
    words, first, last = view.tagged.words, view.tagged.first[index], view.tagged.last[index]
    follows = words[last + 1 : last + 4]
    return (
        words[max(0, first - 2) : first] in (["sign", "of"], ["signs", "of"])
        and bool(follows)
        and follows[0] in _COPULAS
        and not _THERE.isdisjoint(follows[1:])
    )


def _definite(view: View, index: int) -> bool:
    first = view.tagged.first[index]
    return not _DEFINITE.isdisjoint(view.tagged.words[max(0, first - 1) : first])


def _supposed(view: View, index: int) -> bool:
    """ "Nodules that are not calcified would alarm": nothing is denied of this patient."""
    words, after = view.tagged.words, view.tagged.last[index] + 1
    return words[after : after + 1] == ["would"]


def _presupposed(view: View, index: int) -> bool:
    """ "Neither lead is broken": what is denied is a state of the thing, which is there."""
    first, after, words = view.tagged.first[index], view.tagged.last[index] + 1, view.tagged.words
    return (
        first > 0
        and words[first - 1] in _DETERMINERS
        and view.tagged.entries[index].finding in view.book.devices
        and words[after : after + 1] != []
        and words[after] in _COPULAS
        and after + 1 < len(words)
        and words[after + 1] not in _THERE
    )
