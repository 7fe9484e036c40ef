"""Priors: a step compares with an earlier examination that nobody supplied.

It protects the student from inventing comparisons, the best known hallucination of report models. The reference may
compare ("unchanged"), and stays as it is; the steps may not, unless the writer was given a prior (`has_prior`). A
patient's past ("prior sternotomy", "old fracture") is no comparison; the words are in findings/compare.tsv.

On 20,702 sentences of real reports (Open-i), used as steps: 1,621 findings; reports do compare, steps may not.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import comparison
from .rule import Case, Finder, ten
from .steps import steps_of

CODES: Mapping[str, Severity] = {"prior_comparison": "error"}
find = Finder(__name__, CODES)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first comparing words of each step, if no prior was supplied."""
    if study.has_prior:
        return
    for position, text in steps_of(candidate):
        span = comparison(text)
        if span is not None:
            yield find(
                "prior_comparison",
                f"{text[span[0] : span[1]]!r} compares with an examination that was not supplied; describe "
                f"this one alone.",
                step=position,
                span=span,
            )


PASSES = (
    Case(ten()),
    Case(ten({3: "The heart is unchanged in size."}), has_prior=True),
    Case(ten({2: "No wires of a prior sternotomy are seen."})),
    Case(ten({5: "The right lung is as clear as the left; on comparison with the left side nothing differs."})),
)
FAILS = (
    Case(ten({3: "The heart is unchanged in size."}), "prior_comparison"),
    Case(ten({5: "The lungs remain unchanged."}), "prior_comparison"),
    Case(ten({6: "The effusion is smaller than before."}), "prior_comparison"),
    Case(ten({5: "The opacity seen on the prior study has resolved."}), "prior_comparison"),
)
