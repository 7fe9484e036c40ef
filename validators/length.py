"""Length: steps and texts that are too long to be a step, or too short to say anything.

It protects training from runaway generations and from steps like "OK"; and it is why every other rule may read a step
and a report up to a limit only: what lies past the limits is rejected here.

On 20,702 sentences of real reports (Open-i), used as steps: 181 findings, all of them single words.
"""

from collections.abc import Iterator, Mapping
from itertools import islice

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.trace import STEPS
from ..schemas.verdict import Finding, Severity
from .rule import Case, Finder, Group, ten, trace_of
from .steps import words_of

GROUP: Group = "form"
CODES: Mapping[str, Severity] = {"too_long": "error", "step_too_long": "error", "step_too_short": "error"}
find = Finder(__name__, CODES)

TEXT_LIMIT = 40_000  # characters of a candidate
LONGEST = 900  # characters of a step; real ones of the development set have at most 230
SHORTEST = 2  # words


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The text as a whole, then each step."""
    if len(candidate.text) > TEXT_LIMIT:
        yield find(
            "too_long",
            f"The text has {len(candidate.text)} characters; ten steps and a report need far less than {TEXT_LIMIT}.",
        )
    for position, step in enumerate(trace_of(candidate).steps[:STEPS], 1):
        if len(step.text) > LONGEST:
            yield find(
                "step_too_long",
                f"The step has {len(step.text)} characters; say it in one or two sentences.",
                step=position,
            )
        elif step.text.strip() and len(list(islice(filter(_is_word, words_of(step.text)), SHORTEST))) < SHORTEST:
            yield find(
                "step_too_short",
                "The step hardly says anything; say what was inspected and what it shows.",
                step=position,
            )


def _is_word(word: str) -> bool:
    return len(word) > 1 and word.isalpha()


PASSES = (Case(ten()), Case(ten({4: "Trachea: midline."})))
FAILS = (
    Case(ten({5: "The lungs are clear. " + "Nothing else is seen anywhere at all here. " * 1000}), "too_long"),
    Case(ten({5: "The lungs are clear, " + "and clear again, " * 80}), "step_too_long"),
    Case(ten({4: "Normal."}), "step_too_short"),
    Case(ten({4: "OK 1"}), "step_too_short"),
)
