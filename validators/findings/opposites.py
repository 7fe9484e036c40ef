"""Opposites: the parts and things that a sentence names, with the words of side, level and degree next to them."""

from collections import defaultdict
from collections.abc import Iterator

from ..steps import vocabulary
from .clauses import BACKWARD, FORWARD
from .lexicon import lexicon
from .modifiers import parsed

_KINDS = (
    ("left", "right"),
    ("upper", "middle", "lower"),
    ("ascending", "descending"),
    ("cervical", "thoracic", "lumbar"),
    ("high", "low"),
    ("anterior", "posterior"),
    ("superior", "inferior"),
    ("medial", "lateral"),
    ("proximal", "distal"),
    ("increase", "decrease", "increased", "decreased"),
)
_KIND_OF = {word: kind for kind, words in enumerate(_KINDS) for word in words}
_TWO_SIDED = frozenset({"both", "bilateral"})
_ANYWHERE = frozenset({"side", "chest", "part", "area", "region", "view", "portion"})  # what names nothing by itself
_ON_BOTH_SIDES = frozenset({"lung", "heart"})  # of any film
_EXTENTS = frozenset({"volume", "lobe", "zone"})  # words of parts that are no part alone
HEALTHY = frozenset({"normal", "clear", "expanded", "sharp", "intact", "midline"})
_NAME = 4  # letters


def named_with(sentence: str, asserted: bool = False) -> Iterator[tuple[str, int, set[str]]]:
    """For each thing that a sentence names and each kind of opposites, the words of that kind in the sentence.

    Things are the words of the lexicon for parts, findings and devices, and those it does not know. With `asserted`,
    nothing of a sentence that denies, supposes, or calls something healthy, and only the kinds that it has words of.
    """
    if asserted and _KIND_OF.keys().isdisjoint(vocabulary(sentence)):
        return
    matched, _, _ = parsed(sentence)
    if asserted and any(
        entry.cues & (FORWARD | BACKWARD) or not HEALTHY.isdisjoint(entry.qualities) for entry in matched.entries
    ):
        return
    words: dict[int, set[str]] = defaultdict(set)
    for word in matched.words:
        if word in _KIND_OF:
            words[_KIND_OF[word]].add(word)
        elif word in _TWO_SIDED:
            words[0] |= {*_KINDS[0]}
    if asserted and not words:
        return
    book = lexicon()
    for name in dict.fromkeys(matched.words):
        if len(name) < _NAME or not name.isalpha() or name in _KIND_OF or name in _ANYWHERE:
            continue
        if name in book.topics or name in _EXTENTS or name not in book.vocabulary:
            for kind in words if asserted else range(len(_KINDS)):
                if kind or name not in _ON_BOTH_SIDES:
                    yield name, kind, words.get(kind, set())
