"""Views: a step speaks of a projection that the study does not have.

It protects against whole-study wording on a part of the study (D5): "the lateral view confirms" for one frontal
image. What the study has is its view inventory, else the Technique and View lines of its report; without both the
rule is silent. PA and AP are both frontal; a step that names the one where only the other is known is wrong as well.

On 20,702 sentences of real reports (Open-i), whose views are unspecified: no finding.
"""

import re
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from ..schemas.views import Kind, view_kinds
from .patterns import Patterns
from .rule import REFERENCE, Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"view_not_shown": "doubt"}
find = Finder(__name__, CODES)

_NOUN = r"(?:views?|images?|radiographs?|projections?|films?|x-?rays?|exposures?|studies|study|chest radiographs?)"
_SPOKEN: dict[Kind, Patterns] = {
    "lateral": Patterns(
        rf"\b(?:lateral|LL) (?:\w+ )?{_NOUN}\b|\b(?:PA|AP|frontal|posteroanterior|anteroposterior)(?: view"
        rf"| image| projection| radiograph)?,? (?:and|with|plus|\+|&)(?: an?"
        rf"| the)? (?:\w+ )?lateral\b(?! (?:chest )?wall)"
        r"|\b(?:on|in) (?:the|a) lateral\b(?! (?:chest|wall|costo|aspect|recess|margin|border|part|portion|rib"
        r"|third|lung|sulc|zone|segment|edge|side|decubitus|pleura|left|right|mid|half))",
    ),
    "frontal": Patterns(rf"\b(?:frontal|PA|AP|posteroanterior|anteroposterior) (?:\w+ )?{_NOUN}\b"),
    "PA": Patterns(r"\b(?:PA|posteroanterior)\b(?! catheter)"),
    "AP": Patterns(r"\b(?:AP|anteroposterior)\b(?! (?:window|diameter|dimension))"),
}
_LINES = re.compile(r"^[ \t]*(?:technique|views?)[ \t]*:[ \t]*(\S.*)$", re.I | re.M)
_DENIED = re.compile(r"\b(?:no|without(?: an?| the)?|lacks? an?|not an?|only one|missing|absent) $|\bno \w+ $", re.I)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first view of each step that the study does not have."""
    has = _inventory(study)
    if not has:
        return
    lacking = [spoken for view, spoken in _SPOKEN.items() if not _allowed(view, has)]
    for position, text in steps_of(candidate):
        for spoken in lacking:
            match = spoken.search(text)
            if match and not _DENIED.search(text[max(0, match.start() - 16) : match.start()]):
                yield find(
                    "view_not_shown",
                    f"{match.group()!r}: the study has {', '.join(sorted(has))} only.",
                    step=position,
                    span=match.span(),
                )
                break


def _allowed(view: Kind, has: frozenset[Kind]) -> bool:
    if view in ("PA", "AP"):
        return view in has or ("frontal" in has and not has & {"PA", "AP"})
    return view in has or (view == "frontal" and bool(has & {"PA", "AP"}))


def _inventory(study: Study) -> frozenset[Kind]:
    """The views that the study has, of lateral, frontal, PA, AP; empty if unknown or if any of them is."""
    listed = [view for view in study.views if view.strip()] or [
        match[1] for match in _LINES.finditer(study.report[:2000]) if _kinds(match[1])
    ]
    kinds = [_kinds(view) for view in listed]
    return frozenset[Kind]().union(*kinds) if kinds and all(kinds) else frozenset()


def _kinds(view: str) -> frozenset[Kind]:
    return view_kinds(view) & _SPOKEN.keys()


_BOTH = REFERENCE.replace("View: PA", "View: PA and lateral").replace("Single frontal", "Two-view")

PASSES = (
    Case(ten()),
    Case(ten({6: "On the lateral view the posterior sulci are sharp."}, _BOTH), None, _BOTH, views=("PA", "LATERAL")),
    Case(ten({6: "The lateral costophrenic sulci are sharp; no lateral view is available."})),
    Case(ten({1: "The AP diameter is normal."})),
)
FAILS = (
    Case(ten({6: "On the lateral view the posterior sulci are sharp."}), "view_not_shown"),
    Case(ten({1: "PA and lateral views were obtained."}, _BOTH), "view_not_shown", _BOTH, views=("lateral",)),
    Case(ten({1: "An AP radiograph is read."}), "view_not_shown"),
)
