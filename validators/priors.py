"""Priors: a step compares with an earlier examination that was not supplied.

It protects the student from inventing comparisons, the best known hallucination of report models. The reference may
compare ("unchanged"), and stays as it is; the steps may not, unless the writer was given a prior (`has_prior`). A step
that repeats a comparison of the reference invents nothing and is a warning; one that gives the change another
direction ("has increased" for "stable") is a doubt, and so is any comparison where the reference makes none. What a
patient has had ("prior sternotomy", "old fracture") is no comparison; the words are in findings/compare.tsv. Days and
years are seen on no single image, in whatever words ("the same width as three months earlier").

On 20,702 sentences of real reports (Open-i), used as steps: 1,621 findings; reports do compare, steps may not.
"""

import re
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import comparison, sentences, trends
from .grounding import REPORT_LIMIT
from .patterns import Patterns
from .rule import REFERENCE, Case, Finder, Group, ten
from .steps import steps_of, vocabulary

GROUP: Group = "honesty"
CODES: Mapping[str, Severity] = {
    "prior_comparison": "doubt",  # as an error it hit 3 of 184 good traces
    "prior_trend": "doubt",
    "time_span": "warning",  # as a doubt it hit 1 of 40 good traces at first sight, and found no corrupted one alone
    "prior_repeated": "warning",  # as a doubt it hit 21 of 184 good traces, and found 4 of 414 corrupted ones alone
    "prior_imagined": "warning",
}
find = Finder(__name__, CODES)

_IMAGINES = frozenset(
    {"would", "could", "might", "unless", "if", "consulted", "available"}
)  # "older films could settle this"
_ASKS = re.compile(r"[^.?!]*\?")  # "is it old or new?"
_ANY = "compared"  # without a direction
_TIME = Patterns(r"\b(?:hour|day|week|month|year|decade)s?\b")
_REACH = 40  # characters around the comparing words


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first comparing words and the first span of time of each step, if no prior was supplied."""
    if study.has_prior:
        return
    known: frozenset[str] | None = None
    for position, text in steps_of(candidate):
        time = _TIME.search(text)
        if time and time.group().lower().rstrip("s") not in study.report.lower():
            yield find(
                "time_span",
                f"{time.group()!r}: no image shows how much time has passed; leave it out.",
                step=position,
                span=time.span(),
            )
        span = comparison(text)
        if span is None or _ASKS.match(text, span[1]):
            continue
        known = _compared(study.report[:REPORT_LIMIT]) if known is None else known
        imagined = not _IMAGINES.isdisjoint(vocabulary(text[max(0, span[0] - _REACH) : span[1] + _REACH]))
        code = "prior_imagined" if imagined else _code(text, known)
        yield find(
            code,
            f"{text[span[0] : span[1]]!r} {'imagines' if imagined else 'compares with'} an examination that was "
            f"not supplied{', in another direction than the reference' * (code == 'prior_trend')}; describe this one "
            f"alone.",
            step=position,
            span=span,
        )


def _code(text: str, known: frozenset[str]) -> str:
    """The code of a comparing step, by the directions of the comparisons that the reference makes."""
    if not known:
        return "prior_comparison"
    compared = _compared(text) - {_ANY}
    return "prior_trend" if compared and compared.isdisjoint(known) else "prior_repeated"


def _compared(text: str) -> frozenset[str]:
    """The directions of all comparisons of a text; empty if it compares nothing."""
    found = [text[start:end] for start, end in sentences(text) if comparison(text[start:end]) is not None]
    return frozenset({_ANY} if found else ()).union(*(trends(sentence) for sentence in found))


_COMPARES = REFERENCE.replace("The heart is normal in size.", "The heart is normal in size and unchanged.")

PASSES = (
    Case(ten()),
    Case(ten({3: "The heart is unchanged in size."}), has_prior=True),
    Case(ten({2: "No wires of a prior sternotomy are seen."})),
    Case(ten({5: "The right lung is as clear as the left; on comparison with the left side nothing differs."})),
)
FAILS = (
    Case(ten({3: "The heart is as wide as it was two years ago."}), "time_span"),
    Case(ten({3: "The heart is unchanged in size."}), "prior_comparison"),
    Case(ten({3: "The heart is unchanged in size."}, report=_COMPARES), "prior_repeated", reference=_COMPARES),
    Case(ten({3: "The heart has increased in size."}, report=_COMPARES), "prior_trend", reference=_COMPARES),
    Case(ten({5: "An earlier study could tell how old the scar is."}), "prior_imagined"),
    Case(ten({5: "The lungs remain unchanged."}), "prior_comparison"),
    Case(ten({6: "The effusion is smaller than before."}), "prior_comparison"),
    Case(ten({5: "The opacity seen on the prior study has resolved."}), "prior_comparison"),
)
