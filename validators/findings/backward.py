"""Backward scope: cues after their mentions ("is absent", "was considered"). Knows cues, not findings."""

from collections.abc import Callable

from .lexicon import CUES, Entry, lexicon
from .states import ALT, BACKWARD, DENIED, HIST, HYP, NEG_PRE, UNC, Scope, is_head
from .tagging import Tagged

_OF_DISEASE = frozenset({"excluded", "ruled", "unlikely", "considered", "dismissed"})  # said of no device
_MODALS = frozenset({"can", "would", "could"})
_POINTING = frozenset({"this", "these", "those", "their"})


def _pointed(tagged: Tagged, index: int) -> bool:
    """Whether the words point at a finding known from before ("these opacities", "such a shadow"): it is there."""
    first = tagged.first[index]
    return any(word in _POINTING for word in tagged.words[max(0, first - 3) : first])


def reach_back(tagged: Tagged, result: Scope, index: int) -> None:
    """Lets a cue after its mentions reach back: to the nearest ones of its clause, and what is listed with them."""
    entries, clauses = tagged.entries, result.clauses
    if tagged.first[index] == tagged.last[index] and _modifies_next(tagged, result, index):
        return
    before = tagged.first[index] - 1
    if before > 0 and tagged.words[before] == "that" and before - 1 not in tagged.last:
        return  # "a curve that should be kept in mind": of a noun that is no finding
    if entries[index].qualities and _said_of_organ(entries, clauses, index):
        return
    bits = _bits(entries[index].cues)
    reached = 0
    for back in range(index - 1, -1, -1):
        entry = entries[back]
        if clauses[back] != clauses[index]:
            if clauses[back] > clauses[index]:
                continue  # a relative clause in between
            if not reached and entry.cues & CUES["comma"]:
                continue
            if (
                not reached
                and is_head(entry)
                and tagged.words[tagged.last[back] + 2 : tagged.last[back] + 3] == ["which"]
            ):
                result.states[back] |= bits  # "subpulmonic fluid, which is dismissed"
            break
        if is_head(entry):
            if tagged.words[tagged.first[index]] == "none" and _beside(tagged, clauses, back):
                continue
            if entry.finding in lexicon().devices and not _OF_DISEASE.isdisjoint(_words(tagged, index)):
                continue
            if _governed(tagged, back) and _earlier(entries, clauses, back, _names_finding):
                continue
            if reached and _earlier(entries, clauses, back, _finite):
                break  # the end of a sentence before: "it is an infiltrate, and atelectasis is ruled out"
            result.states[back] |= HYP if bits == DENIED and _pointed(tagged, back) else bits
            reached = back
        elif entry.cues & CUES["colon"] and (reached or _earlier(entries, clauses, back, _finite)):
            break  # a statement of its own before it, not a topic
        elif (reached and entry.cues & (CUES["verb"] | CUES["presup"] | CUES["cause"] | NEG_PRE | CUES["unc_pre"])) or (
            reached and entry.cues & BACKWARD
        ):
            break


def _words(tagged: Tagged, index: int) -> list[str]:
    return tagged.words[tagged.first[index] : tagged.last[index] + 1]


def _beside(tagged: Tagged, clauses: list[int], index: int) -> bool:
    """ "A pneumothorax is a risk of catheters, and none is found": of two, a device is not what was looked for."""
    devices, entries = lexicon().devices, tagged.entries
    return entries[index].finding in devices and any(
        entries[back].finding and entries[back].finding not in devices and clauses[back] == clauses[index]
        for back in range(len(entries))
    )


def _said_of_organ(entries: list[Entry], clauses: list[int], index: int) -> bool:
    """ "Apart from the opacity the chest is negative": a cue that is a quality too is said of the organ before it."""
    for back in range(index - 1, -1, -1):
        if clauses[back] != clauses[index] or entries[back].finding:
            return False
        if entries[back].organ:
            return True
    return False


def _bits(cues: int) -> int:
    if cues & CUES["neg_post"]:
        return DENIED
    if cues & CUES["alt_post"]:
        return ALT
    if cues & CUES["unc_post"]:
        return UNC
    return HYP if cues & CUES["hyp_post"] else HIST


def _modifies_next(tagged: Tagged, result: Scope, index: int) -> bool:
    """A single word ("possible", "negative") reaches back only if it is not the adjective of what follows."""
    follow = index + 1
    return (
        tagged.words[tagged.first[index]] not in _MODALS
        and follow < len(tagged.entries)
        and result.clauses[follow] == result.clauses[index]
        and _nominal(tagged.entries[follow])
        and tagged.first[follow] - tagged.last[index] <= 3
    )


def _nominal(entry: Entry) -> bool:
    return is_head(entry) or bool(entry.organ or entry.side or entry.place or entry.size)


def _governed(tagged: Tagged, index: int) -> bool:
    """Whether a preposition stands directly before the mention ("the opacity behind the effusion")."""
    for back in range(index - 1, max(-1, index - 4), -1):
        entry = tagged.entries[back]
        if entry.cues & (CUES["prep"] | CUES["presup"] | CUES["cause"]):
            return tagged.first[index] - tagged.last[back] <= 4
        if not (entry.side or entry.place or entry.size):
            return False
    return False


def _names_finding(entry: Entry) -> bool:
    return entry.finding is not None


def _finite(entry: Entry) -> bool:
    return bool(entry.cues & (CUES["verb"] | CUES["unc_pre"]))


def _earlier(entries: list[Entry], clauses: list[int], index: int, kind: Callable[[Entry], bool]) -> bool:
    return any(kind(entries[back]) and clauses[back] == clauses[index] for back in range(max(0, index - 8), index))
