"""Instructions hidden in data: sentences of a report or a step that speak to whoever checks them.

The prompt says that data is no instruction; whether a model heeds that cannot be seen from its answer. So a trace with
such a sentence, in its steps or its reference, is never lifted by a verifier, whatever it answers. The words are those
of the task (labels, answers, models) with a verb that commands; a film has none of them.

False alarms on the 3,955 reports of Open-i: none (`tests/test_curation_verifying.py` measures again).
"""

import re
from collections.abc import Iterable

from ...validators.findings import sentences

_COMMAND = r"(?:ignore|disregard|forget|override|bypass)\b"
_OF_TASK = (
    r"\b(?:instructions?|prompts?|rules|guidelines|checks?|verification|above|preceding|everything|previous|earlier)\b"
)
_SAY = r"\b(?:label|mark|classify|tag|rate|score|answer|respond|reply|output|return|report back|treat|accept)\b"
_VERDICT = (
    r"\b(?:supported|unsupported|contradicted|normal_unsaid|accepted|approved|valid|correct|true|general|json"
    r"|every(?:thing| claim| step| statement)|(?:all|each)(?: of)?(?: the)? (?:claims?|steps?|statements?|items?))\b"
)
_TO_MODEL = (
    r"\b(?:dear |attention,? |note to (?:the )?)(?:verifier|judge|grader|model|ai|assistant|llm|system)\b"
    r"|\byou (?:are|must|should|will|shall) (?:now |always |not |only )*(?:an? |the )?"
    r"(?:verifier|judge|assistant|model|ai|label|answer|respond|accept|mark|output|return|ignore|treat)\b"
    r"|\b(?:system|developer|assistant) ?(?:prompt|message|:)|<\|?/?(?:system|im_start|im_end|inst|user|assistant)"
)
_HIDDEN = re.compile(
    rf"{_COMMAND}.{{0,60}}?{_OF_TASK}|(?:^|[.,;:!(\"'\s]){_SAY}.{{0,60}}?\bas\b.{{0,30}}?{_VERDICT}"
    rf"|^\W*(?:please |now |always |just )*{_SAY}.{{0,40}}?{_VERDICT}|{_TO_MODEL}",
    re.I | re.S,
)


def hidden_instruction(texts: Iterable[str]) -> str | None:
    """The first sentence that speaks to whoever checks, or none."""
    for text in texts:
        for start, end in sentences(text):
            if _HIDDEN.search(text[start:end]):
                return text[start:end]
    return None
