"""The lexicon: the TSV files of this folder, read once, as one dictionary of phrases by their words.

A phrase carries everything that is known about it (`Entry`); the longest phrase at a position wins. Plurals are
understood by reducing a word to the lexicon's own form of it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, cast

from .claim import Region

# Kinds of cues.tsv, as bits of Entry.cues, what each means is said there; and what a phrase names or gives.
CUES = {
    name: 1 << bit
    for bit, name in enumerate(
        (
            "neg_pre", "res_pre", "neg_post", "unc_pre", "unc_adj", "unc_post", "hyp_pre", "hyp_post", "alt_pre",
            "alt_post", "hist_pre", "hist_post", "pseudo", "break", "contrast", "presup", "keep", "certain", "doubt",
            "verb", "prep", "cause", "conj", "or", "comma", "stop", "colon", "head", "organ", "tip", "located",
        )
    )
}  # fmt: skip


@dataclass(slots=True)
class Entry:
    """All that one phrase can mean. `weak` findings give way to a more specific one made with an organ."""

    id: str = ""  # its words and the tables that have it: "pleural effusion [findings]"
    cues: int = 0
    finding: str | None = None
    weak: bool = False
    organ: str | None = None
    qualities: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()  # by which pairs.tsv knows it: its finding in brackets, and its qualities
    fits: frozenset[str] = frozenset()  # the organs that pairs.tsv joins with one of them
    side: str | None = None
    place: str | None = None
    size: str | None = None
    tip: str | None = None


class Lexicon(NamedTuple):
    """Everything the reader looks things up in."""

    trie: dict[str, Any]  # word -> [the Entry of the phrase that ends there or none, trie of the words after it]
    forms: dict[str, str]
    regions: dict[str, Region]  # of findings and devices
    organ_regions: dict[str, Region]
    devices: dict[str, str]  # device -> the more general one, "-" for none
    zones: dict[str, frozenset[str]]
    place_sides: dict[str, str]
    tip_groups: dict[str, str]
    pairs: dict[str, dict[str, tuple[str, str]]]  # head -> organ -> finding and status
    normal: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    findings: tuple[str, ...]
    topics: frozenset[str]  # single words that name a part, a finding or a device
    vocabulary: frozenset[str]  # every word of every phrase


def rows(name: str) -> Iterator[list[str]]:
    """The rows of a TSV file of this folder, without comments."""
    for line in files(__package__).joinpath(name).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


NOUNS = ("findings", "devices", "organs", "places", "tips")
# Columns before the phrase of each table; after it may stand an example that holds and one that does not.
_BEFORE = {"places": 3, "qualities": 1, "compare": 1}


def phrases(table: str) -> Iterator[list[str]]:
    """The rows of a table of phrases, each without its examples: the phrase is last."""
    stop = _BEFORE.get(table, 2) + 1
    return (row[:stop] for row in rows(f"{table}.tsv"))


def names(cell: str) -> tuple[str, ...]:
    """The names or phrases of a cell."""
    return tuple(part.strip() for part in cell.split(";") if part.strip() not in ("", "-"))


@cache
def _word_sets() -> dict[str, frozenset[str]]:
    return {name: frozenset(words.split()) for name, words in rows("words.tsv")}


def word_set(name: str) -> frozenset[str]:
    """A set of words.tsv."""
    return _word_sets()[name]


def _words(phrase: str) -> list[str]:
    return phrase.replace(",", " , ").replace("/", " / ").split()


def _plurals(word: str) -> Iterator[str]:
    if len(word) < 3 or not word.isalpha():
        return
    if word.endswith(("s", "x", "ch", "sh")):
        yield word + "es"
    elif word.endswith("y") and word[-2] not in "aeou":
        yield word[:-1] + "ies"
    else:
        yield word + "s"


_CONTRACTED = re.compile(r"\b(is|are|was|were|does|do|did|has|have|could|would|should) not\b")
_ENDS_BELOW = ("stomach", "duodenum", "esophagus")  # in a name ("gastric tube") they tell nothing of the end
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"
)  # fmt: skip


def _levels() -> Iterator[tuple[str, str, str, str]]:
    """Rows of places.tsv for each vertebra and rib: "L2", "7th rib", "seventh posterior rib"."""
    for letter, count in (("c", 7), ("t", 12), ("l", 5)):
        for number in range(1, count + 1):
            for phrase in (f"{letter} {number}", f"{letter} {number} vertebra"):
                yield f"spine_{letter}{number}", f"{letter}{number}", "-", phrase
    for number, word in enumerate(ORDINALS, 1):
        suffix = {1: "st", 2: "nd", 3: "rd"}.get(number, "th")
        which = (word, f"{number} {suffix}")
        parts = ("rib", "posterior rib", "anterior rib", "lateral rib", "left rib", "right rib")
        for phrase in (*(f"{ordinal} {part}" for ordinal in which for part in parts), f"rib {number}"):
            yield f"rib_{number}", f"rib{number}", "-", phrase


class _Builder:
    """Phrases as they are read, then their forms, then one entry for each sequence of word forms."""

    def __init__(self) -> None:
        self.forms = {row[0]: row[1] for row in rows("forms.tsv")}
        self.entries: dict[tuple[str, ...], Entry] = {}

    def learn_plurals(self, phrases: Iterator[str]) -> None:
        """The plural of every word of the phrases is a form of it."""
        for word in sorted({word for phrase in phrases for word in _words(phrase)}):
            for plural in _plurals(self.forms.get(word, word)):
                self.forms.setdefault(plural, self.forms.get(word, word))

    def entry(self, phrase: str, table: str) -> Entry:
        """The entry of a phrase, made if new."""
        words = tuple([self.forms.get(word, word) for word in _words(phrase)])
        found = self.entries.get(words)
        if found is None:
            found = self.entries[words] = Entry(f"{' '.join(words)} [{table}]")
        elif table not in found.id:
            found.id = f"{found.id[:-1]}, {table}]"
        return found

    def place_findings(self) -> None:
        """A finding named with its place or side in one phrase ("biapical thickening") is there."""
        for words, entry in self.entries.items():
            if (entry.finding or entry.organ == "node") and len(words) > 1:
                for part in filter(None, (self.entries.get((word,)) for word in words)):
                    entry.place = entry.place or part.place
                    entry.side = entry.side or part.side
                    if part.tip not in _ENDS_BELOW:
                        entry.tip = entry.tip or part.tip

    def trie(self) -> dict[str, Any]:
        """word -> the entry of the phrase that ends there or none, and the words that may follow."""
        top: dict[str, Any] = {}
        for words, entry in self.entries.items():
            node: list[Any] = [None, top]
            for word in words:
                node = node[1].setdefault(word, [None, {}])
            node[0] = entry
        return top


@cache
def lexicon() -> Lexicon:
    """The lexicon, read and joined once a process."""
    build = _Builder()
    nouns = {table: list(phrases(table)) for table in NOUNS}
    build.learn_plurals(phrase.strip("[]") for table in nouns.values() for *_, phrase in table)
    regions: dict[str, Region] = {}
    devices: dict[str, str] = {}
    for name, region, phrase in nouns["findings"]:
        regions[name] = cast(Region, region)
        entry = build.entry(phrase.strip("[]"), "findings")
        entry.finding, entry.weak = name, phrase.startswith("[")
    for name, kind, phrase in nouns["devices"]:
        regions[name], devices[name] = "devices", kind
        build.entry(phrase, "devices").finding = name
    organ_regions: dict[str, Region] = {}
    for name, region, phrase in nouns["organs"]:
        organ_regions[name] = cast(Region, region)
        build.entry(phrase, "organs").organ = name
    for name, phrase in phrases("qualities"):
        entry = build.entry(phrase, "qualities")
        if name not in entry.qualities:
            entry.qualities += (name,)
    zones: dict[str, frozenset[str]] = {}
    place_sides: dict[str, str] = {}
    for name, zone, side, phrase in (*nouns["places"], *_levels()):
        zones[name] = frozenset(zone.split())
        if side != "-":
            place_sides[name] = side
        entry = build.entry(phrase, "places")
        entry.place = name
        if name.startswith(("rib", "spine")):
            entry.organ = name.partition("_")[0]
            entry.side = next((side for side in ("left", "right") if f" {side} " in phrase), entry.side)
    tip_groups: dict[str, str] = {}
    for name, group, phrase in nouns["tips"]:
        tip_groups[name] = group
        build.entry(phrase, "tips").tip = name
    for kind, value, phrase in phrases("sides"):
        setattr(build.entry(phrase, kind), kind, None if value == "-" else value)
    for kind, _, phrase in phrases("cues"):
        build.entry(phrase, kind).cues |= CUES[kind]
        if "not" in phrase:
            contracted = _CONTRACTED.sub(r"\1n't", phrase).replace("cannot", "can't")
            build.entry(contracted, kind).cues |= CUES[kind]
    build.entry(";", "stop").cues |= CUES["stop"]
    build.entry(":", "colon").cues |= CUES["colon"]
    build.place_findings()
    for (word, *more), entry in list(build.entries.items()):
        if entry.size and not more:  # "massively"
            build.forms.setdefault(f"{word}ly", word)
    pairs: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for organs, heads, finding, status in rows("pairs.tsv"):
        joined = names(organs)
        for head in names(heads):
            for organ in joined:
                pairs[head].setdefault(organ, (finding, status))
    fits: dict[tuple[str, ...], frozenset[str]] = {}
    for entry in build.entries.values():
        entry.heads = ((f"[{entry.finding}]",) if entry.finding else ()) + entry.qualities
        if entry.heads:
            entry.cues |= CUES["head"]
            if entry.heads not in fits:
                fits[entry.heads] = frozenset[str]().union(*(pairs[head] for head in entry.heads if head in pairs))
            entry.fits = fits[entry.heads]
        entry.cues |= (CUES["organ"] if entry.organ else 0) | (CUES["tip"] if entry.tip else 0)
        entry.cues |= CUES["located"] if entry.side or entry.place or entry.size else 0
    normal = {organ: (names(plain), names(acute)) for organ, plain, acute in rows("normal.tsv")}
    return Lexicon(
        trie=build.trie(),
        forms=build.forms,
        regions=regions,
        organ_regions=organ_regions,
        devices=devices,
        zones=zones,
        place_sides=place_sides,
        tip_groups=tip_groups,
        pairs=dict(pairs),
        normal=normal,
        findings=tuple(regions),
        topics=frozenset(
            words[0] for words, entry in build.entries.items() if len(words) == 1 and (entry.organ or entry.finding)
        ),
        vocabulary=frozenset(word for words in build.entries for word in words).union(*_word_sets().values()),
    )
