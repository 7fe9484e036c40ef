"""Referring: what a sentence that names nothing says of the finding before it, by a pronoun."""

from .attach import Mention, one_side, quantifies
from .claim import Claim
from .clauses import BACKWARD, FORWARD
from .modifiers import parsed
from .switches import part

_POINTERS = frozenset({"it", "its", "they", "their", "this", "these", "that", "those", "both"})


@part("claims.referring", off=None)
def referring(sentence: str, before: Claim) -> Claim | None:
    """The claim before, with the side, place, size or end that a sentence gives it by a pronoun ("it lies at the left
    base", "their size is small"); none if the sentence names, denies or supposes something, or gives none of these."""
    found, _, modified = parsed(sentence)
    if found.words[:2] and _POINTERS.isdisjoint(found.words[:2]):
        return None
    if any(entry.finding or (entry.qualities and not entry.size) for entry in found.entries) or any(modified.states):
        return None
    given = Mention(0)
    for at, entry in enumerate(found.entries):
        if entry.cues & (FORWARD | BACKWARD):
            return None
        if not (entry.side and quantifies(found, at)):
            given.take(found, at)
    tips = tuple(entry.tip for entry in found.entries if entry.tip) if before.device else ()
    if not (given.sides or given.places or given.size or tips):
        return None
    because = (*before.because, *(found.entries[at].id for at in given.from_phrases), "claims.referring")
    text = sentence.strip()
    return before._replace(
        side=one_side(given.sides),
        place=tuple(given.places),
        size=given.size,
        tip=tips,
        because=because,
        text=text,
        counted=given.counted,
    )
