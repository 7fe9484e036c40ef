"""Reading: a sentence to its claims. Composes tagging, scope and attachment; everything it knows is in the TSV files.

A sentence is read once a process (a cache by its text): reports and traces repeat themselves.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from .attach import Mention, mentions
from .claim import Claim, Region, Side, Status
from .compares import compares_with_prior
from .lexicon import CUES, Entry, Lexicon, lexicon
from .measure import measurements
from .scope import ALT, DENIED, DOUBT, HIST, HYP, NEG, NEG_PRE, SURE, UNC, Scope, scope
from .tagging import Tagged, tag
from .text import NOT_ASSERTED, headed_sentences, lower

SENTENCE_LIMIT = 1200  # characters; a longer "sentence" is read in pieces of this size
_RESERVED = frozenset({"otherwise", "elsewhere", "rest", "remaining", "remainder", "aside", "apart", "except"})
_ACUTE = frozenset({"acute", "active", "acutely", "actively", "new"})
_NORMAL_OF = {"expanded": "lung_expanded", "intact": "bone_intact"}
_LIMITS = frozenset(
    [
        "acute",
        "active",
        "large",
        "focal",
        "displaced",
        "suspicious",
        "new",
        "frank",
        "overt",
        "gross",
        "other",
        "additional",
        "further",
        "superimposed",
        "significant",
        "lobar",
        "confluent",
        "tension",
        "acutely",
        "actively",
        "displaced",
        "recent",
        "aggressive",
        "destructive",
        "noncalcified",
        "typical",
        "convincing",
        "sizable",
        "sizeable",
        "massive",
        "discrete",
        "dense",
        "dominant",
        "advanced",
        "severe",
        "marked",
        "moderate",
        "complicating",
        "similar",
    ]
)
_YES, _NO = ("yes",), ("no", "none", "not", "neither", "nothing")


def claims(text: str) -> tuple[Claim, ...]:
    """What a report or a step asserts, in order, with spans in `text`.

    Sentences under headings that assert nothing of the image (indication, history, comparison) are passed over. A
    question asserts nothing unless the next sentence answers it with yes or no.
    """
    found: list[Claim] = []
    spans = headed_sentences(text)
    for number, (start, end, heading) in enumerate(spans):
        if heading.startswith(NOT_ASSERTED):
            continue
        for left, right in _pieces(start, end):
            read = _read(text[left:right])
            if read and text[end - 1] == "?":
                answer = text[spans[number + 1][0] :][:12].lower().split() if number + 1 < len(spans) else []
                read = _answered(read, answer[0].strip(",.;:") if answer else "")
            found.extend(_moved(claim, left) for claim in read)
    return tuple(found)


def _pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    for left in range(start, end, SENTENCE_LIMIT):
        yield left, min(end, left + SENTENCE_LIMIT)


def _moved(claim: Claim, by: int) -> Claim:
    if not by:
        return claim
    size = claim.measurement
    if size is not None:
        size = replace(size, span=(size.span[0] + by, size.span[1] + by))
    return replace(
        claim,
        measurement=size,
        span=(claim.span[0] + by, claim.span[1] + by),
        sentence=(claim.sentence[0] + by, claim.sentence[1] + by),
    )


def _answered(read: tuple[Claim, ...], answer: str) -> tuple[Claim, ...]:
    status: Status | None = "present" if answer in _YES else "absent" if answer in _NO else None
    if status is None:
        return ()
    return tuple(replace(claim, status=status) for claim in read if claim.status == "present" and not claim.implied)


@lru_cache(maxsize=50_000)
def _read(sentence: str) -> tuple[Claim, ...]:
    low = lower(sentence)
    tagged = tag(low, 0, len(low))
    if not tagged.entries:
        return ()
    scoped = scope(tagged)
    found = mentions(tagged, scoped)
    if not found:
        return ()
    reader = _Sentence(sentence, low, tagged, scoped, found)
    return tuple(reader.claims())


class _Sentence:
    """One sentence on its way to claims."""

    def __init__(self, text: str, low: str, tagged: Tagged, scoped: Scope, found: list[Mention]) -> None:
        self.text, self.tagged, self.scope, self.mentions = text, tagged, scoped, found
        self.book: Lexicon = lexicon()
        self.compares = compares_with_prior(text)
        self.measurements = measurements(low)
        self.reserved = not _RESERVED.isdisjoint(tagged.words)
        self.tips = tuple(dict.fromkeys(entry.tip for entry in tagged.entries if entry.tip))
        self.seen: set[tuple[str, Status, str | None, tuple[str, ...]]] = set()

    def claims(self) -> Iterator[Claim]:
        open_pairs = self._alternatives()
        for position, mention in enumerate(self.mentions):
            entry = self.tagged.entries[mention.index]
            for finding, implied, said in self._meanings(mention, entry, position):
                status: Status = "uncertain" if said == "present" and open_pairs.get(mention.index) else said
                claim = self._claim(mention, finding, status, implied, mention.index in open_pairs)
                key = (claim.finding, claim.status, claim.side, claim.place)
                if key not in self.seen:
                    self.seen.add(key)
                    yield claim

    def _meanings(self, mention: Mention, entry: Entry, position: int) -> Iterator[tuple[str, bool, Status]]:
        status = self._status(mention.index)
        made = False
        if not self._modifies_next(position, entry):
            for kind, finding in dict.fromkeys(self._pairs(mention, entry)):
                if kind == "present":
                    made = True
                    if status is not None:
                        yield finding, False, status
                elif status is not None and not self.reserved:
                    made = made or entry.finding is None
                    yield from ((name, True, "absent") for name in self._normal(kind, finding, status, mention))
        if entry.finding and not made and status is not None:
            yield entry.finding, False, status

    def _pairs(self, mention: Mention, entry: Entry) -> Iterator[tuple[str, str]]:
        heads = (*((f"[{entry.finding}]",) if entry.finding else ()), *entry.qualities)
        organs = [name for index in mention.organs if (name := self.tagged.entries[index].organ)]
        if not organs and "abnormal" in entry.qualities and self._acute(mention):
            organs = ["chest"]
        for organ in organs:
            for head in heads:
                if pair := self.book.pairs.get((organ, head)):
                    finding, kind = pair
                    strong = entry.finding not in (None, finding) and not entry.weak
                    if kind == "present" and strong and head != f"[{entry.finding}]":
                        continue
                    yield kind, finding if finding != "-" else organ
                    break

    def _normal(self, kind: str, organ: str, status: Status, mention: Mention) -> tuple[str, ...]:
        if kind == "abnormal":
            if status != "absent":
                return ()
            return self.book.normal.get(organ, ((), ()))[1 if self._acute(mention) else 0]
        if status != "present":
            return ()
        return self.book.normal.get(_NORMAL_OF.get(kind, organ), ((), ()))[0]

    def _acute(self, mention: Mention) -> bool:
        first, last = self.tagged.first[mention.index], self.tagged.last[mention.index]
        if mention.organs:
            first = min(first, self.tagged.first[mention.organs[0]])
        return not _ACUTE.isdisjoint(self.tagged.words[max(0, first - 4) : last + 1])

    def _modifies_next(self, position: int, entry: Entry) -> bool:
        """A quality directly before a finding is its adjective ("increased opacity"), unless an organ is between."""
        if entry.finding is not None or position + 1 >= len(self.mentions):
            return False
        here, there = self.mentions[position].index, self.mentions[position + 1].index
        follows = self.tagged.entries[there]
        return (
            follows.finding is not None and there == here + 1 and self.tagged.first[there] - self.tagged.last[here] == 1
        )

    def _status(self, index: int) -> Status | None:
        state = self.scope.states[index]
        if state & DENIED:
            return "absent"
        if state & ALT and not state & NEG:
            return "absent" if self.scope.dismissed[index] else None
        if state & NEG:
            return "absent"
        if state & (HYP | HIST):
            return None
        return "uncertain" if state & UNC else "present"

    def _alternatives(self) -> dict[int, bool]:
        """Mentions that "or" or "versus" leaves open ("atelectasis or infiltrate"), and whether it was "versus".

        "Scarring or atelectasis is present" asserts that one of them is: both are present, and open. "Versus" hedges.
        """
        open_pairs: dict[int, bool] = {}
        entries = self.tagged.entries
        for first, second in zip(self.mentions, self.mentions[1:], strict=False):
            a, b = entries[first.index], entries[second.index]
            between = entries[first.index + 1 : second.index]
            if not a.finding or not b.finding or a.finding == b.finding:
                continue
            if any(e.cues & CUES["or"] for e in between) and all(
                e.cues & (CUES["or"] | CUES["conj"] | CUES["comma"]) or e.side or e.place or e.size or e.organ
                for e in between
            ):
                versus = any(
                    word in ("versus", "vs")
                    for word in self.tagged.words[self.tagged.last[first.index] : self.tagged.first[second.index]]
                )
                for index in (first.index, second.index):
                    open_pairs[index] = open_pairs.get(index, False) or versus
        return open_pairs

    def _claim(self, mention: Mention, finding: str, status: Status, implied: bool, is_open: bool) -> Claim:
        tagged, state = self.tagged, self.scope.states[mention.index]
        indices = (
            [mention.index, *mention.organs]
            if implied or not tagged.entries[mention.index].finding
            else [mention.index]
        )
        span = (min(tagged.starts[tagged.first[i]] for i in indices), max(tagged.ends[tagged.last[i]] for i in indices))
        sides, places = mention.sides, tuple(dict.fromkeys(mention.places))
        for place in places:
            if place in self.book.place_sides and not sides:
                sides = {self.book.place_sides[place]}
        side: Side | None = None
        if sides:
            side = "bilateral" if "bilateral" in sides or len(sides) == 2 else "left" if "left" in sides else "right"
        device = finding in self.book.devices
        clause = self.scope.clauses[mention.index]
        measurement = next((m for m in self.measurements if self._clause_at(m.span[0]) == clause), None)
        return Claim(
            finding=finding,
            status=status,
            side=side,
            place=places,
            size="borderline" if "borderline" in tagged.words[tagged.first[mention.index]] else mention.size,
            tip=self.tips if device or finding == "tip_unknown" else (),
            measurement=None if implied or status == "absent" else measurement,
            compares=self.compares,
            certain=bool(state & SURE),
            doubted=bool(state & DOUBT),
            limits=self._limits(mention),
            implied=implied,
            open=is_open,
            dismissed=bool(state & ALT) and not state & DENIED,
            device=device,
            region=self.book.regions.get(finding, "devices" if finding == "tip_unknown" else "other"),
            span=span,
            text=self.text[span[0] : span[1]],
            sentence=(0, len(self.text)),
        )

    def _limits(self, mention: Mention) -> tuple[str, ...]:
        first, last = self.tagged.first[mention.index], self.tagged.last[mention.index]
        floor = max(0, first - 5)
        for index in range(mention.index - 1, -1, -1):
            if self.tagged.last[index] < floor:
                break
            if self.tagged.entries[index].cues & (NEG_PRE | CUES["comma"] | CUES["verb"]):
                floor = self.tagged.last[index] + 1
                break
        return tuple(word for word in self.tagged.words[floor : last + 1] if word in _LIMITS)

    def _clause_at(self, offset: int) -> int:
        clause = 0
        for index, first in enumerate(self.tagged.first):
            if self.tagged.starts[first] > offset:
                break
            clause = self.scope.clauses[index]
        return clause


def region_of(sentence: str) -> Region:
    """The part of the reading checklist that a sentence is about: its first finding's, else its first organ's."""
    read = _read(sentence)
    explicit = [claim for claim in read if not claim.implied]
    for claim in explicit or read:
        if claim.region != "other" or len(explicit) == 1:
            return claim.region
    if read:
        return read[0].region
    low = lower(sentence)
    book = lexicon()
    tagged = tag(low, 0, len(low))
    for entry in tagged.entries:
        if entry.finding:
            return book.regions[entry.finding]
    organs = [entry.organ for entry in tagged.entries if entry.organ]
    if not organs or organs[0] == "chest":
        return "technique" if _technique(tagged) or not organs else "other"
    return "technique" if _technique(tagged) and len(set(organs)) > 1 else book.organ_regions[organs[0]]


_TECHNIQUE = frozenset(
    [
        "view",
        "views",
        "projection",
        "projections",
        "image",
        "images",
        "radiograph",
        "radiographs",
        "film",
        "films",
        "rotation",
        "rotated",
        "exposure",
        "exposed",
        "penetration",
        "technique",
        "pa",
        "ap",
        "portable",
        "upright",
        "supine",
        "inspiration",
        "frontal",
        "lateral",
        "quality",
        "adequate",
        "motion",
        "coverage",
        "positioning",
        "examination",
        "study",
    ]
)


def _technique(tagged: Tagged) -> bool:
    return not _TECHNIQUE.isdisjoint(tagged.words)
