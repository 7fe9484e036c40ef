"""Figures: the totals of an audit as tiles, charts and lists for a page; their frame is pages/figures.html."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from ...data.charts import Bar, band, bars, columns, heat, rounded_up
from ...validators.gate import RULES
from .crosstab import Counts, crosstabs, lines
from .measures import STANDINGS, Standing
from .totals import StepTotal, Totals

_CODES, _HEAT, _FINDINGS, _LISTED = 30, 14, 24, 8
_WHAT = {rule.__name__.rpartition(".")[2]: (rule.__doc__ or "").strip().split("\n")[0] for rule in RULES}
_SEVERITY_KEY = (("error", "error"), ("doubt", "doubt"), ("warning", "warning"))
_ARMS = {
    "again": "nothing, drawn again",
    "other_report": "another patient's report",
    "other_image": "another patient's image",
    "blank_image": "a grey image",
}


def drawn(svg: str) -> Markup:
    """A chart of data/charts.py, which escapes its labels."""
    return Markup(svg)  # noqa: S704 - escaped where it was drawn


class FigureList(NamedTuple):
    """A table below a chart; one column may hold text of the data."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: int
    title: str = ""


class ChartFigure(NamedTuple):
    """A chart with its title, and what else stands in its frame."""

    title: str
    what: str
    chart: Markup = Markup()
    key: tuple[tuple[str, str], ...] = ()
    tables: tuple[FigureList, ...] = ()
    notes: tuple[str, ...] = ()


def figures(totals: Totals) -> list[ChartFigure]:
    """All charts of one dataset."""
    parts = [_funnel(totals)]
    if totals.code_rows:
        parts.append(_codes(totals))
    if totals.read:
        parts += [*_step_figures(totals.steps, totals), _coverage(totals), _repeats(totals), _likeness(totals)]
    return parts


def _funnel(totals: Totals) -> ChartFigure:
    rows = totals.rows
    lines = [Bar("all traces", (("kept", rows),), f"{rows:,}")]
    for rule, stopped, left in totals.funnel:
        if stopped:
            said = f"{left:,} left, −{stopped:,}"
            lines.append(Bar(rule, (("kept", left), ("error", stopped)), said, hint=_WHAT.get(rule, "")))
    if totals.doubted:
        said = f"{totals.doubted:,}, {totals.doubted / rows:.0%}"
        lines.append(Bar("in doubt", (("doubt", totals.doubted),), said, hint="Waits for a verifier or a reader."))
    kept = f"{totals.accepted:,}, {totals.acceptance.share:.0%}" if rows else "0"
    lines.append(Bar("accepted", (("good", totals.accepted),), kept))
    quiet = sum(not stopped for _, stopped, _ in totals.funnel)
    return ChartFigure(
        "Where traces stop",
        "The first rule that found an error, in the order of the rules; then what is left in doubt.",
        drawn(bars("Where traces stop", lines, rows)),
        notes=(f"{quiet} more rules stopped none.",) if quiet else (),
    )


def _codes(totals: Totals) -> ChartFigure:
    lines = [
        Bar(code, ((totals.severities[code], n),), f"{n:,}, {n / totals.rows:.0%}", code=code)
        for code, n in totals.code_rows.most_common(_CODES)
    ]
    left = len(totals.code_rows) - len(lines)
    return ChartFigure(
        "What was found",
        "Traces that have it. Choose one to see examples.",
        drawn(bars("What was found", lines, totals.rows)),
        key=_SEVERITY_KEY,
        notes=(f"and {left} rarer ones",) if left > 0 else (),
    )


def _step_figures(steps: Sequence[StepTotal], totals: Totals) -> list[ChartFigure]:
    each = [step.as_dict() for step in steps]
    stacks = [
        [(kind, _per(step, kind), f"step {step.number}: {kind} {step.standings[kind]:,}") for kind in STANDINGS]
        for step in steps
    ]
    claims = rounded_up(max(sum(value for _, value, _ in stack) for stack in stacks))
    words = [(one["words"]["p10"], one["words"]["median"], one["words"]["p90"]) for one in each]
    copied = [one["copied"] or 0.0 for one in each]
    repeated = [one["repeated"] or 0.0 for one in each]
    first = [totals.concluded[step.number] / max(1, totals.concluded.total()) for step in steps]
    never = totals.concluded[0]
    found = [
        ChartFigure(
            "What each step claims",
            "Claims in a step, on average, and how they stand to the reference. Silent is not false.",
            drawn(columns("Claims by step", stacks, top=claims, unit="")),
            key=(("supported", "supported"), ("silent", "reference is silent"), ("contradicted", "contradicted")),
        ),
        ChartFigure(
            "How early the conclusion is given away",
            "The first step that asserts what the impression concludes"
            + (f"; {never:,} traces never do." if never else "."),
            _shares("First conclusion by step", first),
        ),
        ChartFigure(
            "What is copied",
            "Share of the step's four-word phrases that stand in the reference as well.",
            _shares("Copied by step", copied),
        ),
        ChartFigure(
            "Length",
            "Words in a step: the median, within the band that holds eight of ten.",
            drawn(band("Words by step", words, top=rounded_up(max(row[2] for row in words)), unit="")),
        ),
        ChartFigure(
            "Templates",
            "Share of traces whose sentence at this step stands in another trace as well.",
            _shares("Repeated sentences by step", repeated),
        ),
    ]
    placed = _places(totals)
    if placed:
        found.append(
            ChartFigure(
                "Where it was found",
                "Findings by step. Choose a line to see examples.",
                drawn(heat("Findings by step", placed)),
            )
        )
    return found


def _per(step: StepTotal, kind: Standing) -> float:
    return step.standings[kind] / step.traces if step.traces else 0.0


def _places(totals: Totals) -> list[tuple[str, str, list[int]]]:
    """Codes with their counts at the ten steps, the most frequent first."""
    codes = {code: [totals.places[code, step] for step in range(1, 11)] for code in totals.code_rows}
    ranked = sorted(((sum(n), code) for code, n in codes.items() if any(n)), key=lambda pair: (-pair[0], pair[1]))
    return [(code, totals.severities[code], codes[code]) for _, code in ranked[:_HEAT]]


def _shares(title: str, values: Sequence[float]) -> Markup:
    stacks = [[("accent", value, f"step {at}: {value:.1%}")] for at, value in enumerate(values, 1)]
    return drawn(columns(title, stacks, top=rounded_up(max(values), share=True), unit="%"))


def _coverage(totals: Totals) -> ChartFigure:
    ranked = sorted(totals.covered.items(), key=lambda pair: (-pair[1].total(), pair[0]))[:_FINDINGS]
    lines = [
        Bar(
            name.replace("_", " "),
            (("supported", counts[True]), ("silent", counts[False])),
            f"{counts[True]:,} of {counts.total():,}",
        )
        for name, counts in ranked
    ]
    chart = bars("Coverage", lines, max(counts.total() for _, counts in ranked)) if ranked else ""
    return ChartFigure(
        "Findings of the references",
        "How often a step mentions what the reference asserts or leaves open.",
        drawn(chart),
        key=(("supported", "mentioned"), ("silent", "left out")),
        notes=() if ranked else ("No reference asserts a finding.",),
    )


def _repeats(totals: Totals) -> ChartFigure:
    places = [step.templates.place for step in totals.steps]
    found = sorted((t for place in places for t in place.frequent), key=lambda t: (-t.traces, t.step))[:_LISTED]
    rows = tuple((str(t.step), t.text, f"{t.traces:,}") for t in found)
    return ChartFigure(
        "Sentences that stand most often",
        "The same words; numbers may differ.",
        tables=(FigureList(("Step", "Sentence", "Traces"), rows, text=1),) if rows else (),
        notes=() if rows else ("No sentence stands twice.",),
    )


def _likeness(totals: Totals) -> ChartFigure:
    alike, crossings = totals.overlaps.alike(), totals.overlaps.crossings()
    tables, notes = [], []
    rows = tuple(
        (f"{group.traces:,}", "different" if group.other_reports else "alike", ", ".join(group.ids[:6]))
        for group in alike[:_LISTED]
    )
    if rows:
        tables.append(FigureList(("Traces", "Their reports", "Ids"), rows, text=2))
    else:
        notes.append("No two traces are nearly equal.")
    if len(totals.split_rows) > 1:
        splits = ", ".join(f"{name} {n:,}" for name, n in totals.split_rows.most_common())
        lines = tuple(
            (kind, f"{len(found):,}", "; ".join(c.what for c in found[:4])) for kind, found in crossings.items()
        )
        tables.append(FigureList(("What", "Number", "For example"), lines, text=2, title=f"In two splits ({splits})"))
    else:
        notes.append("The rows name no splits, so nothing can be said of leaks between them.")
    what = "Traces with 80 % of their four-word phrases in common, as estimated from sketches."
    return ChartFigure("Nearly equal traces, and leaks between splits", what, tables=tuple(tables), notes=tuple(notes))


def crosstabbed(counts: Counts) -> list[ChartFigure]:
    """Outcomes by split, view, layout and finding, where there is more than one of them."""
    tables = tuple(
        FigureList((kind.capitalize(), "Traces", "Accepted", "In doubt", "Rejected"), lines(frame), text=0)
        for kind, frame in crosstabs(counts).items()
        if len(frame) > 1
    )
    what = "Outcomes by what the rows say of themselves, and by what the references assert."
    return [ChartFigure("Which part is the weak one", what, tables=tables)] if tables else []


def probed(found: Mapping[str, Any] | None) -> list[ChartFigure]:
    """What `tenstep probe` found: how far claims move when image or report is exchanged."""
    if not found:
        return []
    lines = []
    for arm, one in found.get("arms", {}).items():
        moved = one["claims"]
        interval = "" if moved["low"] is None else f" ({moved['low'] * 100:.0f}–{moved['high']:.0%})"
        kind = "silent" if arm == "again" else "supported"
        lines.append(Bar(_ARMS.get(arm, arm), ((kind, moved["mean"]),), f"{moved['mean']:.0%}{interval}"))
    what = f"Share of claims that move when one thing is exchanged; {found.get('studies', 0):,} studies asked again."
    chart = drawn(bars("Claims moved by arm", lines, 1.0))
    return [ChartFigure("Image or report?", what, chart, notes=tuple(found.get("reading", ())))]
