"""Comparison: words of a sentence that speak of an earlier examination. Knows compare.tsv, and nothing of findings."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from ..memory import remembered
from ..steps import vocabulary
from .lexicon import phrases
from .text import WORD, lower

_COMPARE, _NOT = 1, 2
_SHORT = ("new", "now", "last", "old")
# The direction of a change, by the beginnings of the words that give it.
_TRENDS = (
    ("same", re.compile(r"\b(?:stab|unchang|unalter|remain|persist|continu|again\b|redemonst|same\b|similar)")),
    ("same", re.compile(r"\b(?:no|not|without)\s(?:\w+\s){0,2}?(?:chang|new\b|alter)")),
    (
        "more",
        re.compile(
            r"\b(?:increas|wors|larger|grow|grew|progress|develop|enlarging|recurr|bigger|(?<!no )new(?:ly)?\b)"
        ),
    ),
    (
        "less",
        re.compile(r"\b(?:decreas|improv|smaller|resol|clear(?:ed|ing)|regress|remov|shr[aiu]nk|gone\b|no longer)"),
    ),
)


_PERFECT = ("has", "have", "has not", "have not")


def _phrases() -> Iterator[tuple[str, str]]:
    for kind, phrase in phrases("compare"):
        if kind == "change":
            yield from (("compare", f"{verb} {phrase}") for verb in _PERFECT)
        else:
            yield kind, phrase


@cache
def _trie() -> dict[str, Any]:
    top: dict[str, Any] = {}
    for kind, phrase in _phrases():
        node = top
        for word in phrase.split():
            node = node.setdefault(word, {})
        node[""] = _NOT if kind == "not" or node.get("") == _NOT else _COMPARE
    return top


@cache
def _by_word() -> dict[str, list[frozenset[str]]]:
    """The words of the phrases by one of them, of as few as chance allows: other sentences compare nothing."""
    found = [vocabulary(phrase) for kind, phrase in _phrases() if kind == "compare"]
    counts = Counter(word for phrase in found for word in phrase if len(word) > 4 or word in _SHORT)
    by_word: dict[str, list[frozenset[str]]] = {}
    for phrase in found:
        by_word.setdefault(max(phrase, key=lambda word: (counts[word], len(word))), []).append(phrase)
    return by_word


def _may_compare(words: frozenset[str]) -> bool:
    by_word = _by_word()
    return any(phrase <= words for word in filter(by_word.__contains__, words) for phrase in by_word[word])


@remembered
@lru_cache(maxsize=512)
def comparison(sentence: str) -> tuple[int, int] | None:
    """The span of the first words that compare with an earlier examination, or none."""
    if not _may_compare(vocabulary(sentence)):
        return None
    top = _trie()
    words = [(match.group(), match.start(), match.end()) for match in WORD.finditer(lower(sentence))]
    position = 0
    while position < len(words):
        node: dict[str, Any] | None = top.get(words[position][0])
        best, stop, ahead = 0, position + 1, position + 1
        while node is not None:
            if "" in node:
                best, stop = node[""], ahead
            node = node.get(words[ahead][0]) if ahead < len(words) else None
            ahead += 1
        if best == _COMPARE:
            return words[position][1], words[stop - 1][2]
        position = stop
    return None


def compares_with_prior(sentence: str) -> bool:
    """Whether a sentence compares with an earlier examination ("unchanged", "since the prior study", "no longer")."""
    return comparison(sentence) is not None


def trends(sentence: str) -> frozenset[str]:
    """The directions of change that a sentence speaks of: "same", "more" (or new), "less" (or gone)."""
    low = sentence.lower()
    return frozenset(direction for direction, words in _TRENDS if words.search(low))
