"""Clauses: where a statement of a sentence ends and another begins. One segmentation, for all that comes after.

A clause ends at a border word ("but", "which", ";"); within one, a statement ends at a colon, at what is taken for
granted ("with"), and at a comma or "and" after which something of its own begins rather than the next item of a list.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from .lexicon import CUES, word_set
from .match import Match, is_head
from .switches import part

NEG_PRE = CUES["neg_pre"] | CUES["res_pre"]
FORWARD = NEG_PRE | CUES["unc_pre"] | CUES["unc_adj"] | CUES["hyp_pre"] | CUES["alt_pre"] | CUES["hist_pre"]
BACKWARD = CUES["neg_post"] | CUES["unc_post"] | CUES["hyp_post"] | CUES["alt_post"] | CUES["hist_post"]
BREAK = CUES["break"] | CUES["contrast"] | CUES["stop"]
_VERB, _COMMA, _OR, _COLON = CUES["verb"], CUES["comma"], CUES["or"], CUES["colon"]
_LISTS, _OPENS = CUES["conj"] | _COMMA, _COLON | CUES["presup"]
_BORDERS = BREAK | NEG_PRE | _LISTS | _OPENS
_ENDS = BREAK | CUES["presup"] | _VERB | FORWARD  # what follows a comma is decided by then
_LEAD = 3  # words between a comma and the subject after it
_AHEAD = 12  # phrases after a comma that decide whether something new begins
_RESETS = word_set("reset")


@dataclass(slots=True)
class Clauses:
    """`number` of the clause of each phrase; phrases `anew` after which a statement begins; `borders` as words."""

    number: list[int] = field(default_factory=list)
    anew: set[int] = field(default_factory=set)
    borders: list[int] = field(default_factory=list)

    def statement(self, word: int, size: int) -> tuple[int, int]:
        """The words [start, end) of the statement that a word stands in, of a sentence of `size` words."""
        start = max((border for border in self.borders if border < word), default=0)
        return start, min((border for border in self.borders if border > word), default=size)


def segment(match: Match) -> Clauses:
    """The clauses and statements of a sentence; linear in its phrases."""
    found = Clauses()
    if not match.cues & _BORDERS:
        found.number = [0] * len(match.entries)
        return found
    clause, denies = 0, False
    for at, entry in enumerate(match.entries):
        cues, first = entry.cues, match.first[at]
        if cues & BREAK:
            clause, denies = clause + 1, bool(cues & NEG_PRE)
            found.borders.append(first)
        elif cues & _BORDERS:
            if cues & _LISTS and not cues & _OR and _begins_anew(match, at, denies):
                found.anew.add(at)
                found.borders.append(first)
                denies = False
            elif cues & _OPENS or (cues & NEG_PRE and match.words[first - 1 : first] in ([","], ["and"])):
                found.borders.append(first)
            denies = denies or bool(cues & NEG_PRE)
        found.number.append(clause)
    return found


@part("clauses.list", off=False)
def _begins_anew(match: Match, at: int, denies: bool) -> bool:
    """Whether what follows a comma or "and" is something new, rather than the next item of the list."""
    entries, after = match.entries, match.last[at] + 1
    mark = match.words[match.last[at]]
    if after >= len(match.words) or mark not in (",", "and"):
        return False
    comma = bool(entries[at].cues & _COMMA)
    follow = at + 1
    if comma and follow < len(entries) and match.first[follow] == after and entries[follow].cues & _VERB:
        return True  # back to the sentence's subject ("the opacity, without effusion, has ...")
    new_word = match.words[after] in _RESETS
    subject = (
        follow < len(entries)
        and entries[follow].organ is not None
        and match.first[follow] <= after + (_LEAD if comma else 1)
    )
    if not (new_word or subject):
        return False
    if not comma and not denies and not any(entry.cues & _VERB for entry in entries[follow : follow + 6]):
        return False
    for ahead in range(follow, min(len(entries), follow + _AHEAD)):
        entry = entries[ahead]
        if entry.cues & _OR and (denies or (new_word and not subject)):
            return False
        if subject and entry.cues & _VERB:
            return True
        if entry.cues & _ENDS:
            break
    return new_word


def reached(match: Match, clauses: Clauses, before: int, clause: int, ends: int) -> Iterator[int]:
    """The mentions of a clause that a cue after them reaches, the nearest first."""
    reached = False
    for back in range(before - 1, -1, -1):
        entry = match.entries[back]
        if clauses.number[back] != clause:
            break
        if is_head(entry):
            yield back
            reached = True
        elif reached and entry.cues & (ends | _COLON):
            break
