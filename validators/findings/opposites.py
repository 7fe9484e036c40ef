"""Opposites: the parts and things that a sentence names, with the words of side, level and degree next to them."""

from collections.abc import Iterator

from ..steps import vocabulary
from .clauses import BACKWARD, FORWARD
from .lexicon import CUES, lexicon
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
_SIDES = 0
_TWO_SIDED = frozenset({"both", "bilateral"})
_WORDS = _TWO_SIDED | _KIND_OF.keys()
_NAMELESS = frozenset({"side", "chest", "part", "area", "region", "view", "portion"}) | _KIND_OF.keys()
_ON_BOTH_SIDES = frozenset({"lung", "heart"})  # of any film
_EXTENTS = frozenset({"volume", "lobe", "zone"})  # words of parts that are no part alone
HEALTHY = frozenset({"normal", "clear", "expanded", "sharp", "intact", "midline"})
_NAME = 4  # letters
NOT_SAID = (FORWARD | BACKWARD) & ~(CUES["unc_pre"] | CUES["unc_adj"] | CUES["unc_post"])


Opposites = dict[int, set[str]]  # of each kind that a sentence has words of, these words


def opposites(sentence: str) -> Opposites:
    """The words of opposites in a sentence; "both" is left and right."""
    found: Opposites = {}
    if _WORDS.isdisjoint(vocabulary(sentence)):
        return found
    for word in parsed(sentence)[0].words:
        if word in _KIND_OF:
            found.setdefault(_KIND_OF[word], set()).add(word)
        elif word in _TWO_SIDED:
            found.setdefault(_SIDES, set()).update(_KINDS[_SIDES])
    return found


def things(sentence: str) -> Iterator[str]:
    """What a sentence names: words of the lexicon for parts, findings and devices, and those that it does not know."""
    book = lexicon()
    for name in dict.fromkeys(parsed(sentence)[0].words):
        known = name in book.topics or name in _EXTENTS or name not in book.vocabulary
        if known and len(name) >= _NAME and name.isalpha() and name not in _NAMELESS:
            yield name


def is_of_any_side(name: str, kind: int) -> bool:
    """Whether a thing is on both sides of any film, so that a side of it tells nothing."""
    return kind == _SIDES and name in _ON_BOTH_SIDES


def is_plain(sentence: str) -> bool:
    """Whether a sentence denies and supposes nothing, and calls nothing healthy."""
    return not any(
        entry.cues & NOT_SAID or not HEALTHY.isdisjoint(entry.qualities) for entry in parsed(sentence)[0].entries
    )
