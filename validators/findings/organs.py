"""Organs of a mention: what a quality or finding is said of ("enlarged heart", "rib fracture"). Knows word order."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .lexicon import CUES, lexicon, word_set
from .states import BREAK, FORWARD, NEG_PRE, Scope, is_head
from .tagging import Tagged

_ARTICLES = frozenset({"a", "an"})
_NEAR = 6  # words between a quality and the organ after it
_PLACING = word_set("placing")
_OF = word_set("of")
_VERB, _COMMA, _CONJ, _PREP = CUES["verb"], CUES["comma"], CUES["conj"], CUES["prep"]
_PRESUP = CUES["presup"] | CUES["cause"]


@dataclass(slots=True)
class Mention:
    """A finding, device or quality of a sentence, with what belongs to it."""

    index: int  # of its phrase
    organs: list[int] = field(default_factory=list)
    sides: set[str] = field(default_factory=set)
    places: list[str] = field(default_factory=list)
    size: str | None = None


def find_organs(tagged: Tagged, scope: Scope, mention: Mention, before: int) -> None:
    entries, clauses, index = tagged.entries, scope.clauses, mention.index
    heads = [f"[{entries[index].finding}]"] if entries[index].finding else []
    heads += entries[index].qualities
    pairs = lexicon().pairs

    def fits(organ: int) -> bool:
        name = entries[organ].organ
        return name is not None and any((name, head) in pairs for head in heads)

    group: list[int] = []
    end = tagged.last[index]
    loose = (
        False  # a preposition stands between: "calcification of the aorta", but "normal for the purpose of the study"
    )
    paired = _paired(tagged, scope, index, fits)
    if paired is not None:
        mention.organs = [paired]
        return
    for ahead in range(index + 1, len(entries)):  # "enlarged heart", "calcification of the aorta"
        entry = entries[ahead]
        if clauses[ahead] != clauses[index]:
            break
        if entry.organ is not None:
            if group and not _ARTICLES.isdisjoint(tagged.words[end + 1 : tagged.first[ahead]]):
                break  # "clear lungs and a worn spine"
            if not fits(ahead) or tagged.first[ahead] - end > _NEAR:
                break
            if not group:
                loose = any(entries[between].cues & _PREP for between in range(index + 1, ahead))
            group.append(ahead)
            end = tagged.last[ahead]
        elif entry.cues & (_VERB | _PRESUP | BREAK | FORWARD) or is_head(entry):
            if entry.cues & _VERB and len(group) > 1:
                group.pop()  # "normal heart size and the lungs are": another subject
            break
        elif (entry.cues & (_CONJ | _COMMA) and not group) or (
            entry.cues & _PREP and tagged.words[tagged.first[ahead]] not in _OF
        ):
            break
    if group and not loose:
        mention.organs = group
        return
    mention.organs = _organs_before(tagged, scope, index, before, fits) or group


def _paired(tagged: Tagged, scope: Scope, index: int, fits: Callable[[int], bool]) -> int | None:
    """The organ of the first of two adjectives ("a calcified and mildly tortuous aorta")."""
    entries = tagged.entries
    if not (index + 1 < len(entries) and entries[index + 1].cues & _CONJ):
        return None
    adjective = False
    for ahead in range(index + 2, min(len(entries), index + 6)):
        entry = entries[ahead]
        if tagged.first[ahead] - tagged.last[ahead - 1] > 1 or scope.clauses[ahead] != scope.clauses[index]:
            return None
        if entry.organ and not is_head(entry):
            return ahead if adjective and fits(ahead) else None
        adjective = adjective or bool(entry.qualities)
        if not (entry.qualities or entry.size or entry.side):
            return None
    return None


def _organs_before(tagged: Tagged, scope: Scope, index: int, before: int, fits: Callable[[int], bool]) -> list[int]:
    entries, clauses = tagged.entries, scope.clauses
    group: list[int] = []
    for back in range(index - 1, -1, -1):  # "heart, mediastinum and vessels are normal", "rib fracture"
        entry = entries[back]
        if clauses[back] != clauses[index] or (entry.cues & BREAK and clauses[back] != clauses[back - 1]):
            if group or not is_which(tagged, back):
                break
            antecedent = next((near for near in range(back - 1, max(-1, back - 4), -1) if entries[near].organ), None)
            return [antecedent] if antecedent is not None and fits(antecedent) else []
        if entry.organ is not None and not is_head(entry):
            if group and ":" in tagged.words[tagged.last[back] : tagged.first[group[-1]]]:
                break  # "heart and aorta: heart size normal": a heading, and then the subject
            if fits(back):
                group.append(back)
            elif group:
                break
        elif not group and entry.cues & NEG_PRE and back and entries[back - 1].cues & (_CONJ | _COMMA):
            break  # "..., and no abnormality": of something else
        elif entry.cues & _PRESUP or (group and (entry.cues & (_VERB | FORWARD) or back == before)):
            break
        if back == before and entry.organ is None and not _same_subject(tagged, back, index):
            break
    return _ungoverned(tagged, group[::-1])


def _ungoverned(tagged: Tagged, group: list[int]) -> list[int]:
    """ "The bones of the thorax", "in the middle of the chest the heart": a governed organ beside a subject is
    a place, and nothing is said of it."""
    subjects = []
    governed = False
    for position, organ in enumerate(group):
        before = tagged.words[max(0, tagged.first[organ] - 3) : tagged.first[organ]]
        listed = position > 0 and tagged.first[organ] - tagged.last[group[position - 1]] <= 3
        here = any(word in _PLACING for word in before)
        joined = listed and any(word in (",", "and", "or", "nor") for word in before)
        opens = joined and "," in before and "and" not in before and len(group) > position
        governed = here or (governed and joined and not opens)
        if not governed:
            subjects.append(organ)
    return subjects or group


def _same_subject(tagged: Tagged, before: int, index: int) -> bool:
    """Two things said of one organ: "the aorta is tortuous and calcified", "lungs are clear without congestion"."""
    return tagged.first[index] - tagged.last[before] <= 6


def is_which(tagged: Tagged, index: int) -> bool:
    """ "The mediastinum, which is widened": what is said after "which" is said of the organ before it."""
    return tagged.words[tagged.first[index]] == "which"
