"""Attachment: which organ, side, place, size and end a mention of a sentence has. Knows word order, not meaning.

A locating phrase ("in the left lower lobe") belongs to the nearest mention before it, an adjective ("left basilar")
to the next one after it; both stay inside their clause. Organs join with qualities into findings (pairs.tsv).
"""

from .lexicon import CUES
from .organs import Mention, find_organs, is_which
from .states import BACKWARD, BREAK, DENIED, FORWARD, HYP, NEG, Scope, is_head
from .tagging import Tagged

_COMPARED = frozenset({"comparison", "compare", "compared", "comparing"})
_VERB, _COMMA, _CONJ, _PREP = CUES["verb"], CUES["comma"], CUES["conj"], CUES["prep"]
_PRESUP = CUES["presup"] | CUES["cause"]


def mentions(tagged: Tagged, scope: Scope) -> list[Mention]:
    """All mentions in order, with organs, sides, places and sizes."""
    found = [Mention(index) for index, entry in enumerate(tagged.entries) if is_head(entry)]
    for position, mention in enumerate(found):
        find_organs(tagged, scope, mention, found[position - 1].index if position else -1)
    _locate(tagged, scope, found)
    return found


def _locate(tagged: Tagged, scope: Scope, found: list[Mention]) -> None:
    entries = tagged.entries
    # a quality that is said of no organ here has no place either: "a dense focus in the right lung"
    heads = [mention.index for mention in found if entries[mention.index].finding or mention.organs]
    if not heads:
        return
    by_index = {mention.index: mention for mention in found if mention.index in heads}
    late: list[tuple[int, int]] = []
    for index, entry in enumerate(entries):
        if index in by_index:
            mention = by_index[index]
            if entry.side:
                mention.sides.add(entry.side)
            if entry.place:
                mention.places.append(entry.place)
            if entry.size and not (entry.qualities or entry.finding):
                mention.size = entry.size
        if entry.side or entry.place or entry.size:
            if entry.side and (quantifies(tagged, index) or (not entry.place and _compares_sides(tagged, index))):
                continue
            if index in by_index and not (entry.size and entry.qualities and entry.finding is None):
                continue
            target = _inside(found, index)
            if target not in by_index:
                target = _target(tagged, scope, heads, index)
            if target is None or target == index:
                continue
            if target < index and scope.states[index] & HYP and not scope.states[target] & HYP:
                continue  # "an empyema would be larger than this fluid", "a mimic of an apical nodule"
            if scope.states[index] & NEG and not scope.states[target] & (NEG | DENIED):
                continue  # "the effusion does not reach the left side"
            _give(entry_of=index, mention=by_index[target], tagged=tagged)
            late.append((index, target))
            head = next((head for head in heads if head > index), None)
            if head is not None and target < index and _one_phrase(tagged, target, head):
                _give(entry_of=index, mention=by_index[head], tagged=tagged)
    for mention in by_index.values():
        if scope.clauses[mention.index] and not (mention.sides or mention.places):
            _inherit(tagged, scope, mention)
    named = [head for head in heads if tagged.entries[head].finding]
    if len(named) == 1 and not (by_index[named[0]].sides or by_index[named[0]].places):
        _only_place(tagged, scope, by_index[named[0]])
    for index, target in late:  # "consolidation and effusion in the left lower lobe": both are there
        if index < target or entries[index].size or not _postponed(tagged, index, target):
            continue
        position = heads.index(target)
        while position and _listed(tagged, scope, heads[position - 1], heads[position]):
            position -= 1
            mention = by_index[heads[position]]
            if mention.places or (mention.sides and not entries[index].place):
                break
            _give(entry_of=index, mention=mention, tagged=tagged)


def _one_phrase(tagged: Tagged, quality: int, head: int) -> bool:
    """ "Calcified right hilar nodules": what stands between an adjective and its noun belongs to both."""
    return not tagged.entries[quality].finding and all(
        (entry.side or entry.place or entry.size or entry.organ) and tagged.first[at] == tagged.last[at - 1] + 1
        for at, entry in enumerate(tagged.entries[quality + 1 : head], quality + 1)
    )


def _inside(found: list[Mention], index: int) -> int | None:
    """ "Elevated right hemidiaphragm": between a quality and its organ."""
    return next((m.index for m in found if m.organs and m.index < index < m.organs[0]), None)


def _only_place(tagged: Tagged, scope: Scope, mention: Mention) -> None:
    """ "The left apex deserves a look, with a subtle opacity": one finding, one place, nothing else said of it."""
    found = [index for index, entry in enumerate(tagged.entries) if entry.side or entry.place]
    if (
        mention.index
        and found
        and found[-1] < mention.index
        and not any(is_head(entry) for entry in tagged.entries[found[0] + 1 : mention.index])
        and not any(quantifies(tagged, index) or _compares_sides(tagged, index) for index in found)
        and not any(scope.states[index] & NEG for index in (*found, mention.index))
        and "with" in tagged.words[tagged.last[found[-1]] : tagged.first[mention.index]]
    ):
        for index in found:
            _give(entry_of=index, mention=mention, tagged=tagged)


def _inherit(tagged: Tagged, scope: Scope, mention: Mention) -> None:
    """ "The right dome bulges, which is an eventration": what "which" names is where its antecedent is."""
    clause = scope.clauses[mention.index]
    opening = next(index for index, other in enumerate(scope.clauses) if other == clause)
    if not (tagged.entries[opening].cues & BREAK and is_which(tagged, opening)):
        return
    for index in range(opening - 1, -1, -1):
        if scope.clauses[index] != clause - 1:
            break
        if tagged.entries[index].side or tagged.entries[index].place:
            _give(entry_of=index, mention=mention, tagged=tagged)


def _give(*, entry_of: int, mention: Mention, tagged: Tagged) -> None:
    entry = tagged.entries[entry_of]
    if entry.side:
        mention.sides.add(entry.side)
    if entry.place and entry.place not in mention.places:
        mention.places.append(entry.place)
    if entry.size and mention.size is None:
        mention.size = entry.size


def _listed(tagged: Tagged, scope: Scope, first: int, second: int) -> bool:
    between = tagged.entries[first + 1 : second]
    return (
        scope.clauses[first] == scope.clauses[second]
        and bool(between)
        and all(entry.cues & (_CONJ | _COMMA) for entry in between)
        and tagged.first[second] - tagged.last[first] <= 4
    )


def _target(tagged: Tagged, scope: Scope, heads: list[int], index: int) -> int | None:
    """The mention that a side, place or size at `index` belongs to."""
    entries, clauses = tagged.entries, scope.clauses
    clause = clauses[index]
    before = after = later = None
    blocked = False
    for ahead in range(index + 1, min(len(entries), index + 24)):
        if clauses[ahead] != clause:
            break
        if ahead in heads:
            later = ahead
            after = None if blocked else ahead
            break
        blocked = blocked or bool(entries[ahead].cues & (_COMMA | _PRESUP))
    for back in range(index - 1, max(-1, index - 24), -1):
        if clauses[back] != clause:
            break
        if back in heads:
            before = back
            break
    if before is None and later is None:  # "the catheter, which enters from the right arm"
        opening = next(number for number, other in enumerate(clauses) if other == clause)
        if clause and is_which(tagged, opening):
            before = next((back for back in reversed(heads) if back < index and clauses[back] == clause - 1), None)
    if entries[index].size and not (entries[index].side or entries[index].place):
        return after if after is not None else before
    if after is not None and _begins_another(tagged, index, after):
        return after
    opens = tagged.first[index] > 0 and tagged.words[tagged.first[index] - 1] == "," and later is not None
    if before is not None and not opens and _postponed(tagged, index, before):
        return before
    if after is not None:
        return after
    if before is not None and entries[index].side and _of_another(tagged, index):
        return None
    if before is not None and entries[index].place and _apposed(tagged, before):
        return before
    if before is not None and entries[index].organ and any(e.cues & _COMMA for e in entries[before + 1 : index]):
        return later if later is not None and not blocked else None  # "with the volume loss, the hilum is retracted"
    return before if before is not None else later


def _apposed(tagged: Tagged, before: int) -> bool:
    """ "Calcified granuloma, right lung base.": after the comma nothing but where it is."""
    comma, rest = tagged.entries[before + 1], tagged.entries[before + 2 :]
    return (
        bool(comma.cues & _COMMA)
        and all(entry.side or entry.place for entry in rest)
        and all(a == b + 1 for a, b in zip(tagged.first[before + 1 :], tagged.last[before:], strict=False))
        and tagged.words[tagged.last[-1] + 1 :] in ([], ["."])
    )


def _begins_another(tagged: Tagged, index: int, after: int) -> bool:
    """ "... over the left chest and minimal right basilar atelectasis": the adjectives of the next finding."""
    low = index
    while (
        low
        and tagged.last[low - 1] == tagged.first[low] - 1
        and (tagged.entries[low - 1].side or tagged.entries[low - 1].place or tagged.entries[low - 1].size)
    ):
        low -= 1
    before = tagged.words[tagged.first[low] - 1] if tagged.first[low] else ""
    return before in ("and", ",", "plus") and all(
        tagged.first[at + 1] == tagged.last[at] + 1 for at in range(low, after)
    )


def _of_another(tagged: Tagged, index: int) -> bool:
    """ "An opacity, and a left interface": a side after "and a" belongs to a noun that the lexicon does not know."""
    first, last = tagged.first[index], tagged.last[index]
    follows = tagged.words[last + 1 : last + 2]
    return (
        bool({"and", ","} & {*tagged.words[max(0, first - 2) : first]})
        and "".join(follows).isalpha()
        and last + 1 not in tagged.first
    )


def _postponed(tagged: Tagged, index: int, before: int) -> bool:
    """Whether the phrase comes after its mention: a preposition stands between, or it is an adverb."""
    words = tagged.words
    first = words[tagged.first[index]]
    if first in ("on", "bilaterally", "in", "along", "behind", "leftward", "rightward"):
        return True
    for back in range(index - 1, before, -1):
        entry = tagged.entries[back]
        if entry.cues & _PREP:
            return not _of_unknown(tagged, back, before)
        if entry.cues & (_COMMA | _VERB | _PRESUP | FORWARD) or (
            entry.cues & _CONJ and not _joins_places(tagged, back)
        ):
            return False
    return False


def _of_unknown(tagged: Tagged, index: int, before: int) -> bool:
    """ "Scar contracts, and its pull is seen as retraction of the hila": "of" belongs to the noun before it."""
    first = tagged.first[index]
    known = any(a < first <= b + 1 for a, b in zip(tagged.first, tagged.last, strict=True))
    commas = any(entry.cues & _COMMA for entry in tagged.entries[before + 1 : index])
    return tagged.words[first] == "of" and commas and not known


def _joins_places(tagged: Tagged, index: int) -> bool:
    entry = tagged.entries[index - 1]
    return bool(entry.side or entry.place or entry.organ)


def quantifies(tagged: Tagged, index: int) -> bool:
    """ "Both" in "effusion and pneumothorax are both absent" counts findings, not sides."""
    word = tagged.words[tagged.first[index]]
    if word not in ("both", "neither", "either", "each") or tagged.first[index] != tagged.last[index]:
        return False
    follow = index + 1
    if follow >= len(tagged.entries) or tagged.first[follow] > tagged.last[index] + 3:
        return True
    entry = tagged.entries[follow]
    if entry.cues & BACKWARD or (entry.finding is not None and word != "both"):
        return True
    return entry.organ in ("tip", "chest") or not (entry.organ or entry.place or entry.finding or entry.size)


def _compares_sides(tagged: Tagged, index: int) -> bool:
    """ "Wider than the one on the left": the other side is only what is compared with."""
    first = tagged.first[index]
    before = tagged.words[max(0, first - 2) : first]
    if before == ["that", "the"] or (before == ["with", "the"] and not _COMPARED.isdisjoint(tagged.words)):
        return True
    return "than" in tagged.words[max(0, first - 5) : first]
