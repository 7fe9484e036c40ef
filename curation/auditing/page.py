"""The audit page: one HTML file with what an audit found, which opens from disk and asks nothing of a network.

Numbers and plots first, then worked examples in the cards of the review page: offending words marked, the sentence of
the reference next to them. Several datasets stand side by side. It judges and measures nothing. Text of the data
is escaped by the templates, and the page's policy forbids every request and every script but its own.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ...schemas.version import __version__
from ..pages.cards import STATUS
from ..pages.templates import closing, opening, part, ranked, render
from .figures import crosstabbed, figures, probed
from .headline import compared, tiles

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
    style, script = part("findings.css", "review.css", "audit.css"), part("review.js", "audit.js")
    title = "Audit of " + " and ".join(names)
    yield opening(
        "audit.html",
        title=title,
        style=style,
        script=script,
        lead=_lead(audits),
        notes=_notes(audits),
        headline=_headline(audits),
        figures=_figures(audits),
        sample=_sample(audits, len(cards)),
        counts={"": len(cards), **{status: outcomes[outcome] for outcome, status in STATUS.items()}},
        codes=ranked(codes),
        authors=ranked(authors),
    )
    yield from (card.html for card in cards)
    yield "</main>" + part("audit_method.html") + closing(script)


def _lead(audits: "Sequence[Audit]") -> str:
    rows = sum(audit.totals.rows for audit in audits)
    runs = len({rule for audit in audits for rule, _, _ in audit.totals.funnel})
    what = "traces" if rows != 1 else "trace"
    return (
        f"{rows:,} {what}, each held against its reference report by {runs} rules of tenstep "
        f"{__version__}. No model was asked."
    )


def _notes(audits: "Sequence[Audit]") -> list[str]:
    notes = [note if len(audits) == 1 else f"{audit.name}: {note}" for audit in audits for note in audit.notes]
    if any(audit.restricted for audit in audits):
        notes.append("Restricted data, or data that is not known to be public: keep this file where its terms allow.")
    return notes[:_NOTES]


def _headline(audits: "Sequence[Audit]") -> str:
    if len(audits) == 1:
        return render("headline.html", items=tiles(audits[0].totals), rows=(), names=())
    return render("headline.html", items=(), rows=compared(audits), names=[audit.name for audit in audits])


def _figures(audits: "Sequence[Audit]") -> str:
    datasets = [
        {"name": audit.name, "figures": [*figures(audit.totals), *crosstabbed(audit.groups), *probed(audit.probe)]}
        for audit in audits
    ]
    return render("figures.html", datasets=datasets, several=len(audits) > 1)


def _sample(audits: "Sequence[Audit]", cards: int) -> str:
    rows = sum(audit.totals.rows for audit in audits)
    if cards == rows:
        return "Every trace is here."
    return f"A fair sample for each finding, and some accepted ones: {cards:,} of {rows:,} traces."
