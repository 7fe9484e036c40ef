"""The audit page: one HTML file with what an audit found, which opens from disk and asks nothing of a network.

Numbers and plots first, then worked examples in the cards of the review page: offending words marked, the sentence of
the reference beside them. Several datasets stand side by side. It judges nothing and measures nothing. Text of the data
passes through `marked`, and the page's policy forbids every request and every script but its own.
"""

import html
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ... import __version__
from ..pages.marked import shown
from ..pages.onefile import opening, options, part
from .figures import compared, figures, headline, probed

if TYPE_CHECKING:
    from ..audit import Audit

_NOTES = 30


def page(audits: "Sequence[Audit]") -> Iterator[str]:
    """The page in pieces.

    Args:
        audits: made with examples; several are compared with the first.
    """
    cards = [card for audit in audits if audit.examples for card in audit.examples.cards]
    codes = Counter(code for card in cards for code in card.codes)
    authors = Counter(card.author for card in cards)
    outcomes = Counter(card.outcome for card in cards)
    names = [audit.name for audit in audits]
    style, script = part("review.css", "audit.css"), part("review.js", "audit.js")
    title = "Audit of " + " and ".join(names)
    yield opening(
        "audit.html",
        title=title,
        style=style,
        script=script,
        lead=_lead(audits),
        notes=_notes(audits),
        headline=headline(audits[0].totals) if len(audits) == 1 else compared(audits),
        figures=_figures(audits),
        sample=_sample(audits, len(cards)),
        total=f"{len(cards):,}",
        accepted=f"{outcomes['accept']:,}",
        doubted=f"{outcomes['doubt']:,}",
        rejected=f"{outcomes['reject']:,}",
        codes=options(codes),
        authors=options(authors),
    )
    yield from (card.html for card in cards)
    yield f"</main>{part('audit_method.html')}<script>{script}</script></body></html>\n"


def _lead(audits: "Sequence[Audit]") -> str:
    rows = sum(audit.totals.rows for audit in audits)
    runs = len({rule for audit in audits for rule, _, _ in audit.totals.funnel})
    what = "traces" if rows != 1 else "trace"
    return (
        f"{rows:,} {what}, each held against its reference report by {runs} rules of tenstep "
        f"{html.escape(__version__)}. No model was asked."
    )


def _notes(audits: "Sequence[Audit]") -> str:
    notes = [note if len(audits) == 1 else f"{audit.name}: {note}" for audit in audits for note in audit.notes]
    if any(audit.restricted for audit in audits):
        notes.append("Restricted data, or data of which nobody said otherwise: keep this file where its terms allow.")
    return "".join(f'<p class="note">{shown(note, 400)}</p>' for note in notes[:_NOTES])


def _figures(audits: "Sequence[Audit]") -> str:
    if len(audits) == 1:
        return f'<div class="figures">{figures(audits[0].totals)}{probed(audits[0].probe)}</div>'
    each = (
        f'<div class="dataset"><h2 class="name text">{shown(audit.name, 120)}</h2>'
        f"{figures(audit.totals)}{probed(audit.probe)}</div>"
        for audit in audits
    )
    return f'<div class="datasets">{"".join(each)}</div>'


def _sample(audits: "Sequence[Audit]", cards: int) -> str:
    rows = sum(audit.totals.rows for audit in audits)
    if cards == rows:
        return "Every trace is here."
    return f"A fair sample for each finding, and some accepted ones: {cards:,} of {rows:,} traces."
