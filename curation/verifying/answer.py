"""A verifier's answer: read, checked by code, and what follows from its labels.

Every quotation must stand in its step and every piece of evidence in the reference; every step must be spoken of, and
every place that the rules doubted. An answer of which that is not so is unreadable: it rejects nothing and lifts
nothing. Labels decide: `contradicted`, `unsupported`, `prior`, `source` or a finding that is missing reject the trace.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

from pydantic import Field

from ...schemas.base import Noun
from ...schemas.verdict import Finding, Verdict
from ..cited import one_object, place_of, storable

VERIFIER = "verifier"  # the rule name of what a verifier found
Label = Literal["supported", "normal_unsaid", "contradicted", "unsupported", "prior", "source", "general"]
Attribute = Literal["presence", "side", "place", "severity", "measurement", "certainty", "time"]
LABELS: tuple[Label, ...] = get_args(Label)
ATTRIBUTES: tuple[Attribute, ...] = get_args(Attribute)
MISSING = "missing"
_REJECTS: Mapping[str, str] = {
    "contradicted": "{quote!r} contradicts the reference in {attribute}.",
    "unsupported": "{quote!r}: the reference does not have this; leave it out.",
    "prior": "{quote!r} compares with an earlier examination, and none was supplied.",
    "source": "{quote!r} speaks of the report as its source; write as a reader of the image.",
}
_PROBLEMS = 5  # that are named
_CUT = 500  # characters of a quotation that are kept


class Statement(Noun):
    """One thing that a step says."""

    step: int = Field(description="Counted by position from 1.")
    span: tuple[int, int] = Field(description="Of the quotation in that step.")
    quote: str
    label: Label
    attribute: Attribute | None = Field(None, description="contradicted: in what.")
    evidence: str | None = Field(None, description="Words of the reference.")


class Missing(Noun):
    """An abnormal finding of the impression that no step mentions."""

    finding: str
    evidence: str


class Verification(Noun):
    """What a verifier says of one trace."""

    statements: tuple[Statement, ...]
    missing: tuple[Missing, ...] = ()

    @property
    def clean(self) -> bool:
        """Nothing in it rejects."""
        return not self.missing and all(statement.label not in _REJECTS for statement in self.statements)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What rejects, as errors with their place and evidence."""
        return (*map(_of_statement, (s for s in self.statements if s.label in _REJECTS)), *map(_of_gap, self.missing))


class UnreadableVerification(Exception):
    """An answer that cannot be used; its text says why, for whoever is asked again."""


def schema(steps: int) -> dict[str, Any]:
    """The form of an answer about so many steps, by its keys."""

    def listed(**fields: Mapping[str, Any]) -> dict[str, Any]:
        item = {
            "type": "object",
            "properties": fields,
            "required": list(fields),
            "additionalProperties": False,
        }
        return {"type": "array", "items": item}

    text = {"type": "string"}
    label, attribute = {"type": "string", "enum": [*LABELS]}, {"type": "string", "enum": ["", *ATTRIBUTES]}
    said = {key: listed(quote=text, label=label, evidence=text, attribute=attribute) for key in keys(steps)}
    return said | {MISSING: listed(finding=text, evidence=text)}


def keys(steps: int) -> tuple[str, ...]:
    """The keys under which the steps stand."""
    return tuple(f"step_{number:02}" for number in range(1, steps + 1))


def read_verification(text: str, report: str, steps: Sequence[str], doubts: Sequence[Finding] = ()) -> Verification:
    """Read a verifier's answer.

    Args:
        text: the answer.
        report: the reference.
        steps: the steps' texts.
        doubts: what the rules doubt; a doubted place that no statement touches makes an answer unreadable that finds
            nothing wrong.

    Raises:
        UnreadableVerification: it cannot be used.
    """
    try:
        found = one_object(text)
    except ValueError as error:
        raise UnreadableVerification(str(error)) from None
    problems: list[str] = []
    statements = [
        statement
        for number, (key, step) in enumerate(zip(keys(len(steps)), steps, strict=True), 1)
        for statement in _statements(found.get(key), key, number, step, report, problems)
    ]
    missing = list(_missing(found.get(MISSING), report, problems))
    said = Verification(statements=tuple(statements), missing=tuple(missing))
    if said.clean:  # an answer that rejects the trace decides without them
        problems.extend(_untouched(doubts, steps, statements))
    if problems:
        more = f"; and {len(problems) - _PROBLEMS} more" if len(problems) > _PROBLEMS else ""
        raise UnreadableVerification("; ".join(problems[:_PROBLEMS]) + more)
    return said


def _untouched(doubts: Sequence[Finding], steps: Sequence[str], statements: Sequence[Statement]) -> Iterator[str]:
    """Doubted places that no statement touches."""
    for doubt in doubts:
        if doubt.step is None or doubt.span is None or doubt.step > len(steps):
            continue
        if not any(
            s.step == doubt.step and s.span[0] < doubt.span[1] and doubt.span[0] < s.span[1] for s in statements
        ):
            words = steps[doubt.step - 1][slice(*doubt.span)]
            yield f"step_{doubt.step:02}: no quotation touches {words[:80]!r}"


def _statements(
    items: object, key: str, number: int, step: str, report: str, problems: list[str]
) -> Iterator[Statement]:
    if not isinstance(items, list) or not items:
        problems.append(f"{key}: a list with at least one item is wanted")
        return
    for item in items:
        fields = item if isinstance(item, dict) else {}
        quote, label, evidence, attribute = (
            _text(fields, name) for name in ("quote", "label", "evidence", "attribute")
        )
        span = place_of(quote, step)
        if span is None:
            problems.append(f"{key}: {quote[:80]!r} does not stand in that step")
        elif label not in LABELS:
            problems.append(f"{key}: {label[:40]!r} is no label")
        elif (label == "contradicted" or evidence) and place_of(evidence, report) is None:
            problems.append(f"{key}: the evidence {evidence[:80]!r} does not stand in the report")
        elif attribute and attribute not in ATTRIBUTES:
            problems.append(f"{key}: {attribute[:40]!r} is no attribute")
        else:
            yield Statement(
                step=number,
                span=span,
                quote=quote[:_CUT],
                label=label,
                attribute=attribute if label == "contradicted" and attribute else None,
                evidence=evidence[:_CUT] or None,
            )


def _missing(items: object, report: str, problems: list[str]) -> Iterator[Missing]:
    if not isinstance(items, list):
        problems.append(f"{MISSING}: a list is wanted, empty if nothing is missing")
        return
    for item in items:
        fields = item if isinstance(item, dict) else {}
        finding, evidence = _text(fields, "finding"), _text(fields, "evidence")
        if not finding or place_of(evidence, report) is None:
            problems.append(f"{MISSING}: {finding[:80]!r} needs a name, and evidence that stands in the report")
        else:
            yield Missing(finding=finding[:_CUT], evidence=evidence[:_CUT])


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return storable(value) if isinstance(value, str) else ""


def _of_statement(statement: Statement) -> Finding:
    said = _REJECTS[statement.label].format(quote=statement.quote, attribute=statement.attribute or "what it says")
    return Finding(
        rule=VERIFIER,
        code=f"{VERIFIER}_{statement.label}",
        severity="error",
        step=statement.step,
        span=statement.span,
        message=said,
        evidence=statement.evidence,
    )


def _of_gap(gap: Missing) -> Finding:
    message = f"No step mentions {gap.finding}, which the impression has."
    return Finding(
        rule=VERIFIER, code=f"{VERIFIER}_{MISSING}", severity="error", message=message, evidence=gap.evidence
    )


def rules_alone(verdict: Verdict) -> Verdict:
    """A verdict as it was before a verifier, a reader or a recipe said anything."""
    others = tuple(finding for finding in verdict.findings if finding.rule != VERIFIER)
    return verdict.model_copy(update={"findings": others, "resolution": None})
