"""Unread: a plain statement that the reader cannot follow, in telling words that the reference does not have.

It protects against findings, devices and procedures that the lexicon does not know, or knows in other words ("a sheath
lies in the jugular vein", "bronchi: cuffing"). Telling are words of findings, devices, parts and places, and words that
the lexicon has never seen; a sentence that asks, denies, weighs, calls something healthy, speaks of technique or makes
a claim is none of its business.

Of 259 good traces of the development sets one is doubted by it alone; of 680 that have a step of another study 14 are
found by nothing else.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import sentences
from .findings.claims import read_sentence
from .findings.lexicon import lexicon, word_set
from .findings.match import Match
from .findings.modifiers import parsed
from .findings.opposites import tone
from .grounding import REPORT_LIMIT, novel_words
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"unread_statement": "doubt"}
find = Finder(__name__, CODES)

_SEVERAL = 2  # words: a single one may be another way to say a thing
_TOPIC = 6  # words in which a colon ends the topic
_TECHNIQUE = word_set("technique")


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first statement of each step that makes no claim and shares no telling word with the reference."""
    for position, text in steps_of(candidate):
        for start, end in sentences(text):
            words = _strange(text[start:end], study.report[:REPORT_LIMIT])
            if len(words) >= _SEVERAL and not lexicon().abnormal.isdisjoint(words):
                yield find(
                    "unread_statement",
                    f"{text[start:end]!r}: the study has nothing of {', '.join(words)}; say what it shows.",
                    step=position,
                    span=(start, end),
                )
                break


def _strange(sentence: str, report: str) -> list[str]:
    """The telling and the unknown words of a plain statement without claims that the reference does not have."""
    if any(not claim.implied for claim in read_sentence(sentence)) or not tone(sentence).stated:
        return []
    found = parsed(sentence)[0]
    if not _TECHNIQUE.isdisjoint(found.words) or not any(
        entry.organ or entry.place or entry.side or entry.finding or entry.qualities for entry in found.entries
    ):
        return []
    return novel_words(_after_topic(found), report)


def _after_topic(found: Match) -> list[str]:
    """The words after a topic that names nothing ("Bottom line:")."""
    if ":" not in found.words[:_TOPIC]:
        return found.words
    colon = found.words.index(":")
    named = any(
        first < colon and (entry.organ or entry.finding)
        for first, entry in zip(found.first, found.entries, strict=True)
    )
    return found.words if named else found.words[colon:]


_LINE = """\
Technique: Chest radiograph.
View: PA
Findings: Right jugular line. The heart is normal in size. The lungs are clear. No pleural effusion or pneumothorax.
Impression: Right jugular line."""

PASSES = (
    Case(ten()),
    Case(ten({2: "The line has its course in the right jugular vein."}, _LINE), None, _LINE),
    Case(ten({4: "The carina is where the airway divides, and it is midline."})),
)
FAILS = (
    Case(ten({2: "A sheath remains in the right jugular vein."}), "unread_statement"),
    Case(ten({4: "Bronchi: cuffing."}), "unread_statement"),
)
