"""Scope: which mentions of a sentence are denied, hedged, hypothetical, weighed or history.

After NegEx and ConText: a cue reaches forward or backward over mentions until a clause ends. One pass forward, one per
backward cue; both linear in the phrases of the sentence. Knows cues, not findings.
"""

from functools import lru_cache

from .anew import says_something, starts_anew
from .backward import reach_back
from .lexicon import CUES, Entry, lexicon, word_set
from .states import (
    ALT,
    BACKWARD,
    BREAK,
    BRIEF,
    DOUBT,
    FORWARD,
    GONE,
    HIST,
    HYP,
    NEG,
    NEG_PRE,
    NEXT,
    SURE,
    UNC,
    Scope,
    is_head,
)
from .tagging import Tagged, tag
from .text import lower

_PAIR = 4  # phrases between what is denied and a new subject
_TOPIC = 6  # words before a colon, at most, or after it
_ADVERB = CUES["break"]  # "is therefore not supported" starts no clause
_INSTEAD = word_set("instead")
_ADVERBS = frozenset({"nevertheless", "nonetheless", "however", "therefore", "thus", "hence"})
_THERE = word_set("there") - {"there"}
_DEFINITE = word_set("definite")


@lru_cache(maxsize=256)
def tagged_sentence(sentence: str) -> tuple[Tagged, Scope]:
    """The phrases of a sentence and their states; several questions are asked of each of a candidate's sentences."""
    low = lower(sentence)
    tagged = tag(low, 0, len(low))
    return tagged, scope(tagged)


def scope(tagged: Tagged) -> Scope:
    """The states of all phrases of a sentence."""
    result = Scope()
    entries = tagged.entries
    _forward(tagged, result)
    for index, entry in enumerate(entries):
        if entry.cues & BACKWARD:
            reach_back(tagged, result, index)
    for index in result.same:
        _as_before(entries, result, index)
    _topic(tagged, result)
    _sure(tagged, result)
    _dismissals(entries, result)
    return result


def _forward(tagged: Tagged, result: Scope) -> None:
    devices = lexicon().devices  # "no effusion around the tube": a tube that is taken for granted is there
    state = clause = newest = 0
    outer: int | None = None  # the clause around an aside: "an effusion, to which ... , is absent"
    for index, entry in enumerate(tagged.entries):
        cues = entry.cues
        head = is_head(entry)
        taken_for_granted = head and state & NEG and not state & GONE and _definite(tagged, index)
        result.states.append(state & ~NEG | (0 if entry.finding in devices else HYP) if taken_for_granted else state)
        if cues & BREAK and not _is_adverb(tagged, index):
            if outer is not None and tagged.words[tagged.first[index]] == ")":
                state, clause, outer = 0, outer, None
            else:
                outer = clause if _is_aside(tagged, index) else None
                newest += 1
                state, clause = 0, newest
        elif cues & CUES["same"]:
            result.same.append(index)
        elif outer is not None and cues & CUES["comma"] and _predicate_follows(tagged, index):
            state, clause, outer = 0, outer, None
        elif cues & (CUES["conj"] | CUES["comma"]):
            if not cues & CUES["or"]:
                state = _end_next(state)
                if starts_anew(tagged, index, state):
                    state = 0
                    result.borders.append(tagged.first[index])
                    if not says_something(tagged, index):
                        result.inner.append(tagged.first[index])
        elif cues & CUES["colon"]:
            state = state if _follows_cue(tagged, index) else 0
        elif cues & CUES["cause"] and not cues & FORWARD:
            state = HYP if state & NEG else _end_next(state)
        elif state and cues & CUES["presup"] and not _follows_cue(tagged, index):
            state = 0
        elif entry.organ and not head and state & NEG and _new_subject(tagged, index):
            state = 0
            result.borders.append(tagged.first[index])
        elif cues & CUES["verb"] and not head:
            state = _end_next(state)
        breaks = cues & BREAK and not _is_adverb(tagged, index)
        if breaks or cues & (CUES["colon"] | CUES["presup"]) or (cues & NEG_PRE and _after_comma(tagged, index)):
            result.borders.append(tagged.first[index])
            if cues & CUES["presup"] and not cues & (BREAK | CUES["colon"]):
                result.inner.append(tagged.first[index])
        result.clauses.append(clause)
        if cues & FORWARD and not (head and not cues & NEG_PRE):
            state = _reach(cues, state) | (BRIEF if tagged.words[tagged.first[index]] in _INSTEAD else 0)


def _new_subject(tagged: Tagged, index: int) -> bool:
    """ "No pneumothorax the lungs are clear": a subject with its verb, after what was denied; a mark is missing."""
    follow = index + 1
    return (
        tagged.words[max(0, tagged.first[index] - 1) : tagged.first[index]] == ["the"]
        and follow < len(tagged.entries)
        and tagged.first[follow] == tagged.last[index] + 1
        and bool(tagged.entries[follow].cues & CUES["verb"])
        and any(is_head(entry) for entry in tagged.entries[max(0, index - _PAIR) : index])
    )


def _is_adverb(tagged: Tagged, index: int) -> bool:
    """ "Is therefore not supported", "both apices nevertheless show": beside its verb the word starts no clause."""
    if tagged.entries[index].cues & _ADVERB and index and tagged.entries[index - 1].cues & CUES["verb"]:
        return True
    return (
        tagged.words[tagged.first[index]] in _ADVERBS
        and tagged.first[index] > 0
        and tagged.words[tagged.first[index] - 1] not in (",", ";", ":", "and", "(")
    )


def _is_aside(tagged: Tagged, index: int) -> bool:
    """Whether a break opens a parenthesis, or a clause between commas ("which", "to which", "though")."""
    first = tagged.first[index]
    word = tagged.words[first]
    return word == "(" or (word in ("which", "although", "though") and "," in tagged.words[max(0, first - 2) : first])


def _predicate_follows(tagged: Tagged, index: int) -> bool:
    follow = index + 1
    return (
        follow < len(tagged.entries)
        and tagged.first[follow] == tagged.last[index] + 1
        and bool(tagged.entries[follow].cues & (CUES["verb"] | BACKWARD))
    )


def _after_comma(tagged: Tagged, index: int) -> bool:
    first = tagged.first[index]
    return first > 0 and tagged.words[first - 1] in (",", "and")


def _end_next(state: int) -> int:
    if state & BRIEF:
        state &= ~(BRIEF | NEG | HYP)
    return state & ~(NEXT | UNC) if state & NEXT else state


def _reach(cues: int, state: int) -> int:
    if cues & NEG_PRE:
        return NEG | GONE if cues & CUES["res_pre"] else NEG
    if cues & CUES["hyp_pre"]:
        return state | HYP
    if cues & CUES["alt_pre"]:
        return state | ALT
    if cues & CUES["hist_pre"]:
        return state | HIST
    if cues & CUES["unc_adj"]:
        return state if state & UNC else state | UNC | NEXT
    return (state & ~NEXT) | UNC


def _follows_cue(tagged: Tagged, index: int) -> bool:
    return (
        index > 0
        and bool(tagged.entries[index - 1].cues & FORWARD)
        and tagged.last[index - 1] + 1 == tagged.first[index]
    )


def _definite(tagged: Tagged, index: int) -> bool:
    """Whether the mention is taken for granted ("no change in the effusion"): a determiner stands before it."""
    first = tagged.first[index]
    back = index - 1
    while back >= 0 and (tagged.entries[back].side or tagged.entries[back].place or tagged.entries[back].size):
        back -= 1
    floor = tagged.last[back] + 1 if back >= 0 else 0
    return any(word in _DEFINITE for word in tagged.words[max(floor, first - 3) : first])


def _as_before(entries: list[Entry], result: Scope, index: int) -> None:
    before = next((back for back in range(index - 1, -1, -1) if entries[back].finding), None)
    after = next((ahead for ahead in range(index + 1, len(entries)) if entries[ahead].finding), None)
    if before is None and after is not None:
        result.states[after] |= HYP  # as in the sentence before, which is not read here
    if before is not None and after is not None:
        result.states[after] = result.states[before]


def _topic(tagged: Tagged, result: Scope) -> None:
    """What stands before a first colon is the topic and asserts nothing ("Pneumothorax: lung markings reach the wall"),
    unless what follows says only that it is there ("Cardiomegaly: mild")."""
    words = tagged.words[:_TOPIC]
    if ":" not in words:
        return
    colon = words.index(":")
    before = [index for index, last in enumerate(tagged.last) if last < colon]
    if any(tagged.entries[index].cues & (FORWARD | CUES["verb"]) for index in before):
        return
    after = tagged.entries[len(before) :]
    if len(tagged.words) - colon > _TOPIC or any(
        (is_head(entry) and not (entry.size or entry.side)) or entry.cues & (FORWARD | BACKWARD) for entry in after
    ):
        if tagged.words[colon + 1 : colon + 2] and tagged.words[colon + 1] in _THERE:
            return  # "Fluid: present, on the right"
        placed = any(entry.tip or entry.place or entry.side for entry in after)
        denied = any(entry.cues & (NEG_PRE | CUES["neg_post"]) for entry in after)
        devices = lexicon().devices  # "catheter tip: over the right atrium" speaks of a catheter that is there
        for index in before:
            if not (placed and not denied and tagged.entries[index].finding in devices):
                result.states[index] |= HYP


def _sure(tagged: Tagged, result: Scope) -> None:
    """Marks the mentions of a clause that is sure ("not definitely" is not), and those beside words of doubt, up to a
    comma."""
    sure: set[int] = set()
    commas = 0
    parts: list[int] = []
    doubted: set[int] = set()
    for entry, state, clause in zip(tagged.entries, result.states, result.clauses, strict=True):
        commas += bool(entry.cues & CUES["comma"])
        parts.append(commas)
        if entry.cues & CUES["certain"] and not state & NEG:
            sure.add(clause)
        if entry.cues & CUES["doubt"]:
            doubted.add(commas)
    if doubted and not any(
        part in doubted and is_head(entry) for part, entry in zip(parts, tagged.entries, strict=True)
    ):
        doubted = set(parts)  # "an effusion is possible, but far from certain"
    if sure or doubted:
        result.states = [
            state | (DOUBT if part in doubted else 0) | (SURE if clause in sure else 0)
            for state, clause, part in zip(result.states, result.clauses, parts, strict=True)
        ]


def _dismissals(entries: list[Entry], result: Scope) -> None:
    """An alternative that was weighed is set aside if something after it in the sentence speaks against it."""
    aside = False
    marks: list[bool] = []
    for entry in reversed(entries):
        marks.append(aside)
        if entry.cues & CUES["dismiss"] or "normal" in entry.qualities or "clear" in entry.qualities:
            aside = True
    result.dismissed = marks[::-1]
