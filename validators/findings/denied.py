"""Denial: whether one that reached a mention is plainly meant of it, or may be of something else."""

from .lexicon import CUES, word_set
from .spoken import is_object
from .states import BACKWARD, DENIED, FORWARD, NEG, NEG_PRE, is_head
from .view import IS, OPENING, View, statement, uncovered

_CONDITIONS = word_set("condition")
_SHOWS = word_set("show")
_ANY = frozenset({"any", "a", "an", "one"})
_ORIGINS = frozenset({"source", "cause", "origin", "explanation", "reason", "kind", "type", "form", "result"})
_AUXILIARIES = frozenset({"do", "does", "did"})
_EXCEPTS = frozenset({"but", "except", "save", "apart", "aside"})  # "the bones are normal, but one joint is worn"
_APART = frozenset({"apart", "aside", "besides", "beyond"})
_RELATIVES = frozenset({"which", "that"})
_OF_FITS = frozenset({"fit", "fits", "explain", "suffice", "discarded", "convince"})
_VIEWS = frozenset({"lateral", "frontal", "pa", "ap"})
_VERBS = CUES["verb"] | CUES["presup"]
_CROSSED = _VERBS | CUES["cause"] | CUES["dismiss"] | FORWARD & ~NEG_PRE
_FAR = 4  # unknown words that a denial plainly reaches across
_COPULAS = frozenset({"is", "are", "was", "were", "be", "been", "remains"})


def is_soft_denial(view: View, index: int) -> bool:
    """Whether a denial of a mention may not be meant as one: it reaches it across another verb or subject, holds for
    one view only, or under a condition."""
    tagged, state = view.tagged, view.scope.states[index]
    start, _ = statement(view, tagged.first[index])
    if _elsewhere(tagged.words) or "elsewhere" in tagged.words[start : tagged.first[index]]:
        return True
    if not _APART.isdisjoint(tagged.words[max(0, tagged.first[index] - 4) : tagged.first[index]]):
        return True  # "apart from these granulomas, is anything left? None"
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
        said = tagged.words[tagged.first[cue] : tagged.last[cue] + 1]
        if after[:1] == ["as"] or not _OF_FITS.isdisjoint([*said, *after[:1]]):
            return True  # "rejected as the sole cause", "scars do not fit"
        if _VIEWS & {*after} and "either" not in after and "both" not in after:
            return True
        if "," in tagged.words[begin:end] and uncovered(view, begin, end):
            return True  # "an effusion, cause not apparent"
        if not _RELATIVES.isdisjoint(tagged.words[max(0, tagged.first[index] - 2) : tagged.first[index]]):
            return True  # "for a pneumothorax, which emphysema can provoke, and found none"
    else:
        cue = next((at for at in range(index, -1, -1) if entries[at].cues & NEG_PRE), None)
        if cue is None or cue == index:
            return False
        low, high = cue + 1, index
        begin, end = tagged.last[cue] + 1, tagged.first[index]
        if tagged.words[tagged.first[cue]] == "rather":
            return True
        if tagged.words[tagged.first[cue]] == "none" and not entries[index].finding:
            return True  # "rather than a lobar process": of what is there it denies only the kind
        if _causes_nothing(view, cue, begin) or "otherwise" in tagged.words[max(0, tagged.first[cue] - 2) : begin]:
            return True
        if not entries[index].finding and tagged.words[begin - 1 : begin + 1] in (["not", "a"], ["not", "an"]):
            return True  # "a remnant and not an active process": of that thing alone
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
    shown = not _SHOWS.isdisjoint(tagged.words[begin:end]) and bool(_ANY & {*tagged.words[max(begin, end - 3) : end]})
    if crossed and not shown:
        return True  # but "neither base shows any atelectasis"
    if state & NEG and is_object(view, index):
        return True
    return uncovered(view, begin, end) > _FAR


def _causes_nothing(view: View, cue: int, begin: int) -> bool:
    """ "They do not by themselves produce consolidation": what is denied is a verb, unless it is one of showing."""
    words, at = view.tagged.words, view.tagged.first[cue]
    negated = words[at].endswith("n't") or (at > 0 and words[at - 1] in _AUXILIARIES)
    if not negated:
        return False
    return _SHOWS.isdisjoint(words[begin : begin + OPENING]) and IS.isdisjoint(words[max(0, at - 1) : at])


def _elsewhere(words: list[str]) -> bool:
    """ "No opacity is recognized there": where, the sentence before said."""
    return "there" in words and any(
        word == "there"
        and words[at + 1 : at + 2] not in (["is"], ["are"], ["was"], ["were"])
        and words[at - 1 : at] not in (["is"], ["are"])
        for at, word in enumerate(words)
        if at
    )
