"""Totals: everything an audit counts, row by row. Its memory grows by some 600 bytes a row, whatever the texts.

What each number means is explained in measures.py, templates.py and overlaps.py. `as_dict` is what `--json` adds to the
contract, and what the page draws.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ...data.statistics import Interval, wilson
from ...schemas.trace import STEPS
from ...schemas.verdict import Severity
from ...validators.gate import RULES
from .. import template_trace
from .items import Item
from .measures import STANDINGS, Standing, TraceMeasure
from .overlaps import Overlaps
from .templates import RepeatedSentences

_NAMED = 10  # examples in lists
RULE_NAMES = tuple(rule.__name__.rpartition(".")[2] for rule in RULES)


@dataclass
class StepTotal:
    """One of the ten places."""

    number: int
    traces: int = 0
    lengths: Counter[int] = field(default_factory=Counter)  # words
    standings: Counter[Standing] = field(default_factory=Counter)
    runs: int = 0
    copied: int = 0
    errors: int = 0  # traces with an error here
    templates: RepeatedSentences = field(init=False)

    def __post_init__(self) -> None:
        self.templates = RepeatedSentences(self.number)

    def quantile(self, share: float) -> int:
        """Words below which this share of the steps stays."""
        wanted, seen = share * self.lengths.total(), 0
        for length in sorted(self.lengths):
            seen += self.lengths[length]
            if seen >= wanted:
                return length
        return 0

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        claims, place = self.standings.total(), self.templates.place
        return {
            "step": self.number,
            "traces": self.traces,
            "words": {"p10": self.quantile(0.1), "median": self.quantile(0.5), "p90": self.quantile(0.9)},
            "claims": claims,
            "claims_per_step": _share(claims, self.traces),
            **{standing: self.standings[standing] for standing in STANDINGS},
            "grounded": _share(self.standings["supported"], claims),
            "copied": _share(self.copied, self.runs),
            "errors": self.errors,
            "distinct": place.distinct,
            "repeated": _share(place.repeated, place.traces),
            "frequent": [{"text": t.text, "traces": t.traces} for t in place.frequent],
        }


@dataclass
class Totals:
    """One dataset."""

    rows: int = 0
    accepted: int = 0
    doubted: int = 0
    read: int = 0  # traces that could be parsed
    without_reference: int = 0
    without_report: int = 0  # and none in the text either: there was nothing to hold it against
    codes: Counter[str] = field(default_factory=Counter)  # findings
    code_rows: Counter[str] = field(default_factory=Counter)  # rows that have one
    severities: dict[str, Severity] = field(default_factory=dict)
    places: Counter[tuple[str, int]] = field(default_factory=Counter)  # code and step: findings
    stopped: Counter[str] = field(default_factory=Counter)  # rejected rows, by the first rule that found an error
    layouts: Counter[str] = field(default_factory=Counter)
    layout_ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # the first of each
    escaped: int = 0
    steps: list[StepTotal] = field(default_factory=lambda: [StepTotal(n) for n in range(1, STEPS + 1)])
    concluded: Counter[int] = field(default_factory=Counter)  # the first step that gives the conclusion away; 0: none
    covered: dict[str, Counter[bool]] = field(default_factory=lambda: defaultdict(Counter))
    split_rows: Counter[str] = field(default_factory=Counter)
    overlaps: Overlaps = field(default_factory=Overlaps)

    def add(self, item: Item) -> None:
        """One more row."""
        verdict, trace = item.verdict, item.candidate.trace
        self.rows += 1
        self.accepted += verdict.accepted
        self.doubted += verdict.outcome == "doubt"
        self.without_reference += not item.has_reference
        self.without_report += not item.has_reference and not (trace and trace.report)
        if item.split is not None:
            self.split_rows[item.split] += 1
        for finding in verdict.findings:
            self.codes[finding.code] += 1
            self.severities[finding.code] = finding.severity
            if finding.step is not None:
                self.places[finding.code, finding.step] += 1
        self.code_rows.update(list(dict.fromkeys(finding.code for finding in verdict.findings)))
        first = next((finding.rule for finding in verdict.findings if finding.severity == "error"), None)
        if first is not None:
            self.stopped[first] += 1
        found = item.measured
        if trace is None or found is None:
            return
        self.read += 1
        self.layouts[item.layout] += 1
        if self.layouts[item.layout] <= _NAMED:
            self.layout_ids[item.layout].append(item.id)
        self.escaped += trace.escaped
        for number in {f.step for f in verdict.findings if f.severity == "error" and f.step and f.step <= STEPS}:
            self.steps[number - 1].errors += 1
        self._measured(found.measure, found.sentences)
        self.overlaps.add(item.study, item.patient, item.split, found.steps, found.report, long=found.long_report)

    def add_template(self, *, was_accepted: bool) -> None:
        """One of the rows that were added has turned out to be a template."""
        self.codes[template_trace.CODE] += 1
        self.code_rows[template_trace.CODE] += 1
        self.severities[template_trace.CODE] = template_trace.CODES[template_trace.CODE]
        self.accepted -= was_accepted
        self.doubted += was_accepted

    def _measured(self, found: TraceMeasure, sentences: Iterable[tuple[int, str]]) -> None:
        for total, step, (key, text) in zip(self.steps, found.steps, sentences, strict=False):
            total.traces += 1
            total.lengths[step.words] += 1
            total.standings.update(step.standings)
            total.runs += step.runs
            total.copied += step.copied
            total.templates.add(key, text)
        if found.concluded is not None:
            self.concluded[found.concluded] += 1
        for name, spoken in found.covered.items():
            self.covered[name][spoken] += 1

    @property
    def rejected(self) -> int:
        """Rows with an error, or that a reader or verifier rejected."""
        return self.rows - self.accepted - self.doubted

    @property
    def acceptance(self) -> Interval:
        """The share of rows with neither an error nor an open doubt."""
        return wilson(self.accepted, self.rows)

    @property
    def funnel(self) -> list[tuple[str, int, int]]:
        """Rules in the order in which they are asked: name, rows that they stopped first, rows that are left."""
        left, found = self.rows, []
        for rule in (*RULE_NAMES, *(name for name in self.stopped if name not in RULE_NAMES)):
            left -= self.stopped[rule]
            found.append((rule, self.stopped[rule], left))
        return found

    @property
    def coverage(self) -> Interval | None:
        """The share of the references' asserted findings of which a step speaks."""
        hits = sum(counts[True] for counts in self.covered.values())
        return _wilson(hits, sum(counts.total() for counts in self.covered.values()))

    @property
    def grounded(self) -> Interval | None:
        """The share of all claims that the reference supports."""
        return _wilson(sum(s.standings["supported"] for s in self.steps), sum(s.standings.total() for s in self.steps))

    @property
    def copied(self) -> Interval | None:
        """The share of the steps' four-word phrases that stand in the reference."""
        return _wilson(sum(step.copied for step in self.steps), sum(step.runs for step in self.steps))

    @property
    def early(self) -> Interval | None:
        """Of traces whose reference concludes something: those that give it away in the first half of the steps."""
        early = sum(n for step, n in self.concluded.items() if 1 <= step <= STEPS // 2)
        return _wilson(early, self.concluded.total())

    def as_dict(self) -> dict[str, Any]:
        """For machines; counts and shares, and no text but sentences that many traces share."""
        alike, crossings = self.overlaps.alike(), self.overlaps.crossings()
        ids = Counter(self.overlaps.ids)
        return {
            "acceptance": _interval(self.acceptance),
            "doubted": self.doubted,
            "rejected": self.rejected,
            "read": self.read,
            "without_reference": self.without_reference,
            "without_report": self.without_report,
            "code_rows": dict(self.code_rows.most_common()),
            "funnel": [{"rule": rule, "stopped": n, "left": left} for rule, n, left in self.funnel],
            "layouts": dict(self.layouts),
            "escaped": self.escaped,
            "steps": [step.as_dict() for step in self.steps],
            "grounded": _interval(self.grounded),
            "coverage": {
                **_interval(self.coverage),
                "findings": {
                    name: {"in_references": counts.total(), "in_steps": counts[True]}
                    for name, counts in sorted(self.covered.items(), key=lambda pair: (-pair[1].total(), pair[0]))
                },
            },
            "copied": _interval(self.copied),
            "conclusion": {
                "traces": self.concluded.total(),
                "first_step": {str(step): self.concluded[step] for step in range(1, STEPS + 1)},
                "never": self.concluded[0],
                "first_half": _interval(self.early),
            },
            "near_duplicates": {
                "groups": len(alike),
                "traces": sum(group.traces for group in alike),
                "before_other_reports": sum(group.traces for group in alike if group.other_reports),
                "largest": [
                    {"traces": g.traces, "other_reports": g.other_reports, "ids": list(g.ids)} for g in alike[:_NAMED]
                ],
            },
            "repeated_ids": sum(1 for n in ids.values() if n > 1),
            "splits": {
                "rows": dict(self.split_rows),
                "patients": len(self.overlaps.patients),
                **{
                    f"{kind}_in_two": {"count": len(found), "examples": [c.what for c in found[:_NAMED]]}
                    for kind, found in crossings.items()
                },
            },
        }


def _share(hits: int, of: int) -> float | None:
    return round(hits / of, 4) if of else None


def _wilson(hits: int, of: int) -> Interval | None:
    """None of none is no share, and not 0 %."""
    return wilson(hits, of) if of else None


def _interval(found: Interval | None) -> dict[str, float | None]:
    if found is None:
        return {"share": None, "low": None, "high": None}
    return {"share": round(found.share, 4), "low": round(found.low, 4), "high": round(found.high, 4)}
