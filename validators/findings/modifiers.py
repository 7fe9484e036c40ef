"""Modifiers: what the cues of a sentence do to its mentions. After NegEx and ConText (Chapman 2001, Harkema 2009).

Each kind of cue has a target (the state that it gives), a direction, a scope and terminators, all in `MODIFIERS`. One
pass carries the forward cues along; each backward cue then looks back from where it stands. Knows cues, not findings.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

from ..memory import remembered
from .clauses import BACKWARD, BREAK, FORWARD, NEG_PRE, Clauses, reached, segment
from .lexicon import CUES, Entry, lexicon, word_set
from .match import Match, is_head, match
from .sought import sought
from .switches import part

NEG, UNC, HYP, ALT, HIST, SURE, DOUBT, DENIED = 1, 2, 4, 8, 16, 32, 64, 128
_NEXT, _GONE = 256, 512  # hedged until the next item; was there and is not any more
SOUGHT = 1024  # with HYP: it is looked for
_WITHOUT = 2048  # with NEG: up to the next verb


class Modifier(NamedTuple):
    """A kind of cue. Every scope ends at the clause's border; `ends` are the cues that end it before."""

    target: int
    direction: Literal["forward", "backward"]
    scope: Literal["statement", "item", "nearest"]
    ends: int


_FORWARD_ENDS = CUES["colon"] | CUES["presup"]
_BACKWARD_ENDS = CUES["verb"] | CUES["presup"] | CUES["cause"] | NEG_PRE | CUES["unc_pre"] | BACKWARD
MODIFIERS = {
    "neg_pre": Modifier(NEG, "forward", "statement", _FORWARD_ENDS | CUES["cause"]),
    "res_pre": Modifier(NEG | _GONE, "forward", "statement", _FORWARD_ENDS | CUES["cause"]),
    "hyp_pre": Modifier(HYP, "forward", "statement", _FORWARD_ENDS),
    "alt_pre": Modifier(ALT, "forward", "statement", _FORWARD_ENDS),
    "hist_pre": Modifier(HIST, "forward", "statement", _FORWARD_ENDS),
    "unc_adj": Modifier(UNC | _NEXT, "forward", "item", _FORWARD_ENDS | CUES["cause"] | CUES["verb"]),
    "unc_pre": Modifier(UNC, "forward", "statement", _FORWARD_ENDS),
    "neg_post": Modifier(DENIED, "backward", "nearest", _BACKWARD_ENDS),
    "alt_post": Modifier(ALT, "backward", "nearest", _BACKWARD_ENDS),
    "unc_post": Modifier(UNC, "backward", "nearest", _BACKWARD_ENDS),
    "hyp_post": Modifier(HYP, "backward", "nearest", _BACKWARD_ENDS),
    "hist_post": Modifier(HIST, "backward", "nearest", _BACKWARD_ENDS),
}
_KINDS = tuple((CUES[kind], modifier) for kind, modifier in MODIFIERS.items())
_TOPIC = 6  # words before a colon, at most
_COMPARED = 3  # words from "than" to what is compared with
_ADJECTIVE = 3  # words from an adjective to its noun
_ENDING = CUES["conj"] | CUES["comma"] | CUES["colon"] | CUES["presup"] | CUES["cause"] | CUES["verb"]
_SURENESS = CUES["certain"] | CUES["doubt"]
_MODALS = frozenset({"can", "would", "could"})
_DEFINITE = word_set("definite")
_LIMITS = word_set("limit")
_NARROWED = NEG_PRE | CUES["comma"] | CUES["verb"]  # cues before which no word narrows what comes after them
_NARROWING = 5  # words before a mention that may narrow it
_THERE = word_set("there") - {"there"}


@dataclass(slots=True)
class Modified:
    """For each phrase of a sentence its state (bits above), and the cues that gave it (indexes of phrases)."""

    states: list[int] = field(default_factory=list)
    because: list[tuple[int, ...]] = field(default_factory=list)


@remembered
@lru_cache(maxsize=128)  # several rules read the sentences of one candidate
def parsed(sentence: str) -> tuple[Match, Clauses, Modified]:
    """A sentence as far as its modifiers."""
    found = match(sentence)
    clauses = segment(found)
    return found, clauses, modify(found, clauses)


def modify(match: Match, clauses: Clauses) -> Modified:
    """The states of all phrases of a sentence."""
    found = Modified([0] * len(match.entries), [()] * len(match.entries))
    if match.cues & FORWARD:
        _forward(match, clauses, found)
    if match.cues & BACKWARD:
        for at, entry in enumerate(match.entries):
            if entry.cues & BACKWARD:
                _backward(match, clauses, found, at)
    if "(" in match.words:
        _aside(match, found)
    if "than" in match.words:
        _compared(match, found)
    if match.cues & CUES["colon"]:
        _topic(match, found)
    for at in sought(match, clauses, _BACKWARD_ENDS):
        found.states[at] |= HYP | SOUGHT
    if match.cues & _SURENESS:
        _sure(match, clauses, found)
    return found


def _forward(match: Match, clauses: Clauses, found: Modified) -> None:
    state = 0
    cues: tuple[int, ...] = ()
    for at, entry in enumerate(match.entries):
        head = bool(entry.heads)
        if state:
            granted = head and state & NEG and not state & _GONE and _definite(match, at)
            found.states[at] = _taken_for_granted(entry, state) if granted else state
            found.because[at] = cues
            if entry.cues & BREAK or at in clauses.anew:
                state = 0
            elif not head and entry.cues & _ENDING:
                state = _ended(match, at, state)
        if entry.cues & FORWARD and not (head and not entry.cues & NEG_PRE):
            state = _begun(entry.cues, state)
            if state & NEG and match.words[match.first[at]] == "without":
                state |= _WITHOUT
            cues = (at,) if entry.cues & NEG_PRE else (*cues, at)
        cues = cues if state else ()


def _taken_for_granted(entry: Entry, state: int) -> int:
    """ "No effusion around the tube", "no change in the effusion": a tube with a determiner is there; of a finding
    nothing is said."""
    return state & ~NEG | (0 if entry.finding in lexicon().devices else HYP)


def _ended(match: Match, at: int, state: int) -> int:
    """What is left of the forward states after a phrase that may end them."""
    cues = match.entries[at].cues
    if cues & (CUES["conj"] | CUES["comma"]):
        return state if cues & CUES["or"] else _item_ended(state)
    if cues & (CUES["colon"] | CUES["presup"]):
        return state if _follows_cue(match, at) else 0
    if cues & CUES["cause"] and not cues & FORWARD:
        return HYP if state & NEG else _item_ended(state)
    if cues & CUES["verb"] and match.words[match.first[at] - 1] == "that":
        return state & ~NEG  # "no consolidation in a chest that shows ..."
    if cues & CUES["verb"] and state & _WITHOUT:
        return state & ~NEG
    return _item_ended(state) if cues & CUES["verb"] else state


def _item_ended(state: int) -> int:
    return state & ~(_NEXT | UNC) if state & _NEXT else state


def _begun(cues: int, state: int) -> int:
    modifier = next(modifier for bit, modifier in _KINDS if cues & bit)
    if cues & CUES["res_pre"]:
        modifier = MODIFIERS["res_pre"]
    if modifier.target & NEG:
        return modifier.target
    if modifier.scope == "item" and state & UNC:
        return state
    return (state & ~_NEXT if modifier.target == UNC else state) | modifier.target


def _follows_cue(match: Match, at: int) -> bool:
    return at > 0 and bool(match.entries[at - 1].cues & FORWARD) and match.last[at - 1] + 1 == match.first[at]


def _definite(match: Match, at: int) -> bool:
    """Whether a determiner stands before the mention or its adjectives."""
    first, back = match.first[at], at - 1
    while back >= 0 and (match.entries[back].side or match.entries[back].place or match.entries[back].size):
        back -= 1
    floor = match.last[back] + 1 if back >= 0 else 0
    return not _DEFINITE.isdisjoint(match.words[max(floor, first - 3) : first])


def _backward(match: Match, clauses: Clauses, found: Modified, cue: int) -> None:
    """Lets a cue after its mentions reach back: to the nearest ones of its clause, and what is listed with them."""
    entries = match.entries
    if match.first[cue] == match.last[cue] and _modifies_next(match, clauses, cue):
        return
    modifier = next(one for bit, one in _KINDS if one.direction == "backward" and entries[cue].cues & bit)
    for back in reached(match, clauses, cue, clauses.number[cue], modifier.ends):
        if "normal" in entries[back].qualities and "normal" in entries[cue].qualities:
            break  # of two parts, each within normal limits
        found.states[back] |= modifier.target
        found.because[back] += (cue,)


@part("modifiers.adjective", off=False)
def _modifies_next(match: Match, clauses: Clauses, cue: int) -> bool:
    """A single word ("possible", "negative") reaches back only if it is not the adjective of what follows."""
    follow = cue + 1
    if match.words[match.first[cue]] in _MODALS or follow >= len(match.entries):
        return False
    entry = match.entries[follow]
    return (
        clauses.number[follow] == clauses.number[cue]
        and (is_head(entry) or bool(entry.organ or entry.side or entry.place or entry.size))
        and match.first[follow] - match.last[cue] <= _ADJECTIVE
    )


@part("modifiers.brackets", off=None)
def _aside(match: Match, found: Modified) -> None:
    """What brackets name explains what stands before them ("its signs (septal lines, haze) are lacking")."""
    opens, stops = match.words.index("("), len(match.words)
    if ")" in match.words[opens:]:
        stops = match.words.index(")", opens)
    for at, first in enumerate(match.first):
        if opens < first < stops:
            found.states[at] |= HYP


@part("modifiers.than", off=None)
def _compared(match: Match, found: Modified) -> None:
    """What stands after "than" is what another thing is compared with ("wider than in full inspiration")."""
    than = match.words.index("than")
    after = [at for at, first in enumerate(match.first) if than < first <= than + _COMPARED]
    if match.words[than - 1 : than] == ["other"] or any(
        a <= than <= b for a, b in zip(match.first, match.last, strict=True)
    ):
        return  # "nothing other than an effusion", "left greater than right effusion"
    for at in after:
        found.states[at] |= HYP


@part("modifiers.topic", off=None)
def _topic(match: Match, found: Modified) -> None:
    """What stands before a first colon is the topic and asserts nothing ("Pneumothorax: lung markings reach the wall"),
    unless what follows says only that it is there ("Cardiomegaly: mild")."""
    if ":" not in match.words[:_TOPIC]:
        return
    colon = match.words.index(":")
    before = [at for at, last in enumerate(match.last) if last < colon]
    after = match.entries[len(before) :]
    if any(match.entries[at].cues & (FORWARD | CUES["verb"]) for at in before):
        return
    if match.words[colon + 1 : colon + 2] and match.words[colon + 1] in _THERE:
        return  # "Fluid: present, on the right"
    says = CUES["verb"] | FORWARD | BACKWARD
    if not any((is_head(entry) and not (entry.size or entry.side)) or entry.cues & says for entry in after):
        return  # "Pneumothorax: small, at the apex"
    placed = any(entry.tip or entry.place or entry.side for entry in after)
    denied = any(entry.cues & (NEG_PRE | CUES["neg_post"]) for entry in after)
    devices = lexicon().devices  # "catheter tip: over the right atrium" speaks of a catheter that is there
    for at in before:
        if not (placed and not denied and match.entries[at].finding in devices):
            found.states[at] |= HYP


@part("modifiers.certainty", off=None)
def _sure(match: Match, clauses: Clauses, found: Modified) -> None:
    """Marks the mentions of a clause that is sure ("not definitely" is not), and those next to words of doubt, up to a
    comma."""
    parts: list[int] = []
    for entry in match.entries:
        parts.append((parts[-1] if parts else 0) + bool(entry.cues & CUES["comma"]))
    numbered = list(zip(match.entries, found.states, clauses.number, parts, strict=True))
    sure = {clause for entry, state, clause, _ in numbered if entry.cues & CUES["certain"] and not state & NEG}
    doubted = {part for entry, _, _, part in numbered if entry.cues & CUES["doubt"]}
    if doubted and not any(part in doubted and is_head(entry) for entry, _, _, part in numbered):
        doubted = set(parts)  # "an effusion is possible, but far from certain"
    found.states = [
        state | (DOUBT if part in doubted else 0) | (SURE if clause in sure else 0)
        for _, state, clause, part in numbered
    ]


def limits(match: Match, at: int) -> tuple[str, ...]:
    """The words before a mention that narrow it ("no large effusion")."""
    first, last = match.first[at], match.last[at]
    floor = max(0, first - _NARROWING)
    if _LIMITS.isdisjoint(match.words[floor : last + 1]):
        return ()
    for back in range(at - 1, -1, -1):
        if match.last[back] < floor:
            break
        if match.entries[back].cues & _NARROWED:
            denial = match.entries[back].cues & NEG_PRE  # "no suspicious": the word is in the phrase
            floor = match.first[back] if denial else match.last[back] + 1
            break
    return tuple(word for word in match.words[floor : last + 1] if word in _LIMITS)
