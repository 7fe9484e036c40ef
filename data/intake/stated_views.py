"""The views that a report states where it begins to describe its film: `Portable AP chest radiograph demonstrates ...`.

For reports whose title, technique and view sections name none. Of each sentence of findings and impression only the
words that it opens with are read, while they are words for views, films and how they were taken. They must speak of a
film and name a frontal view: `opacity seen on the lateral view` says where something is seen, and not which films there
are. Advice (`PA and lateral radiographs may be of benefit`) and films of other parts (`AP view of the femur`) are none.
"""

import re

from ...schemas.study import Sections
from ...schemas.views import view_kinds

_SENTENCE = re.compile(r"(?<=[.!?:;])\s+|\n+")
_WORD = re.compile(r"\w+(?:[-./]\w+)*|[^\s\w]")
_LONGEST = 24  # words of an opening
_FILM = re.compile(r"views?|projections?|radiographs?|films?|x-?rays?|rays?|cxr|images?")
_TAKEN = re.compile(r"portable|mobile|bedside|upright|erect|supine|semi-?upright|semi-?erect|sitting")
_FILLING = re.compile(
    r"an?|the|this|these|single|one|two|limited|digital|exam|examination|study|consists|consisting|of|and|with|is|are"
    r"|was|were|obtained|in|semi|chest|thorax|x|[-,()&/]"
)
_ADVICE = re.compile(r"(?i)\b(?:may|might|could|would|should|recommend\w*|suggest\w*|advis\w*|consider\w*|if)\b")
_ORDER = ("PA", "AP", "frontal", "lateral", "oblique", "decubitus")


def stated_views(report: str, sections: Sections) -> tuple[str, ...]:
    """The views, in a fixed order; empty if none are stated.

    Args:
        report: whole; read if it has neither findings nor impression.
        sections: of the report.
    """
    own = "\n".join(filter(None, (sections.findings, sections.impression)))
    found: set[str] = set()
    for sentence in _SENTENCE.split(own or report):
        found |= _opening(sentence)
    if found & {"PA", "AP"}:
        found.discard("frontal")
    return tuple(kind for kind in _ORDER if kind in found)


def _opening(sentence: str) -> frozenset[str]:
    words: list[str] = []
    stopped = False
    for match, _ in zip(_WORD.finditer(sentence), range(_LONGEST), strict=False):
        word = match[0].lower()
        if stopped := not any(kind.fullmatch(word) for kind in (_FILLING, _FILM, _TAKEN)) and not view_kinds(word):
            break
        words.append(word)
    of_another_part = stopped and (words[-1:] == ["of"] or words[-2:] == ["of", "the"])
    if of_another_part or not any(_FILM.fullmatch(word) or _TAKEN.fullmatch(word) for word in words):
        return frozenset()
    # portable films are nearly always AP; but a report that does not say so is not made to
    kinds = view_kinds(" ".join(word for word in words if not _TAKEN.fullmatch(word)))
    return frozenset() if "frontal" not in kinds or _ADVICE.search(sentence) else frozenset(kinds)
