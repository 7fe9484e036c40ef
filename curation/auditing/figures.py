"""Figures: the totals of an audit as tiles, charts and lists for a page."""

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...validators.gate import RULES
from ..pages.marked import shown
from ..requests.forecast import Interval, wilson
from .charts import Bar, band, bars, columns, heat, rounded_up
from .compare import difference, percent_of, shared, shares
from .measures import STANDINGS, Standing
from .totals import StepTotal, Totals

if TYPE_CHECKING:
    from ..audit import Audit

_CODES, _HEAT, _FINDINGS, _LISTED = 30, 14, 24, 8
_WHAT = {rule.__name__.rpartition(".")[2]: (rule.__doc__ or "").strip().split("\n")[0] for rule in RULES}
_CLASS = {"supported": "supported", "silent": "silent", "contradicted": "contradicted"}
_SEVERITY_KEY = (("error", "error"), ("doubt", "doubt"), ("warning", "warning"))
_ARMS = {
    "again": "nothing, drawn again",
    "other_report": "another patient's report",
    "other_image": "another patient's image",
    "blank_image": "a grey image",
}
_TILES = {
    "claims that the reference supports": "of the claims are supported by the reference",
    "reference findings that steps speak of": "of the reference's findings are spoken of",
    "four-word phrases copied from the reference": "of the four-word phrases are copied from it",
    "conclusion in the first five steps": "give the conclusion away by step 5",
}


def headline(totals: Totals) -> str:
    """The numbers that come first."""
    acceptance = totals.acceptance
    tiles = [
        _tile(f"{acceptance.share:.0%}", "accepted", f"{totals.accepted:,} of {totals.rows:,}; {_range(acceptance)}")
    ]
    for name, share in list(shares(totals).items())[1:]:
        tiles.append(_tile(percent_of(name, share, 0), "" if share is None else _TILES[name], ""))
    doubted = wilson(totals.doubted, totals.rows)
    tiles.insert(1, _tile(f"{doubted.share:.0%}", "in doubt", f"{totals.doubted:,} of {totals.rows:,}"))
    alike = totals.overlaps.alike()
    near = sum(group.traces for group in alike)
    tiles.append(_tile(f"{near:,}", "traces nearly equal to another", f"{len(alike):,} groups"))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _tile(number: str, name: str, more: str) -> str:
    said = f"<span>{html.escape(more)}</span>" if more else ""
    return f'<div class="tile"><b>{html.escape(number)}</b>{html.escape(name)}{said}</div>'


def _range(found: Interval) -> str:
    return f"95 % interval {found.low:.0%} to {found.high:.0%}"


def compared(audits: "Sequence[Audit]") -> str:
    """Datasets side by side, and what they share."""
    base = audits[0].totals
    each = [shares(audit.totals) for audit in audits]
    heads = "".join(f'<th class="text">{shown(audit.name, 80)}</th>' for audit in audits)
    rows = [_row("traces", [f"{audit.totals.rows:,}" for audit in audits])]
    for name in each[0]:
        rows.append(_row(name, [percent_of(name, one[name]) for one in each]))
    apart = ["" if not at else _apart(base, audit.totals) for at, audit in enumerate(audits)]
    rows.insert(2, _row("difference to the first, 95 % interval", apart))
    both = [shared(base.overlaps, audit.totals.overlaps) for audit in audits[1:]]
    said = {"ids": "same ids as the first", "patients": "same patients", "like_traces": "groups of nearly equal traces",
            "like_reports": "groups of nearly equal reports"}  # fmt: skip
    rows += [_row(words, ["", *(f"{one[kind]:,}" for one in both)]) for kind, words in said.items()]
    return f'<table class="compared"><thead><tr><th></th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _apart(base: Totals, totals: Totals) -> str:
    found = difference(base.accepted, base.rows, totals.accepted, totals.rows)
    return f"{found.share:+.1%} ({found.low:+.1%} to {found.high:+.1%})".replace("-", "−")


def _row(name: str, cells: Sequence[str]) -> str:
    return f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"


def figures(totals: Totals) -> str:
    """All charts of one dataset."""
    parts = [
        _figure(
            "Where traces stop",
            "The first rule that found an error, in the order of the rules; then what is left in doubt.",
            _funnel(totals),
        )
    ]
    if totals.code_rows:
        said = "Traces that have it. Choose one to see examples."
        parts.append(_figure("What was found", said, _codes(totals), key=_SEVERITY_KEY))
    if totals.read:
        parts += _step_figures(totals.steps, totals)
        parts += [_coverage(totals), _repeats(totals), _likeness(totals)]
    return "".join(parts)


def _figure(title: str, said: str, drawn: str, key: Sequence[tuple[str, str]] = ()) -> str:
    keys = "".join(f'<span class="key {kind}">{html.escape(name)}</span>' for kind, name in key)
    legend = f'<p class="legend">{keys}</p>' if keys else ""
    heading = f'<h3>{html.escape(title)}</h3><p class="quiet">{html.escape(said)}</p>'
    return f'<figure class="chart">{heading}{legend}{drawn}</figure>'


def _funnel(totals: Totals) -> str:
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
    more = f'<p class="quiet">{quiet} more rules stopped none.</p>' if quiet else ""
    return bars("Where traces stop", lines, rows) + more


def _codes(totals: Totals) -> str:
    lines = [
        Bar(code, ((totals.severities[code], n),), f"{n:,}, {n / totals.rows:.0%}", code=code)
        for code, n in totals.code_rows.most_common(_CODES)
    ]
    left = len(totals.code_rows) - len(lines)
    more = f'<p class="quiet">and {left} rarer ones</p>' if left > 0 else ""
    return bars("What was found", lines, totals.rows) + more


def _step_figures(steps: Sequence[StepTotal], totals: Totals) -> list[str]:
    each = [step.as_dict() for step in steps]
    stacks = [
        [(_CLASS[kind], _per(step, kind), f"step {step.number}: {kind} {step.standings[kind]:,}") for kind in STANDINGS]
        for step in steps
    ]
    claims = rounded_up(max(sum(value for _, value, _ in stack) for stack in stacks))
    words = [(one["words"]["p10"], one["words"]["median"], one["words"]["p90"]) for one in each]
    copied = [one["copied"] or 0.0 for one in each]
    repeated = [one["repeated"] or 0.0 for one in each]
    first = [totals.concluded[step.number] / max(1, totals.concluded.total()) for step in steps]
    never = totals.concluded[0]
    found = [
        _figure(
            "What each step claims",
            "Claims in a step, on average, and how they stand to the reference. Silent is not false.",
            columns("Claims by step", stacks, top=claims, unit=""),
            key=(("supported", "supported"), ("silent", "reference is silent"), ("contradicted", "contradicted")),
        ),
        _figure(
            "How early the conclusion is given away",
            "The first step that asserts what the impression concludes"
            + (f"; {never:,} traces never do." if never else "."),
            _shares("First conclusion by step", first),
        ),
        _figure(
            "What is copied",
            "Share of the step's four-word phrases that stand in the reference as well.",
            _shares("Copied by step", copied),
        ),
        _figure(
            "Length",
            "Words in a step: the median, within the band that holds eight of ten.",
            band("Words by step", words, top=rounded_up(max(row[2] for row in words)), unit=""),
        ),
        _figure(
            "Templates",
            "Share of traces whose sentence at this step stands in another trace as well.",
            _shares("Repeated sentences by step", repeated),
        ),
    ]
    placed = _places(totals)
    if placed:
        found.append(
            _figure(
                "Where it was found",
                "Findings by step. Choose a line to see examples.",
                heat("Findings by step", placed),
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


def _shares(title: str, values: Sequence[float]) -> str:
    stacks = [[("accent", value, f"step {at}: {value:.1%}")] for at, value in enumerate(values, 1)]
    return columns(title, stacks, top=rounded_up(max(values), share=True), unit="%")


def _coverage(totals: Totals) -> str:
    ranked = sorted(totals.covered.items(), key=lambda pair: (-pair[1].total(), pair[0]))[:_FINDINGS]
    lines = [
        Bar(
            name.replace("_", " "),
            (("supported", counts[True]), ("silent", counts[False])),
            f"{counts[True]:,} of {counts.total():,}",
        )
        for name, counts in ranked
    ]
    drawn = (
        bars("Coverage", lines, max(counts.total() for _, counts in ranked))
        if ranked
        else '<p class="quiet">No reference asserts a finding.</p>'
    )
    return _figure(
        "Findings of the references",
        "How often a step speaks of what the reference asserts or leaves open.",
        drawn,
        key=(("supported", "spoken of"), ("silent", "left out")),
    )


def _repeats(totals: Totals) -> str:
    places = [step.templates.place for step in totals.steps]
    found = sorted((t for place in places for t in place.frequent), key=lambda t: (-t.traces, t.step))[:_LISTED]
    rows = [f'<tr><td>{t.step}</td><td class="text">{shown(t.text, 200)}</td><td>{t.traces:,}</td></tr>' for t in found]
    drawn = _listed(("Step", "Sentence", "Traces"), rows) if rows else '<p class="quiet">No sentence stands twice.</p>'
    return _figure("Sentences that stand most often", "Digits aside, word for word.", drawn)


def _likeness(totals: Totals) -> str:
    alike, crossings = totals.overlaps.alike(), totals.overlaps.crossings()
    rows = [
        f"<tr><td>{group.traces:,}</td><td>{'different' if group.other_reports else 'alike'}</td>"
        f'<td class="text">{shown(", ".join(group.ids[:6]), 200)}</td></tr>'
        for group in alike[:_LISTED]
    ]
    drawn = (
        _listed(("Traces", "Their reports", "Ids"), rows)
        if rows
        else '<p class="quiet">No two traces are nearly equal.</p>'
    )
    if len(totals.split_rows) > 1:
        splits = ", ".join(f"{name} {n:,}" for name, n in totals.split_rows.most_common())
        lines = [
            f"<tr><td>{kind}</td><td>{len(found):,}</td>"
            f'<td class="text">{shown("; ".join(c.what for c in found[:4]), 200)}</td></tr>'
            for kind, found in crossings.items()
        ]
        drawn += f"<h4>In two splits ({shown(splits, 200)})</h4>" + _listed(("What", "Number", "For example"), lines)
    else:
        drawn += '<p class="quiet">The rows name no splits, so nothing can be said of leaks between them.</p>'
    said = "Traces with 80 % of their four-word runs in common, as estimated from sketches."
    return _figure("Nearly equal traces, and leaks between splits", said, drawn)


def probed(found: Mapping[str, Any] | None) -> str:
    """What `tenstep probe` found: how far claims move when image or report is exchanged."""
    if not found:
        return ""
    lines = []
    for arm, one in found.get("arms", {}).items():
        moved = one["claims"]
        interval = "" if moved["low"] is None else f" ({moved['low'] * 100:.0f}–{moved['high']:.0%})"
        kind = "silent" if arm == "again" else "supported"
        lines.append(Bar(_ARMS.get(arm, arm), ((kind, moved["mean"]),), f"{moved['mean']:.0%}{interval}"))
    said = "".join(f'<p class="quiet">{shown(line, 300)}</p>' for line in found.get("reading", ()))
    drawn = bars("Claims moved by arm", lines, 1.0) + said
    what = f"Share of claims that move when one thing is exchanged; {found.get('studies', 0):,} studies asked again."
    return _figure("Image or report?", what, drawn)


def _listed(heads: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(f"<th>{head}</th>" for head in heads)
    return f'<table class="listed"><thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
