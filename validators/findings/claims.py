"""Claims: a text to what its sentences assert. Composes match, clauses, modifiers, attachment and strength.

A mention asserts its own finding, or what pairs.tsv makes of it and its organs; a normal organ implies the absences of
normal.tsv. A sentence is read once a process: reports and traces repeat themselves.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..memory import remember
from .attach import Mention, mentions, one_side
from .claim import Claim, Side, Status
from .clauses import Clauses
from .lexicon import CUES, Entry, Lexicon, lexicon, word_set
from .match import Match
from .modifiers import ALT, DENIED, DOUBT, HIST, HYP, NEG, SURE, UNC, Modified, limits, parsed
from .strength import is_weak
from .switches import is_on, part, parts
from .text import NOT_ASSERTED, headed_sentences

SENTENCE_LIMIT = 1200  # characters; a longer "sentence" is read in pieces of this size
_MEMORY = 3_000_000  # bytes
_CLAIM = 450  # bytes of a claim, about
_RESERVED = word_set("reserved")
_ACUTE = frozenset({"acute", "active", "acutely", "actively", "new"})
_FIRST = re.compile(r"[a-z]+")
_ASKS = re.compile(
    r"\W*(?:is|are|was|were|does|do|did|has|have|can|could|would|should|might|may|will|what|where|which|why|how|who|whether)\b"
)
_NO = frozenset({"no", "none", "nothing", "not", "nowhere", "neither"})
_PRONOUNS = frozenset({"they", "it", "these", "this", "those", "both", "each"})
_NORMAL_OF = {
    "expanded": "lung_expanded",
    "normal_volume": "lung_normal_volume",
    "full_volume": "lung_full_volume",
    "mineralized": "bone_mineral",
    "intact": "bone_intact",
}
_UNLIKE = {"cp_angle": "costophrenic_blunting"}  # what an organ has that is said not to be normal
_REGION = Claim._fields.index("region")
parts("claims.reserved", "claims.nameless", "claims.unlike", "claims.acute")


def claims(text: str) -> tuple[Claim, ...]:
    """What a report or a step asserts, denies or leaves open, in the order of the text.

    Sentences under headings that say nothing about the image (indication, history, comparison) are left out; a question
    asserts what the sentence after it answers.

    Args:
        text: English prose of a chest X-ray report.

    Returns:
        The claims, each with its span [start, end) in `text`.
    """
    found: list[Claim] = []
    spans = headed_sentences(text)
    for at, (start, end, heading) in enumerate(spans):
        if heading.startswith(NOT_ASSERTED):
            continue
        if text[end - 1] == "?":
            found.extend(_answered(text, start, spans[at + 1 :]))
            continue
        for left in range(start, end, SENTENCE_LIMIT):
            read = read_sentence(text[left : min(end, left + SENTENCE_LIMIT)])
            found.extend([_moved(claim, left) for claim in read] if left else read)
    return tuple(found)


@part("claims.answered", off=())
def _answered(text: str, start: int, after: Sequence[tuple[int, int, str]]) -> tuple[Claim, ...]:
    """What a question asserts by the sentence after it: what it names if that says yes, its absence if it says no or
    none, and else both as one statement if neither is a sentence of its own ("Heart size? Normal.")."""
    if not after:
        return ()
    first, end, _ = after[0]
    question, answer = text[start:first].rstrip(), text[first:end]
    word = _FIRST.match(answer.lower())
    said = word.group() if word else ""
    if said == "yes" or said in _NO:
        read = tuple(
            claim._replace(status="absent" if said in _NO else claim.status, strength="explicit")
            for claim in read_sentence(question[:-1][:SENTENCE_LIMIT])
            if said == "yes" or not (claim.implied or claim.status == "absent")
        )
    elif read_sentence(answer[:SENTENCE_LIMIT]) or _ASKS.match(question.lower()):
        return ()
    else:
        read = read_sentence(text[start:end].replace("?", " ")[:SENTENCE_LIMIT])
    moved = (_moved(claim, start) for claim in read)
    return tuple(claim._replace(text=text[slice(*claim.span)]) for claim in moved)


def _moved(claim: Claim, by: int) -> Claim:
    *others, (start, end), text, (first, last), because = claim  # two times as quick as _replace
    return Claim._make((*others, (start + by, end + by), text, (first + by, last + by), because))


@remember(_MEMORY, cost=lambda found: _CLAIM * len(found))
def read_sentence(text: str) -> tuple[Claim, ...]:
    """The claims of one sentence, with spans in it."""
    found, clauses, modified = parsed(text)
    if not found.cues & (CUES["head"] | CUES["tip"]):
        return ()
    return tuple(_Sentence(text, found, clauses, modified, mentions(found, clauses, modified)).claims())


class _Meaning(NamedTuple):
    """What a mention asserts: one finding, or the many absences that it implies; and why."""

    findings: tuple[str, ...]
    status: Status
    why: tuple[str, ...] = ()
    implied: bool = False
    composed: bool = False
    unlike: bool = False  # by what it is said not to be ("not intact"), so the "not" is no denial of it


class _Frame(NamedTuple):
    """What all claims of one mention share."""

    side: Side | None
    place: tuple[str, ...]
    size: str | None
    limits: tuple[str, ...]
    because: tuple[str, ...]


class _Sentence:
    """One sentence on its way to claims."""

    def __init__(self, text: str, found: Match, clauses: Clauses, modified: Modified, heads: list[Mention]) -> None:
        self.text, self.match, self.clauses, self.modified, self.mentions = text, found, clauses, modified, heads
        self.book: Lexicon = lexicon()
        # it speaks of all but something: what it calls normal implies nothing
        self.reserved = is_on("claims.reserved") and not _RESERVED.isdisjoint(found.words)
        self.tips: tuple[str, ...] = ()
        if found.cues & CUES["tip"]:
            plain = (one for one, state in zip(found.entries, modified.states, strict=True) if not state & (NEG | HYP))
            self.tips = tuple(dict.fromkeys(entry.tip for entry in plain if entry.tip and not entry.finding))

    def claims(self) -> Iterator[Claim]:
        seen: dict[tuple[Status, Side | None, tuple[str, ...]], set[str]] = defaultdict(set)
        for mention in self.mentions:
            frame = None
            for meaning in self._meanings(mention):
                frame = frame or self._frame(mention)
                known = seen[meaning.status, frame.side, frame.place]
                if new := [name for name in meaning.findings if name not in known]:
                    known.update(new)
                    yield from self._claims(mention, frame, meaning, new)
        if self.tips and not any(entry.finding in self.book.devices for entry in self.match.entries):
            yield from self._nameless_device()

    def _nameless_device(self) -> Iterator[Claim]:
        """ "The right chest XXXX tip is in the SVC": a device whose name is unknown."""
        for at, entry in enumerate(self.match.entries):
            if entry.organ == "tip" and is_on("claims.nameless") and not self.modified.states[at] & (NEG | HYP | UNC):
                mention = Mention(at, sides={found.side for found in self.match.entries if found.side})
                yield from self._claims(mention, self._frame(mention), _Meaning(("device",), "present"), ["device"])
                return

    def _meanings(self, mention: Mention) -> Iterator[_Meaning]:
        entry, status = self.match.entries[mention.index], self._status(mention.index)
        if status is None:
            return
        made = False
        for organ, head, finding, kind in self._pairs(mention, entry):
            why = (f"pairs: {organ} + {head}",)
            if kind == "present":
                made = True
                yield _Meaning((finding,), status, why, False, finding != entry.finding)
            elif not self.reserved:
                made = made or entry.finding is None
                subject = finding if finding != "-" else organ
                if kind != "abnormal" and status == "absent" and (unlike := self._unlike(kind, subject)):
                    yield _Meaning((unlike,), "present", why, False, True, True)
                absences, row = self._implied(kind, subject, status, mention)
                if absences:
                    yield _Meaning(absences, "absent", (*why, f"normal: {row}"), True)
        if entry.finding and not made:
            yield _Meaning((entry.finding,), status)

    def _pairs(self, mention: Mention, entry: Entry) -> Iterator[tuple[str, str, str, str]]:
        """(organ, head, finding, kind) of pairs.tsv, for each organ of the mention."""
        organs = [name for at in mention.organs if (name := self.match.entries[at].organ)]
        if not organs and "abnormal" in entry.qualities and self._is_acute(mention):
            organs = [] if self.match.words[0] in _PRONOUNS else ["chest"]
        seen = set()
        for organ in organs:
            for head in entry.heads:
                if pair := self.book.pairs.get(head, {}).get(organ):
                    finding, kind = pair
                    strong = entry.finding not in (None, finding) and not entry.weak
                    if kind == "present" and strong and head != f"[{entry.finding}]":
                        continue
                    if (finding, kind, organ if finding == "-" else "") not in seen:
                        seen.add((finding, kind, organ if finding == "-" else ""))
                        yield organ, head, finding, kind
                    break

    def _implied(self, kind: str, organ: str, status: Status, mention: Mention) -> tuple[tuple[str, ...], str]:
        """The absences that a normal organ, or one without abnormality, implies; and their row of normal.tsv."""
        row = _NORMAL_OF.get(kind, organ)
        if status != ("absent" if kind == "abnormal" else "present"):
            return (), row
        acute = (kind == "abnormal" or organ == "chest") and self._is_acute(mention)
        return self.book.normal.get(row, ((), ()))[acute], row

    def _unlike(self, kind: str, organ: str) -> str | None:
        """What an organ has that is said not to be normal ("not intact"), where that can be one thing only."""
        absences = self.book.normal.get(_NORMAL_OF.get(kind, organ), ((), ()))[0]
        return _UNLIKE.get(organ) or (absences[0] if len(absences) == 1 and is_on("claims.unlike") else None)

    def _is_acute(self, mention: Mention) -> bool:
        first, last = self.match.first[mention.index], self.match.last[mention.index]
        if mention.organs:
            first = min(first, self.match.first[mention.organs[0]])
        return is_on("claims.acute") and not _ACUTE.isdisjoint(self.match.words[max(0, first - 4) : last + 1])

    def _status(self, at: int) -> Status | None:
        state = self.modified.states[at]
        if state & (DENIED | NEG):
            return "absent"
        if state & ALT:
            return None
        if state & (HYP | HIST):  # "status post spinal fusion": the device is still there
            return "present" if state == HIST and self.match.entries[at].finding in self.book.devices else None
        return "uncertain" if state & UNC else "present"

    def _frame(self, mention: Mention) -> _Frame:
        sides, places = mention.sides, tuple(mention.places)
        if places and not sides:
            sides = {self.book.place_sides[place] for place in places if place in self.book.place_sides}
        at, entries = mention.index, self.match.entries
        size = "borderline" if self.match.words[self.match.first[at]] == "borderline" else mention.size
        phrases = dict.fromkeys((at, *mention.organs, *mention.from_phrases, *self.modified.because[at]))
        because = tuple([entries[phrase].id for phrase in phrases])
        return _Frame(one_side(sides), places, size, limits(self.match, mention.index), because)

    def _claims(self, mention: Mention, frame: _Frame, meaning: _Meaning, findings: list[str]) -> list[Claim]:
        """The claims of a meaning: a clear lung implies a dozen, alike but in name and region."""
        first = self._claim(mention, frame, meaning, findings[0])
        middle, rest = first[1:_REGION], first[_REGION + 1 :]
        others = [Claim._make((name, *middle, self.book.regions[name], *rest)) for name in findings[1:]]
        return [first, *others]

    def _claim(self, mention: Mention, frame: _Frame, meaning: _Meaning, finding: str) -> Claim:
        found, at = self.match, mention.index
        state, entry = self.modified.states[at], found.entries[at]
        start, end = found.starts[found.first[at]], found.ends[found.last[at]]
        if mention.organs and (meaning.implied or not entry.finding):
            start = min(start, *(found.starts[found.first[organ]] for organ in mention.organs))
            end = max(end, *(found.ends[found.last[organ]] for organ in mention.organs))
        device, tip = finding in self.book.devices, finding == "tip_unknown"
        plain = meaning.status != "present" or meaning.unlike
        weak = not plain and is_weak(found, self.clauses, at)
        fields = (
            finding, meaning.status, frame.side, frame.place, frame.size, self._tips(entry) if device or tip else (),
            bool(state & SURE), bool(state & DOUBT), frame.limits, "weak" if weak else "explicit",
            meaning.implied, mention.counted, meaning.composed, entry.finding if meaning.composed else None,
            device, "devices" if tip else self.book.regions[finding],
            (start, end), self.text[start:end], (0, len(self.text)),
            (*frame.because, *meaning.why, *(("strength.words",) if weak else ())),
        )  # fmt: skip
        return Claim._make(fields)  # by their names it takes six times as long

    def _tips(self, entry: Entry) -> tuple[str, ...]:
        own = entry.tip  # of its name: "a jugular catheter", "a gastric tube"
        return self.tips if own is None or own in self.tips else (own, *self.tips)
