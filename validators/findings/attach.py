"""Attachment: which organ, side, place, size and end a mention of a sentence has. Knows word order, not meaning.

A locating phrase ("in the left lower lobe") belongs to the nearest mention before it, an adjective ("left basilar")
to the next one after it; both stay inside their clause. Organs join with qualities into findings (pairs.tsv).
"""

from dataclasses import dataclass, field

from .claim import Side
from .clauses import BACKWARD, BREAK, FORWARD, NEG_PRE, Clauses
from .lexicon import CUES, word_set
from .match import Match, is_head
from .modifiers import DENIED, HYP, NEG, Modified
from .switches import part

_ARTICLES = frozenset({"a", "an"})
_NEAR = 6  # words between a quality and the organ after it, or between two qualities of one organ
_AROUND = 24  # phrases around a place in which its mention stands
_OF = word_set("of")
_VERB, _COMMA, _CONJ, _PREP = CUES["verb"], CUES["comma"], CUES["conj"], CUES["prep"]
_PRESUP = CUES["presup"] | CUES["cause"]
_ADVERBS = frozenset({"on", "bilaterally", "in", "along", "behind", "leftward", "rightward"})
QUANTIFIERS = frozenset({"both", "neither", "either", "each"})


@dataclass(slots=True)
class Mention:
    """A finding, device or quality of a sentence, with what belongs to it; `from_phrases` are those that gave it."""

    index: int  # of its phrase
    organs: list[int] = field(default_factory=list)
    sides: set[str] = field(default_factory=set)
    places: list[str] = field(default_factory=list)
    size: str | None = None
    counted: bool = False  # its side comes from "both", "each" and the like
    from_phrases: list[int] = field(default_factory=list)

    def take(self, match: Match, at: int) -> None:
        """What a locating or sizing phrase gives to the mention."""
        entry = match.entries[at]
        if entry.side:
            self.sides.add(entry.side)
            self.counted = self.counted or match.words[match.first[at]] in QUANTIFIERS
        if entry.place and entry.place not in self.places:
            self.places.append(entry.place)
        if entry.size and self.size is None:
            self.size = entry.size
        self.from_phrases.append(at)


def one_side(sides: set[str]) -> Side | None:
    """The side that several words of side give together."""
    if not sides:
        return None
    return "bilateral" if "bilateral" in sides or len(sides) > 1 else "left" if "left" in sides else "right"


def mentions(match: Match, clauses: Clauses, modified: Modified) -> list[Mention]:
    """All mentions in order, with organs, sides, places and sizes."""
    found = [Mention(at) for at, entry in enumerate(match.entries) if entry.heads]
    before = -1
    for mention in found if match.cues & CUES["organ"] else ():
        mention.organs = _organs(match, clauses, mention.index, before)
        before = mention.index
    # a quality that is said of no organ here has no place either: "a dense focus in the right lung"
    located = {one.index: one for one in found if match.entries[one.index].finding or one.organs}
    if located and match.cues & CUES["located"]:
        _locate(match, clauses, modified, located)
    return found


@part("attach.organs", off=[])
def _organs(match: Match, clauses: Clauses, at: int, before: int) -> list[int]:
    """The organs that a quality or finding is said of: after it ("calcification of the aorta"), else before it."""
    fits = match.entries[at].fits
    after, loose = _organs_after(match, clauses, at, fits)
    if after and not loose:
        return after
    if not match.entries[at].finding and _is_adjective(match, at):
        return []
    return _organs_before(match, clauses, at, before, fits) or after


@part("attach.adjective", off=False)
def _is_adjective(match: Match, at: int) -> bool:
    """Whether a quality stands right before a finding and is said of it ("increased opacity"), not of an organ."""
    follow = at + 1
    if follow >= len(match.entries) or not match.entries[follow].finding:
        return False
    return match.first[follow] == match.last[at] + 1


def _organs_after(match: Match, clauses: Clauses, at: int, fits: frozenset[str]) -> tuple[list[int], bool]:
    """The organs after, and whether a preposition stands between ("normal for the purpose of the study")."""
    entries, group, end, loose = match.entries, list[int](), match.last[at], False
    for ahead in range(at + 1, len(entries)):
        entry, first = entries[ahead], match.first[ahead]
        if clauses.number[ahead] != clauses.number[at]:
            break
        if entry.organ is not None:
            if group and not _ARTICLES.isdisjoint(match.words[end + 1 : first]):
                break  # "clear lungs and a worn spine"
            if entry.organ not in fits or first - end > _NEAR:
                break
            if not group:
                loose = any(entries[between].cues & _PREP for between in range(at + 1, ahead))
            group.append(ahead)
            end = match.last[ahead]
        elif entry.cues & (_VERB | _PRESUP | BREAK | FORWARD) or is_head(entry):
            if entry.cues & _VERB and len(group) > 1:
                group.pop()  # "normal heart size and the lungs are": another subject
            break
        elif (entry.cues & (_CONJ | _COMMA) and not group) or (entry.cues & _PREP and match.words[first] not in _OF):
            break
    return group, loose


def _organs_before(match: Match, clauses: Clauses, at: int, before: int, fits: frozenset[str]) -> list[int]:
    """ "Heart, mediastinum and vessels are normal", "rib fracture"."""
    entries, number = match.entries, clauses.number
    group: list[int] = []
    for back in range(at - 1, -1, -1):
        entry = entries[back]
        if number[back] != number[at] or (entry.cues & BREAK and back and number[back] != number[back - 1]):
            carried = not group and (is_which(match, back) or _goes_on(match, back))
            return _antecedent(match, back, fits) if carried else group[::-1]
        if entry.organ is not None and not is_head(entry):
            if group and ":" in match.words[match.last[back] : match.first[group[-1]]]:
                break  # "heart and aorta: heart size normal": a heading, and then the subject
            if entry.organ in fits:
                group.append(back)
            elif group:
                break
        elif not group and entry.cues & NEG_PRE and back and entries[back - 1].cues & (_CONJ | _COMMA):
            break  # "..., and no abnormality": of something else
        elif entry.cues & _PRESUP or (group and (entry.cues & (_VERB | FORWARD) or back == before)):
            break
        if back == before and entry.organ is None and match.first[at] - match.last[back] > _NEAR:
            break
    return group[::-1]


def _antecedent(match: Match, which: int, fits: frozenset[str]) -> list[int]:
    """ "The mediastinum, which is widened": what is said after "which" is said of the organ before it."""
    near = next((at for at in range(which - 1, max(-1, which - 4), -1) if match.entries[at].organ), None)
    return [near] if near is not None and match.entries[near].organ in fits else []


def _goes_on(match: Match, border: int) -> bool:
    """Whether a clause speaks of the subject before it: it begins with a pronoun or with its verb."""
    first = match.last[border] + 1
    first += match.words[first : first + 1] == [","]
    follow = next((at for at in range(border + 1, len(match.entries)) if match.first[at] >= first), None)
    verb = follow is not None and match.first[follow] == first and bool(match.entries[follow].cues & _VERB)
    return verb or match.words[first : first + 1] in (["it"], ["they"])


def is_which(match: Match, at: int) -> bool:
    """Whether a phrase opens a relative clause."""
    return match.words[match.first[at]] == "which"


def _locate(match: Match, clauses: Clauses, modified: Modified, located: dict[int, Mention]) -> None:
    heads = list(located)
    for at, entry in enumerate(match.entries):
        if not (entry.side or entry.place or entry.size):
            continue
        if at in located:
            own = located[at]
            size = own.size
            own.take(match, at)
            own.size = size if entry.qualities or entry.finding else own.size
        if entry.side and quantifies(match, at):
            continue
        if at in located and not (entry.size and entry.qualities and entry.finding is None):
            continue
        target = _target(match, clauses, heads, at)
        if target is None or target == at:
            continue
        states = modified.states
        if target < at and states[at] & HYP and not states[target] & HYP:
            continue  # "an empyema would be larger than this fluid", "a mimic of an apical nodule"
        if states[at] & NEG and not states[target] & (NEG | DENIED):
            continue  # "the effusion does not reach the left side"
        located[target].take(match, at)


@part("attach.places", off=None)
def _target(match: Match, clauses: Clauses, heads: list[int], at: int) -> int | None:
    """The mention that a side, place or size belongs to."""
    entries, number = match.entries, clauses.number
    before = after = later = None
    blocked = False
    for ahead in range(at + 1, min(len(entries), at + _AROUND)):
        if number[ahead] != number[at]:
            break
        if ahead in heads:
            later = ahead
            after = None if blocked else ahead
            break
        blocked = blocked or bool(entries[ahead].cues & (_COMMA | _PRESUP))
    for back in range(at - 1, max(-1, at - _AROUND), -1):
        if number[back] != number[at]:
            break
        if back in heads:
            before = back
            break
    if entries[at].size and not (entries[at].side or entries[at].place):
        return after if after is not None else before
    opens = match.words[match.first[at] - 1 : match.first[at]] == [","] and later is not None
    if before is not None and not opens and _postponed(match, at, before):
        return before
    if after is not None:
        return after
    if before is not None and entries[at].organ and any(e.cues & _COMMA for e in entries[before + 1 : at]):
        return later if later is not None and not blocked else None  # "with the volume loss, the hilum is retracted"
    return before if before is not None else later


@part("attach.postponed", off=False)
def _postponed(match: Match, at: int, before: int) -> bool:
    """Whether the phrase comes after its mention: a preposition stands between, or it is an adverb."""
    if match.words[match.first[at]] in _ADVERBS:
        return True
    for back in range(at - 1, before, -1):
        entry = match.entries[back]
        if entry.cues & _PREP:
            return True
        if entry.cues & (_COMMA | _VERB | _PRESUP | FORWARD):
            return False
        if entry.cues & _CONJ and not (match.entries[back - 1].side or match.entries[back - 1].place):
            return False
    return False


@part("attach.quantifiers", off=False)
def quantifies(match: Match, at: int) -> bool:
    """ "Both" in "effusion and pneumothorax are both absent" counts findings, not sides."""
    word = match.words[match.first[at]]
    if word not in QUANTIFIERS or match.first[at] != match.last[at]:
        return False
    follow = at + 1
    if follow >= len(match.entries) or match.first[follow] > match.last[at] + 3:
        return True
    entry = match.entries[follow]
    if entry.cues & BACKWARD or (entry.finding is not None and word != "both"):
        return True
    return entry.organ in ("tip", "chest") or not (entry.organ or entry.place or entry.finding or entry.size)
