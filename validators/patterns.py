"""Patterns: the alternatives of regular expressions, each searched only in texts that have what it needs.

Most steps have none of the words that a rule's patterns are about, and a look into a set costs a hundredth of a search.
What an alternative needs (a word, a mark, a digit) is read from the pattern itself, so the two always agree.
"""

import re
import re._constants as sre  # type: ignore[import-not-found]  # the standard library has no public reader of patterns
import re._parser as sre_parser  # type: ignore[import-not-found]  # as above; both stand in every CPython since 3.11
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache, reduce
from typing import Any

from .memory import remembered
from .steps import tokens

LEAD = 6  # letters of a word by which it is looked up: "documented" as "docume"
_ONE_BY_ONE = 8  # patterns that are searched one by one
_MOST = 400  # strings that a part of a pattern is written out to, at most
_ANYTHING, _DIGIT, _GAP = "\0", "\1", " "  # in a written-out string: unknown characters, a digit, a border of a word
# words and marks of nearly every step: needing one of these saves nothing
_COMMON = frozenset(
    re.findall(r"\S+", ". , a an and are as at be by for from in is it no not of on or that the this to was with")
)
_UNKNOWN = _COMMON | {_ANYTHING, _GAP}
_WORD = re.compile(rf"(?<=[^\0\1a-z])(?:[a-z]{{{LEAD},}}|[a-z]+(?=[^\0a-z]))")  # long enough, or whole
_DIGIT_FOUND, _TWO_DIGITS = re.compile(r"\d"), re.compile(r"\d\d")
_OFTEN = {"0": 30, "00": 10}  # as many other leads are in as many texts, about


@remembered
@lru_cache(maxsize=512)
def leads(text: str) -> frozenset[str]:
    """The first letters of a text's words, its short words, in lower case; its marks; "0" if it has a digit, and "00"
    if it has two in a row."""
    found = {token[:LEAD] for token in tokens(text)}
    if _DIGIT_FOUND.search(text):
        found |= {"0", "00"} if _TWO_DIGITS.search(text) else {"0"}
    return frozenset(found)


class Patterns:
    """Regular expressions that are searched as if joined by `|`; read and compiled when they are first needed."""

    def __init__(self, *patterns: str, flags: int = re.I) -> None:
        self._given, self._flags = patterns, flags
        self._made: dict[int, re.Pattern[str]] = {}

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The alternatives, one a string."""
        return tuple(part for pattern in self._given for part in _alternatives(pattern))

    def search(self, text: str) -> re.Match[str] | None:
        """The match that starts first, of all patterns."""
        if not (wanted := self._wanted(text)):
            return None
        if len(wanted) > _ONE_BY_ONE:  # then one pattern with all of them is quicker
            return self._joined.search(text)
        best = None
        for at in wanted:
            found = self._compiled(at).search(text)
            if found is not None and (best is None or found.start() < best.start()):
                best = found
        return best

    def finditer(self, text: str) -> list[re.Match[str]]:
        """The matches of every pattern, by where they start; those of two patterns may overlap."""
        found = [match for at in self._wanted(text) for match in self._compiled(at).finditer(text)]
        return sorted(found, key=re.Match.start) if len(found) > 1 else found

    @cached_property
    def _joined(self) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{given})" for given in self._given), self._flags)

    def _wanted(self, text: str) -> Sequence[int]:
        """The patterns that are worth trying."""
        by_lead, known, always = self._index
        here = leads(text)
        if known.isdisjoint(here):
            return always
        return sorted({*always, *(at for lead in here & known for at in by_lead[lead])})

    @cached_property
    def _index(self) -> tuple[dict[str, list[int]], frozenset[str], tuple[int, ...]]:
        by_lead: dict[str, list[int]] = {}
        always = []
        for at, source in enumerate(self.sources):
            needed = needs(source, self._flags)
            for lead in needed:
                by_lead.setdefault(lead, []).append(at)
            if not needed:
                always.append(at)
        return by_lead, frozenset(by_lead), tuple(always)

    def _compiled(self, at: int) -> re.Pattern[str]:
        if at not in self._made:
            self._made[at] = re.compile(self.sources[at], self._flags)
        return self._made[at]


def _alternatives(pattern: str) -> Iterator[str]:
    """A pattern cut at each `|` outside of groups and sets."""
    depth = start = 0
    for match in re.finditer(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[(|)]", pattern):
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        if match.group() == "|" and not depth:
            yield pattern[start : match.start()]
            start = match.end()
    yield pattern[start:]


def needs(source: str, flags: int = re.I) -> frozenset[str]:
    """Leads of which every match of the pattern has at least one; empty if there is no such set."""
    best: set[str] = set()
    for strings in _parts(sre_parser.parse(source, flags)):
        words = set[str]()
        for string in strings:
            if (word := _rarest(string)) is None:
                break
            words.add(word)
        else:
            words -= {"00"} if "0" in words else set()  # texts with "00" have "0" too
            best = words if not best or _often(words) < _often(best) else best
        if _often(best) == 1:
            break
    return frozenset(best)


def _often(leads: set[str]) -> int:
    """How many texts have one of these leads: a number that can be compared."""
    return sum(_OFTEN.get(lead, 1) for lead in leads)


def _rarest(string: str) -> str | None:
    """The lead of the longest word that is whole or as long as a lead; else "00" or "0" for digits; else a mark."""
    words: list[str] = _WORD.findall(string)
    if word := max((word for word in words if word not in _COMMON), key=len, default=""):
        return word[:LEAD]
    digits = "".join(_DIGIT if char.isdigit() else char for char in string)
    if _DIGIT in digits:
        return "00" if 2 * _DIGIT in digits else "0"
    return next((mark for mark in string if not mark.isalnum() and mark not in _UNKNOWN), None)


def _parts(items: Any) -> Iterator[set[str]]:
    """The pattern cut at the borders of its words, each part written out; every match has one string of each part."""
    strings = {""}
    for more in _written(items):
        if more == {_GAP} or len(strings) * len(more) > _MOST:
            yield {string + _GAP for string in strings} if more == {_GAP} else strings
            strings = {_ANYTHING}
        strings = _followed(strings, more)
    yield strings


def _joined(items: Any) -> set[str]:
    """A part of a pattern written out; unknown characters where that is too long."""
    return reduce(_followed, _written(items), {""})


def _followed(strings: set[str], more: set[str]) -> set[str]:
    if len(strings) * len(more) > _MOST:
        return {_ANYTHING}
    return {a + b for a in strings for b in more}


def _written(items: Any) -> Iterator[set[str]]:
    """What each item may be, written out; letters in a row are one."""
    run = ""
    for kind, value in items:
        if kind is sre.LITERAL and value != ord(_GAP):
            run += chr(value).lower()
            continue
        if run:
            yield {run}
            run = ""
        yield _item(kind, value)
    if run:
        yield {run}


def _item(kind: Any, value: Any) -> set[str]:
    if kind is sre.AT or kind is sre.LITERAL:
        return {_GAP}
    if kind is sre.IN:
        return _of_set(value)
    if kind is sre.SUBPATTERN:
        return _joined(value[3])
    if kind is sre.BRANCH:
        found = set().union(*(_joined(branch) for branch in value[1]))
        return found if len(found) <= _MOST else {_ANYTHING}
    if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        least, most, inner = value
        once = _joined(inner)
        if most == 1 or once == {_GAP}:
            often = once
        elif len(once) == 1 and least:
            some, one = min(least, LEAD), min(once)  # "xx+" is "xx" or "xxx" or begins with four of them
            often = {*(one * times for times in range(some, LEAD)), one * LEAD + _ANYTHING}
        else:
            often = {_ANYTHING + string for string in once}
        return often if least else {"", *often}
    return {""} if kind in (sre.ASSERT, sre.ASSERT_NOT) else {_ANYTHING}


def _of_set(members: list[tuple[Any, Any]]) -> set[str]:
    if members == [(sre.CATEGORY, sre.CATEGORY_SPACE)]:
        return {_GAP}
    if members == [(sre.CATEGORY, sre.CATEGORY_DIGIT)]:
        return {_DIGIT}
    if all(kind is sre.LITERAL for kind, _ in members) and len(members) <= 2 * LEAD:
        return {chr(value).lower() for _, value in members}
    return {_ANYTHING}
