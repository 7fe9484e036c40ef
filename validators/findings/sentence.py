"""One sentence to its claims. Composes tagging, scope and attachment; everything it knows is in the TSV files.

A sentence is read once a process (a cache by its text): reports and traces repeat themselves.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from .attach import Mention, mentions
from .claim import Claim, Measurement, Side, Status
from .compares import compares_with_prior, may_compare
from .lexicon import CUES, Entry, Lexicon, lexicon
from .measure import measurements
from .scope import ALT, DENIED, DOUBT, HIST, HYP, NEG, NEG_PRE, SURE, UNC, Scope, scope
from .tagging import Tagged, tag
from .text import lower

# A sentence with one of these words speaks of all but something: its normality implies nothing.
_RESERVED = frozenset(
    {
        "otherwise",
        "elsewhere",
        "rest",
        "remaining",
        "remainder",
        "aside",
        "apart",
        "except",
        "other",
        "opposite",
        "else",
        "away",
        "outside",
        "besides",
        "only",
        "alone",
        "sole",
        "exception",
        "however",
        "above",
        "below",
    }
)
_ACUTE = frozenset({"acute", "active", "acutely", "actively", "new"})
# What shallow inspiration, projection and rotation can feign.
_TECHNICAL = frozenset({"cardiomegaly", "enlarged_cardiomediastinum", "vascular_congestion", "interstitial_opacity"})
_NORMAL_OF = {"expanded": "lung_expanded", "intact": "bone_intact"}
_LOOSE = 4  # unknown words between an organ and what is said of it, at which it may be said of something else
_THERE = frozenset({"seen", "present", "identified", "visible", "noted", "evident", "found", "there", "apparent"})
_IS = frozenset({"is", "are"})
_OPENING = 4  # words before the subject of a sentence, at most
# what an attributive "normal" may stand before, and still be said of the organ ("the heart has a normal size")
_ASPECTS = frozenset(
    {
        "appearance", "size", "contour", "outline", "silhouette", "shape", "position", "course", "caliber", "calibre",
        "width", "configuration", "range", "limit", "limits", "share", "pattern", "look", "aspect", "form", "density",
        "distribution", "alignment", "height", "volume", "degree", "manner", "way", "branching", "architecture",
        "texture", "proportion", "extent", "margin", "border", "edge", "surface", "diameter", "and", "or",
        "in", "for",
    }
)  # fmt: skip
_SEARCHES = frozenset(
    {"look", "looks", "looking", "looked", "search", "searches", "searched", "searching", "check", "checks", "checked"}
)
_ARTICLES = frozenset({"a", "an"})
_DETERMINERS = frozenset({"neither", "no"})
_COPULAS = frozenset({"is", "are", "has", "have", "appears", "appear", "seems", "looks"})
_UNLIKE = {"cp_angle": "costophrenic_blunting"}  # what an organ has that is said not to be normal
# words before a finding, and after one, by which a statement says that it is there
_STATES = frozenset(
    {
        "there", "is", "are", "has", "have", "show", "shows", "contain", "contains", "reveal", "reveals",
        "demonstrate",
        "demonstrates", "display", "displays", "exhibit", "exhibits", "with", "carry", "carries", "bear",
        "bears", "see",
        "represents", "represent", "indicates", "indicate", "means", "reflects", "harbors", "holds", "hold",
        "suggests",
        "suggest", "consistent", "compatible", "diagnosis", "due", "from", "yes", "keeping", "was", "were", "marks",
    }
)  # fmt: skip
_STANDS = frozenset(
    {
        "seen", "present", "identified", "visible", "noted", "evident", "found", "apparent", "lies", "lie",
        "occupies",
        "occupy", "projects", "project", "overlies", "overlie", "extends", "extend", "measures", "measure", "fills",
        "accompanies", "accompany", "persists", "persist", "coexists", "coexist", "blunts", "runs",
        "involves", "sits",
        "involve", "affects", "crosses", "spans", "gathered", "collected", "developed", "diagnosis",
        "cause", "certain",
        "proven", "confirmed", "scattered", "spread", "distributed", "widespread", "located", "situated",
        "new", "large", "extensive", "definite", "established", "obvious", "shown", "demonstrated",
        "exists", "exist", "complicates",
        "obscures", "appears", "appear", "remains", "remain", "detected", "observed", "recognized", "clearly", "mild",
    }
)  # fmt: skip
_PORTIONS = frozenset(
    {
        "area", "focus", "patch", "evidence", "sign", "signs", "degree", "amount", "region", "band", "streak", "line",
        "presence", "collection", "areas", "patches", "foci", "bands", "streaks", "zone", "zones", "pocket",
        "rim", "trace",
        "appearance", "consistent", "layer", "spot", "island", "suggestive", "pattern", "features",
        "diagnosis", "picture",
        "change", "changes", "form", "findings", "bit", "touch", "segment", "number", "cluster", "group", "case",
    }
)  # fmt: skip
# what a mere adjective makes of an organ ("a white focus"): a description, not a diagnosis
_DESCRIBED = frozenset({"lung_opacity", "bone_lesion", "lucency"})
_KINDS = frozenset(
    {"form", "kind", "type", "sort", "variant", "stage", "manifestation", "presentation", "mimic", "risk"}
)
_TURNS = frozenset({";", ":", "but", "while", "although", "though", "whereas", "and", "(", "with", "without"})
_NOTS = frozenset({"not", "never", "nowhere"})
_VERSUS = ("versus", "vs")
_OR, _JOINS, _ENDS = CUES["or"], CUES["or"] | CUES["conj"] | CUES["comma"], NEG_PRE | CUES["comma"] | CUES["verb"]


@lru_cache(maxsize=50_000)
def read_sentence(sentence: str) -> tuple[Claim, ...]:
    """The claims of one sentence, with spans in it."""
    low = lower(sentence)
    tagged = tag(low, 0, len(low))
    if not tagged.entries:
        return ()
    scoped = scope(tagged)
    found = mentions(tagged, scoped)
    if not found and not any(entry.organ == "tip" for entry in tagged.entries):
        return ()
    return tuple(_Sentence(sentence, low, tagged, scoped, found).claims())


class _Frame(NamedTuple):
    """What all claims of one mention share."""

    side: Side | None
    place: tuple[str, ...]
    size: str | None
    measurement: Measurement | None
    limits: tuple[str, ...]
    state: int
    soft: bool


class _Sentence:
    """One sentence on its way to claims."""

    def __init__(self, text: str, low: str, tagged: Tagged, scoped: Scope, found: list[Mention]) -> None:
        self.text, self.tagged, self.scope, self.mentions = text, tagged, scoped, found
        self.book: Lexicon = lexicon()
        self.compares = may_compare(tagged.words) and compares_with_prior(text)
        self.measurements = measurements(low)
        self.reserved = not _RESERVED.isdisjoint(tagged.words)
        self.weighs = not self.book.weigh.isdisjoint(tagged.words) or self._generic()
        self.artifact = not self.book.artifact.isdisjoint(tagged.words)
        self.tips = tuple(
            dict.fromkeys(
                entry.tip
                for entry, state in zip(tagged.entries, scoped.states, strict=True)
                if entry.tip and not state & (NEG | HYP)
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
        seen: set[tuple[str, Status, str | None, tuple[str, ...]]] = set()
        for position, mention in enumerate(self.mentions):
            entry = self.tagged.entries[mention.index]
            frame = None
            for finding, implied, said in self._meanings(mention, entry, position):
                status: Status = "uncertain" if said == "present" and open_pairs.get(mention.index) else said
                frame = frame or self._frame(mention)
                key = (finding, status, frame.side, frame.place)
                if key not in seen:
                    seen.add(key)
                    yield self._claim(mention, frame, finding, status, implied, mention.index in open_pairs)

    def _meanings(self, mention: Mention, entry: Entry, position: int) -> Iterator[tuple[str, bool, Status]]:
        status = self._status(mention.index)
        made = False
        first, last = self.tagged.first[mention.index], self.tagged.last[mention.index]
        words = self.tagged.words
        if first and words[first - 1] == "as" == "".join(words[last + 1 : last + 2]):
            return  # "as dense as bone"
        if not self._modifies_next(position, entry):
            for kind, finding in dict.fromkeys(self._pairs(mention, entry)):
                if kind == "present":
                    made = True
                    if status is not None:
                        yield finding, False, status
                elif status is not None and not self.reserved and (kind == "abnormal" or self._close(mention)):
                    made = made or entry.finding is None
                    if kind == "absent" and status == "absent" and finding in _UNLIKE:
                        yield _UNLIKE[finding], False, "present"
                    yield from ((name, True, "absent") for name in self._normal(kind, finding, status, mention))
        if entry.finding and not made and status is not None:
            yield entry.finding, False, status

    def _supposed(self, index: int) -> bool:
        """ "Nodules that are not calcified would alarm": nothing is denied of this patient."""
        words, after = self.tagged.words, self.tagged.last[index] + 1
        return words[after : after + 1] == ["would"]

    def _presupposed(self, index: int) -> bool:
        """ "Neither lead is broken": what is denied is a state of the thing, which is there."""
        first, after, words = self.tagged.first[index], self.tagged.last[index] + 1, self.tagged.words
        return (
            first > 0
            and words[first - 1] in _DETERMINERS
            and self.tagged.entries[index].finding in self.book.devices
            and words[after : after + 1] != []
            and words[after] in _COPULAS
            and after + 1 < len(words)
            and words[after + 1] not in _THERE
        )

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

    def _close(self, mention: Mention) -> bool:
        """Whether normality is said of the organ itself: words enough between, or an apposition, and it is unsure."""
        words, first, last = self.tagged.words, self.tagged.first[mention.index], self.tagged.last[mention.index]
        before = [index for index in mention.organs if index < mention.index]
        if len(before) < len(mention.organs) or not before:
            return True
        start = self.tagged.last[before[-1]] + 1
        if "than" in words[start:first]:
            return False  # "darker than usual"
        if words[first - 1] in ("a", "an") and "," in words[start:first]:
            return False
        if not _ARTICLES.isdisjoint(words[max(start, first - 3) : first]) and self._modifies_other(last + 1):
            return False
        known = {
            position
            for index in range(before[-1] + 1, mention.index)
            for position in range(self.tagged.first[index], self.tagged.last[index] + 1)
        }
        loose = [word for position, word in enumerate(words[start:first], start) if position not in known]
        return sum(len(word) > 3 for word in loose) < _LOOSE or last >= len(words)

    def _modifies_other(self, after: int) -> bool:
        words = self.tagged.words
        if after >= len(words) or not words[after].isalpha() or words[after] in _ASPECTS:
            return False
        return after not in self.tagged.first

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
            return None if self._presupposed(index) or self._supposed(index) else "absent"
        if state & (HYP | HIST):
            return None
        return "uncertain" if state & UNC else "present"

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
        sides, places = mention.sides, tuple(dict.fromkeys(mention.places))
        if places and not sides:
            sides = {self.book.place_sides[place] for place in places if place in self.book.place_sides}
        side: Side | None = None
        if sides:
            side = "bilateral" if "bilateral" in sides or len(sides) == 2 else "left" if "left" in sides else "right"
        words, index = self.tagged.words, mention.index
        measurement = None
        if self.measurements:
            clause = self.scope.clauses[index]
            measurement = next((m for m in self.measurements if self._clause_at(m.span[0]) == clause), None)
        size = "borderline" if words[self.tagged.first[index]] == "borderline" else mention.size
        return _Frame(
            side, places, size, measurement, self._limits(mention), self.scope.states[index], self._soft(index)
        )

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
            tip=self.tips if device or tip else (),
            measurement=None if implied or status == "absent" else frame.measurement,
            compares=self.compares,
            certain=bool(state & SURE),
            doubted=bool(state & DOUBT),
            limits=frame.limits,
            soft=status == "present"
            and (
                frame.soft
                or (finding in _DESCRIBED and not tagged.entries[index].finding)
                or (finding in _TECHNICAL and self.artifact)
            ),
            implied=implied,
            open=is_open,
            dismissed=bool(state & ALT) and not state & DENIED,
            device=device,
            region="devices" if tip else self.book.regions[finding],
            span=(start, end),
            text=self.text[start:end],
            sentence=(0, len(self.text)),
        )

    def _soft(self, index: int) -> bool:
        """Whether the statement that a mention stands in has words of weighing or denial that did not reach it."""
        words, first = self.tagged.words, self.tagged.first[index]
        start = max((border for border in self.scope.borders if border < first), default=0)
        stop = min((border for border in self.scope.borders if border > first), default=len(words))
        if not self.book.soft.isdisjoint(words[start:stop]) or self._negated_later(index):
            return True
        if self._sought(start, first):
            return True
        if self.weighs and not self._affirmed(words[first:stop], words[start:first], index):
            return True
        return not self._stated(index, start, stop)

    def _stated(self, index: int, start: int, stop: int) -> bool:
        """Whether the words say in some way that it is there; a bare subject of another verb may be weighed by it
        ("pneumonia is off the table", "infection explains it")."""
        entry, words = self.tagged.entries[index], self.tagged.words
        first, last = self.tagged.first[index], self.tagged.last[index]
        if entry.finding is None or entry.finding in self.book.devices or entry.size or entry.side:
            return True
        if first > 1 and "of" in words[first - 2 : first] and not _KINDS.isdisjoint(words[max(0, first - 4) : first]):
            return False
        inside = [
            other
            for other, begin in zip(self.tagged.entries, self.tagged.first, strict=True)
            if start <= begin < stop and other is not entry
        ]
        if first > 1 and words[first - 1] == "of" and words[first - 2] not in _PORTIONS:
            return False  # "the outcome of aspiration"
        if any(other.side or other.place or other.size for other in inside) or self.measurements:
            return True
        before, after = words[start:first], words[last + 1 : stop]
        if any(other.cues & CUES["verb"] for other in inside) is False:
            return True
        return not _STATES.isdisjoint(before) or not _STANDS.isdisjoint(after)

    def _sought(self, start: int, first: int) -> bool:
        """ "I look first for opacities": what follows, up to a colon, is what is looked for."""
        words = self.tagged.words
        for at in range(first - 1, start, -1):
            if words[at] == ":":
                return False
            if words[at] == "for" and not _SEARCHES.isdisjoint(words[max(0, at - 3) : at]):
                return True
        return False

    def _generic(self) -> bool:
        """Whether the sentence is of a kind, not of this patient: "bullae that rupture",
        "an effusion of this sort"."""
        if not self.mentions:
            return False
        if self.tagged.words[0] in ("when", "once"):
            return True
        words, first = self.tagged.words, self.mentions[0]
        after = self.tagged.last[first.index] + 1
        return self.tagged.first[first.index] < _OPENING and words[after : after + 1] in (["that"], ["when"])

    def _negated_later(self, index: int) -> bool:
        """ "An effusion, which follows many infections, does not arise": a negation after it, before a contrast."""
        words = self.tagged.words
        for at in range(self.tagged.last[index] + 1, len(words)):
            if words[at] in _TURNS:
                return False
            if words[at] in _NOTS:
                return True
        return False

    def _affirmed(self, after: list[str], before: list[str], index: int) -> bool:
        """Whether the statement says that it is there ("a fracture is present"); a device needs no such words."""
        if self.tagged.entries[index].finding in self.book.devices or "there" in before:
            return True
        return not _THERE.isdisjoint(after) and not _IS.isdisjoint(after)

    def _limits(self, mention: Mention) -> tuple[str, ...]:
        first, last = self.tagged.first[mention.index], self.tagged.last[mention.index]
        limits, floor = self.book.limits, max(0, first - 5)
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
