"""Cause: a step gives a finding a cause that nothing in the study speaks of ("broken by a fall").

It protects the student from learning to make up histories. A cause is taken from the words of cause after a finding; it
has ground if the reference shares any of its words, or if it is technique: projection, inspiration, position.
"""

import re
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings.lexicon import word_set
from .grounding import REPORT_LIMIT
from .patterns import Patterns
from .rule import Case, Finder, Group, ten
from .steps import steps_of, vocabulary

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"unsupported_cause": "doubt"}
find = Finder(__name__, CODES)

_CAUSED = Patterns(
    r"\b(?:due to|because(?: of)?|caused by|secondary to|owing to|result of|results? from|resulting from|consequence of"
    r"|as a consequence of|attributable to|brought about by)\b(?P<cause>[^.;:?!]*)"
)
_CAUSES = Patterns(r"(?P<cause>[^.;:?!,]*)\bis the (?:cause|reason|explanation)\b")
# a pronoun names no cause: it goes back to what the step speaks of ("it is judged first, because it alters the rest")
_REASON = re.compile(r"because (?:it|they|this|that|these|those|there|one|i|we|you)\b", re.I)
_DENIED = re.compile(r"\b(?:no|not|nor|never|without|neither|may|might|could|would|can|whether|if|possibly)\b", re.I)
_TECHNICAL = word_set("technique") | word_set("artifact")
_STEM, _CONTENT = 5, 4  # letters by which words are alike, and of a word that is about something


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first cause of each step that shares no word with the reference."""
    for position, text in steps_of(candidate):
        match = _CAUSED.search(text) or _CAUSES.search(text)
        if match is None or _DENIED.search(text[: match.start()].rpartition(".")[2]):
            continue
        if _REASON.match(match.group()):
            continue
        cause = re.split(r", (?:and|but|so|which)\b", match["cause"])[0]
        content = {word for word in vocabulary(cause) if len(word) >= _CONTENT}
        if not content or not _TECHNICAL.isdisjoint(content):
            continue
        known = {word[:_STEM] for word in vocabulary(study.report[:REPORT_LIMIT])}
        if known.isdisjoint(word[:_STEM] for word in content):
            yield find(
                "unsupported_cause",
                f"{match.group().strip()!r}: no such cause is known for this study; leave it out.",
                step=position,
                span=match.span(),
            )


_BROKEN = """\
Technique: Chest radiograph.
View: PA
Findings: Old left rib fractures. Low lung volumes with crowding of the vessels.
Impression: Old rib fractures."""

PASSES = (
    Case(ten()),
    Case(ten({8: "Crowded vessels are due to the low lung volumes.", 9: "Old rib fractures."}, _BROKEN), None, _BROKEN),
    Case(ten({3: "The heart looks wide because of the projection."})),
    Case(ten({3: "An apparent widening would be due to rotation, or a result of age, if it were seen."})),
)
FAILS = (
    Case(ten({9: "Old rib fractures, the result of a fall from a horse."}, _BROKEN), "unsupported_cause", _BROKEN),
)
