"""One sentence to its claims. Composes tagging, scope and attachment; everything it knows is in the TSV files.

A sentence is read once a process (a cache by its text): reports and traces repeat themselves.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from .attach import mentions
from .claim import Claim, Measurement, Side, Status
from .compares import compares_with_prior, may_compare
from .denied import is_soft_denial
from .lexicon import CUES, lexicon, specific, word_set
from .meaning import meanings
from .measure import measurements
from .organs import Mention
from .scope import tagged_sentence
from .spoken import is_generic, only_spoken_of
from .stated import is_soft
from .states import ALT, DENIED, DOUBT, HYP, NEG, NEG_PRE, SURE, UNC
from .text import lower
from .view import View

_RESERVED = word_set("reserved")
_ARTIFACT = word_set("artifact")
_LIMITS = word_set("limit")
# What shallow inspiration, projection and rotation can feign.
_TECHNICAL = frozenset({"cardiomegaly", "enlarged_cardiomediastinum", "vascular_congestion", "interstitial_opacity"})
# what a mere adjective makes of an organ ("a white focus"): a description, not a diagnosis
_DESCRIBED = frozenset({"lung_opacity", "bone_lesion", "lucency"})
_REGION = Claim._fields.index("region")
_VERSUS = ("versus", "vs")
_OR, _JOINS, _ENDS = CUES["or"], CUES["or"] | CUES["conj"] | CUES["comma"], NEG_PRE | CUES["comma"] | CUES["verb"]


@lru_cache(maxsize=50_000)
def read_sentence(sentence: str) -> tuple[Claim, ...]:
    """The claims of one sentence, with spans in it."""
    tagged, scoped = tagged_sentence(sentence)
    if not tagged.entries:
        return ()
    found = mentions(tagged, scoped)
    if not found and not any(entry.organ == "tip" for entry in tagged.entries):
        return ()
    view = View(tagged, scoped, found, lexicon(), measurements(lower(sentence)), not _RESERVED.isdisjoint(tagged.words))
    view.generic = is_generic(view)
    return tuple(_Sentence(sentence, view).claims())


class _Frame(NamedTuple):
    """What all claims of one mention share."""

    side: Side | None
    place: tuple[str, ...]
    size: str | None
    measurement: Measurement | None
    limits: tuple[str, ...]
    state: int


class _Sentence:
    """One sentence on its way to claims."""

    def __init__(self, text: str, view: View) -> None:
        self.text, self.view = text, view
        self.softness: dict[tuple[int, Status], bool] = {}
        self.tagged, self.scope, self.mentions, self.book = view.tagged, view.scope, view.mentions, view.book
        words = view.tagged.words
        self.compares = may_compare(words) and compares_with_prior(text)
        self.artifact = not _ARTIFACT.isdisjoint(words)
        self.tips = tuple(
            dict.fromkeys(
                entry.tip
                for entry, state in zip(view.tagged.entries, view.scope.states, strict=True)
                if entry.tip and not entry.finding and not state & (NEG | HYP)
            )
        )

    def claims(self) -> Iterator[Claim]:
        yield from self._named_claims()
        if self.tips and not any(entry.finding in self.book.devices for entry in self.tagged.entries):
            yield from self._nameless_device()

    def _nameless_device(self) -> Iterator[Claim]:
        """ "The right chest XXXX tip is in the SVC": a device whose name is unknown."""
        for index, entry in enumerate(self.tagged.entries):
            if entry.organ == "tip" and not self.scope.states[index] & (NEG | HYP | UNC):
                mention = Mention(index)
                mention.sides = {found.side for found in self.tagged.entries if found.side}
                yield self._claim(mention, self._frame(mention), "device", "present", False, False)
                return

    def _named_claims(self) -> Iterator[Claim]:
        open_pairs = self._alternatives()
        seen: set[tuple[str, Status, str | None, tuple[str, ...], bool]] = set()
        for position, mention in enumerate(self.mentions):
            entry = self.tagged.entries[mention.index]
            frame = alike = None
            for finding, implied, said in meanings(self.view, mention, entry, position):
                status: Status = "uncertain" if said == "present" and open_pairs.get(mention.index) else said
                if frame is None:
                    frame = self._frame(mention)
                    if status == "present" and only_spoken_of(self.view, mention.index):
                        self.softness[mention.index, status] = True  # what is looked for at a place is not there
                        frame = frame._replace(side=None, place=())
                key = (finding, status, frame.side, frame.place, self._soft(mention.index, finding, status))
                if key in seen:
                    continue
                seen.add(key)
                if implied and alike is not None and alike.implied:  # a clear lung implies a dozen, alike but in name
                    yield Claim._make((finding, *alike[1:_REGION], self.book.regions[finding], *alike[_REGION + 1 :]))
                else:
                    alike = self._claim(mention, frame, finding, status, implied, mention.index in open_pairs)
                    yield alike

    def _alternatives(self) -> dict[int, bool]:
        """Mentions that "or" or "versus" leaves open ("atelectasis or infiltrate"), and whether it was "versus".

        "Scarring or atelectasis is present" asserts that one of them is: both are present, and open. "Versus" hedges.
        """
        open_pairs: dict[int, bool] = {}
        entries = self.tagged.entries
        for mention in self.mentions:
            follows = entries[mention.index + 1 : mention.index + 2]
            if follows and follows[0].cues & _OR and self.tagged.words[self.tagged.last[mention.index] + 1] in _VERSUS:
                open_pairs[mention.index] = True
        for first, second in zip(self.mentions, self.mentions[1:], strict=False):
            a, b = entries[first.index], entries[second.index]
            between = entries[first.index + 1 : second.index]
            if not a.finding or not b.finding or a.finding == b.finding:
                continue
            if any(e.cues & _OR for e in between) and all(
                e.cues & (_JOINS) or e.side or e.place or e.size or e.organ for e in between
            ):
                versus = any(
                    word in _VERSUS
                    for word in self.tagged.words[self.tagged.last[first.index] : self.tagged.first[second.index]]
                )
                for index in (first.index, second.index):
                    open_pairs[index] = open_pairs.get(index, False) or versus
        return open_pairs

    def _frame(self, mention: Mention) -> _Frame:
        sides, places = mention.sides, specific(tuple(dict.fromkeys(mention.places)))
        if places and not sides:
            sides = {self.book.place_sides[place] for place in places if place in self.book.place_sides}
        side: Side | None = None
        if sides:
            side = "bilateral" if "bilateral" in sides or len(sides) == 2 else "left" if "left" in sides else "right"
        words, index = self.tagged.words, mention.index
        measurement = None
        if self.view.measurements:
            clause = self.scope.clauses[index]
            measurement = next((m for m in self.view.measurements if self._clause_at(m.span[0]) == clause), None)
        size = "borderline" if words[self.tagged.first[index]] == "borderline" else mention.size
        return _Frame(side, places, size, measurement, self._limits(mention), self.scope.states[index])

    def _claim(
        self, mention: Mention, frame: _Frame, finding: str, status: Status, implied: bool, is_open: bool
    ) -> Claim:
        tagged, index, state = self.tagged, mention.index, frame.state
        start, end = tagged.starts[tagged.first[index]], tagged.ends[tagged.last[index]]
        if mention.organs and (implied or not tagged.entries[index].finding):
            start = min(start, *(tagged.starts[tagged.first[organ]] for organ in mention.organs))
            end = max(end, *(tagged.ends[tagged.last[organ]] for organ in mention.organs))
        device, tip = finding in self.book.devices, finding == "tip_unknown"
        return Claim(
            finding=finding,
            status=status,
            side=frame.side,
            place=frame.place,
            size=frame.size,
            tip=self._tips(index) if device or tip else (),
            measurement=None if implied or status == "absent" else frame.measurement,
            compares=self.compares,
            certain=bool(state & SURE),
            doubted=bool(state & DOUBT),
            limits=frame.limits,
            soft=self._soft(index, finding, status),
            implied=implied,
            open=is_open,
            dismissed=bool(state & ALT) and not state & DENIED,
            device=device,
            region="devices" if tip else self.book.regions[finding],
            span=(start, end),
            text=self.text[start:end],
            sentence=(0, len(self.text)),
        )

    def _tips(self, index: int) -> tuple[str, ...]:
        own = self.tagged.entries[index].tip  # of its name: "a jugular catheter", "a gastric tube"
        return self.tips if own is None or own in self.tips else (own, *self.tips)

    def _soft(self, index: int, finding: str, status: Status) -> bool:
        if status == "uncertain":
            return False
        if status == "present" and (
            (finding in _DESCRIBED and not self.tagged.entries[index].finding)
            or (finding in _TECHNICAL and self.artifact)
        ):
            return True
        key = (index, status)
        if key not in self.softness:
            self.softness[key] = (is_soft if status == "present" else is_soft_denial)(self.view, index)
        return self.softness[key]

    def _limits(self, mention: Mention) -> tuple[str, ...]:
        first, last = self.tagged.first[mention.index], self.tagged.last[mention.index]
        limits, floor = _LIMITS, max(0, first - 5)
        if limits.isdisjoint(self.tagged.words[floor : last + 1]):
            return ()
        for index in range(mention.index - 1, -1, -1):
            if self.tagged.last[index] < floor:
                break
            if self.tagged.entries[index].cues & _ENDS:
                denial = self.tagged.entries[index].cues & NEG_PRE  # "no suspicious": the word is in the phrase
                floor = self.tagged.first[index] if denial else self.tagged.last[index] + 1
                break
        return tuple(word for word in self.tagged.words[floor : last + 1] if word in limits)

    def _clause_at(self, offset: int) -> int:
        clause = 0
        for index, first in enumerate(self.tagged.first):
            if self.tagged.starts[first] > offset:
                break
            clause = self.scope.clauses[index]
        return clause
