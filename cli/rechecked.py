"""What recheck and verify show of verdicts that changed: counts, by which rule, which candidates."""

from typing import TYPE_CHECKING, Any

from ..schemas.outcome import Table

if TYPE_CHECKING:
    from ..curation.amend import Rechecked

_SHOWN = 40  # candidates in the table


def rechecked_tables(title: str, found: "Rechecked") -> tuple[Table, ...]:
    """For people."""
    from ..curation.amend import NOW

    flipped = found.flipped
    rows = [
        ("candidates", str(found.candidates)),
        ("verdict as before", str(found.candidates - len(flipped))),
        ("  with other findings", str(len(found.changed) - len(flipped))),
        *((way, str(sum(one.now == outcome for one in flipped))) for outcome, way in NOW.items()),
    ]
    if found.counts:  # of a dry run there are none
        rows.append(("accepted studies before / now", f"{found.accepted_before} / {found.counts['accepted']}"))
        rows.append(("in doubt / rejected now", f"{found.counts['doubted']} / {found.counts['rejected']}"))
    counts = Table(title=title, columns=("", ""), rows=tuple(rows))
    rules = Table(
        title="by which rule",
        columns=("rule: code", "verdict", "candidates"),
        rows=tuple((rule, way, str(n)) for (rule, way), n in found.rules.most_common()),
    )
    return (counts, rules, _flipped(found)) if flipped else (counts,)


def _flipped(found: "Rechecked") -> Table:
    from ..curation.amend import NOW

    rows = [
        (one.study_id, str(one.attempt), f"was {one.was}, {NOW[one.now]}", ", ".join(one.rules))
        for one in found.flipped[:_SHOWN]
    ]
    left = len(found.flipped) - len(rows)
    more = [(f"and {left} more", "", "", "--json names them")] if left else []
    return Table(title="which candidates", columns=("study", "attempt", "verdict", "by"), rows=(*rows, *more))


def rechecked_payload(found: "Rechecked") -> dict[str, Any]:
    """For machines."""
    return {
        "candidates": found.candidates,
        "changed": [
            {
                "study_id": one.study_id,
                "key": one.key,
                "attempt": one.attempt,
                "was": one.was,
                "now": one.now,
                "was_accepted": one.was == "accept",
                "accepted": one.now == "accept",
                "rules": list(one.rules),
                "came": [f.model_dump(include={"rule", "code", "severity", "step"}) for f in one.came],
                "went": [f.model_dump(include={"rule", "code", "severity", "step"}) for f in one.went],
            }
            for one in found.changed
        ],
        "now_accepted": sum(one.now == "accept" for one in found.flipped),
        "now_doubted": sum(one.now == "doubt" for one in found.flipped),
        "now_rejected": sum(one.now == "reject" for one in found.flipped),
        "rules": [{"rule": rule, "verdict": way, "candidates": n} for (rule, way), n in found.rules.most_common()],
        "accepted_before": found.accepted_before,
        "counts": found.counts,
        "failed": [one._asdict() for one in found.failed],
    }
