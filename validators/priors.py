"""Priors: a step compares with an earlier examination that was not supplied.

It protects the student from inventing comparisons, the best known hallucination of report models. The reference may
compare ("unchanged"), and stays as it is; the steps may not, unless the writer was given a prior (`has_prior`). Where
the reference itself compares, a step that does so repeats it and invents nothing: that is a doubt. A patient's past
("prior sternotomy", "old fracture") is no comparison; the words are in findings/compare.tsv.

On 20,702 sentences of real reports (Open-i), used as steps: 1,621 findings; reports do compare, steps may not.
"""

import re
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import comparison
from .rule import REFERENCE, Case, Finder, Group, ten
from .steps import steps_of, vocabulary

GROUP: Group = "honesty"
CODES: Mapping[str, Severity] = {"prior_comparison": "error", "prior_repeated": "doubt", "prior_imagined": "warning"}
find = Finder(__name__, CODES)

_IMAGINES = frozenset(
    {"would", "could", "might", "unless", "if", "consulted", "available"}
)  # "older films could settle this"
_ASKS = re.compile(r"[^.?!]*\?")  # "is it old or new?"
_REACH = 40  # characters around the comparing words


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first comparing words of each step, if no prior was supplied."""
    if study.has_prior:
        return
    compares = comparison(study.report) is not None
    for position, text in steps_of(candidate):
        span = comparison(text)
        if span is not None and not _ASKS.match(text, span[1]):
            imagined = not _IMAGINES.isdisjoint(vocabulary(text[max(0, span[0] - _REACH) : span[1] + _REACH]))
            yield find(
                "prior_imagined" if imagined else "prior_repeated" if compares else "prior_comparison",
                f"{text[span[0] : span[1]]!r} {'imagines' if imagined else 'compares with'} an examination that was "
                f"not supplied; describe this one alone.",
                step=position,
                span=span,
            )


_COMPARES = REFERENCE.replace("The heart is normal in size.", "The heart is normal in size and unchanged.")

PASSES = (
    Case(ten()),
    Case(ten({3: "The heart is unchanged in size."}), has_prior=True),
    Case(ten({2: "No wires of a prior sternotomy are seen."})),
    Case(ten({5: "The right lung is as clear as the left; on comparison with the left side nothing differs."})),
)
FAILS = (
    Case(ten({3: "The heart is unchanged in size."}), "prior_comparison"),
    Case(ten({3: "The heart is unchanged in size."}, report=_COMPARES), "prior_repeated", reference=_COMPARES),
    Case(ten({5: "An earlier study could tell how old the scar is."}), "prior_imagined"),
    Case(ten({5: "The lungs remain unchanged."}), "prior_comparison"),
    Case(ten({6: "The effusion is smaller than before."}), "prior_comparison"),
    Case(ten({5: "The opacity seen on the prior study has resolved."}), "prior_comparison"),
)
