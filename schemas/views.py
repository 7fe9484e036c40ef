"""View words: which projection of the chest `PA`, `lat`, `Posteroanterior`, `perfil`, `侧位` or `R-10206` names.

Every place that compares views asks here: the film that a student is shown, reports about more views than their
images, steps that name a view the study does not have. A study keeps the source's own words; only comparisons are
made on kinds.

Words are those of radiology reports and tables in English, Spanish, Portuguese, French, Italian, German, Dutch, Polish,
Russian, Chinese, Japanese and Korean, the DICOM terms of View Position (PS3.3 C.8.7.1.1), and the codes of DICOM's
context group 4010 (PS3.16), as SNOMED-RT (R-...) and SNOMED CT.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

Kind = Literal["PA", "AP", "frontal", "lateral", "oblique", "decubitus"]

_WORDS: tuple[tuple[str, tuple[Kind, ...]], ...] = (
    # a patient who lies on the side: the beam is frontal, the film is no lateral one
    (r"\b(?:lateral|lat)\w*\W+decub\w*|\bdecub\w*\W+lat\w*|\b[lr]ld\b|^\W*decub\w*\W*$", ("decubitus",)),
    (r"(?:\b(?:left|right|lateral|anterior|posterior)\W+)*\bobl\w*|\b[lr][apl]o\b|\bschrag\w*|斜位", ("oblique",)),
    (r"\bpa\b|\bp[.\-/ ]a\b|\bpostero\W*ant\w*|\bdorso\W*ventral\w*|\bp\.-?a\.|\btylno\W*przedn\w*"
     r"|\bзадне\W*передн\w*|\bachter\W*voor\w*|[后後]前位|후전", ("PA", "frontal")),
    (r"\bap\b|\ba[.\-/ ]p\b|\bantero\W*post\w*|\bventro\W*dorsal\w*|\ba\.-?p\.|\bprzednio\W*tyln\w*"
     r"|\bпередне\W*задн\w*|\bvoor\W*achter\w*|前[后後]位|전후|\bportable\b", ("AP", "frontal")),
    (r"\blateral\w*|\blatero\W*(?:lateral|medial)\w*|\bmedio\W*lateral\w*|\b[lr]?lat[lr]?\b|\b[lr]l\b|\bseitlich\w*"
     r"|\bseit(?:en)?aufnahme\b|\bzijdeling\w*|\bboczn\w*|\bбоков\w*|[侧側][位面]|측면", ("lateral",)),
    (r"\bfrontal\w*|\bfrontaal\b|\bпрям\w*|正[位面]|정면", ("frontal",)),
)  # fmt: skip
_PHRASES = [(re.compile(pattern), kinds) for pattern, kinds in _WORDS]
# words of everyday speech, which count only where no other view is named
_ALONE: dict[str, tuple[Kind, ...]] = {
    **dict.fromkeys(("l", "side", "profile", "profil", "perfil", "sagittal", "bok"), ("lateral",)),
    **dict.fromkeys(("front", "face", "frente", "frontalis"), ("frontal",)),
    "dv": ("PA", "frontal"), "vd": ("AP", "frontal"),
}  # fmt: skip
_NOISE = re.compile(
    r"\b(?:views?|pro[jiy]e\w+|imag\w+|film|x\W?rays?|radiogra\w*|chest|thora\w*|tora\w*|cxr|incidence|de|of)\b"
)
_LONGEST = 2000  # characters that are looked at; a view's name has some ten, a line of technique some hundred
_CODES: dict[str, tuple[Kind, ...]] = {
    **dict.fromkeys(("r-10202", "399033003"), ("frontal",)),
    **dict.fromkeys(("r-40888", "r-10214", "272479007"), ("PA", "frontal")),
    **dict.fromkeys(("r-10206", "399348003"), ("AP", "frontal")),
    **dict.fromkeys(("r-102cd", "399067008", "r-10236", "399173006", "r-10232", "399198007", "30730003"), ("lateral",)),
    **dict.fromkeys(("399182000", "399135007", "399356000", "399006002", "399038007"), ("oblique",)),
}


@lru_cache(maxsize=4096)  # a dataset names its views with the same few words
def view_kinds(words: str) -> frozenset[Kind]:
    """The projections that a name, a code or a line of text names; PA and AP are frontal, too. Empty if none is."""
    plain = unicodedata.normalize("NFKD", words[:_LONGEST]).casefold().replace("_", " ")
    plain = unicodedata.normalize("NFKC", "".join(c for c in plain if not unicodedata.combining(c)))
    if (code := _CODES.get(plain.strip())) is not None:
        return frozenset(code)
    found: set[Kind] = set()
    rest = plain
    for pattern, kinds in _PHRASES:
        rest, count = pattern.subn(" ", rest)
        if count:
            found.update(kinds)
    if not found:
        found.update(_ALONE.get(" ".join(_NOISE.sub(" ", re.sub(r"\W", " ", plain)).split()), ()))
    return frozenset(found)


def is_frontal(view: str) -> bool:
    """Whether a film of this view is a frontal one (a canvas of several is, if one of them is)."""
    return "frontal" in view_kinds(view)


def is_lateral(view: str) -> bool:
    """Whether it is a lateral one."""
    return "lateral" in view_kinds(view)


def best_frontal(views: Sequence[str]) -> int:
    """Which of several films to show where one is shown: the first frontal one, else one that may be frontal.

    Oblique and decubitus films that are frontal come after plain ones; then films of unknown view, films that are
    neither, and lateral ones. Of equals, the first.

    Args:
        views: the view of each film, as its source names it; at least one.
    """
    return min(range(len(views)), key=lambda place: (_rank(view_kinds(views[place])), place))


def _rank(kinds: frozenset[Kind]) -> int:
    if "frontal" in kinds:
        return 0 if kinds.isdisjoint(("oblique", "decubitus")) else 1
    if "lateral" in kinds:
        return 4
    return 3 if kinds else 2
