"""What an ingest came to, as the table and the notes that end it."""

from ..data.ingest import PART_FAILED
from ..data.source import SourceOptions
from ..data.store.batch import StoreHead
from ..data.store.studies import StudyStore
from ..schemas.outcome import Table

ALWAYS_RESTRICTED = ("mimic-cxr", "chexpert-plus")
_ORDER = ("technique", "view", "findings", "impression", "indication", "comparison", "history")


def table_of(head: StoreHead, kind: str) -> Table:
    """Rows read, studies, rejected rows by reason, warnings, views, sections, splits, what is derived, tokens."""
    rows = [("rows read", head.rows), ("studies", head.studies), ("images", head.images)]
    rows += [(f"rejected: {reason}", n) for reason, n in head.rejected.items()]
    rows += [(f"warning: {code}", n) for code, n in head.warnings.items()]
    rows += [(f"view: {view}", n) for view, n in head.views.items()]
    rows += [(f"section: {name}", head.sections[name]) for name in _ORDER if name in head.sections]
    rows += [(f"split: {name}", n) for name, n in head.splits.items()]
    rows += [(f"derived: {name}", n) for name, n in head.derived.items()]
    shown = [(name, f"{n:,}") for name, n in rows]
    if head.studies:
        mean = head.tokens / head.studies
        shown.append(("tokens (words of references)", f"{head.tokens:,}; {mean:.0f} a study, longest {head.longest:,}"))
    return Table(title=f"ingest {kind}", columns=("rows", "count"), rows=tuple(shown))


def notes_of(
    store: StudyStore, options: SourceOptions, seconds: float, *, by_default: bool = False
) -> tuple[tuple[str, ...], bool]:
    """Lines for people, and whether the source is not what it was said to be."""
    head, failed = store.head, False
    notes = [f"{store.root}: {head.data_class} data, {head.report_form or 'no'} references, {seconds:.1f} s"]
    if head.rejected:
        notes.append(f"rejected rows, each with its reason: {store.root / 'rejected.jsonl'}")
    if head.warnings:
        notes.append(f"warnings, each with its study: {store.root / 'warnings.jsonl'}")
    if head.traces:
        notes.append(f"{head.traces} reports came with steps; judge them: tenstep audit {store.root / 'traces.jsonl'}")
    if by_default and head.data_class == "restricted" and head.source not in ALWAYS_RESTRICTED:
        notes.append("restricted is the default; data that anybody may have is ingested with --data-class public")
    for name, policy in (("findings", options.missing_findings), ("impression", options.missing_impression)):
        if policy == "require" and (lacking := head.rejected.get(f"no_{name}")):
            notes.append(f"{lacking} studies have no {name}, which was required of all")
            failed = True
    if parts := head.rejected.get(PART_FAILED):
        notes.append(f"{parts} parts of the source could not be read and are missing here: see rejected.jsonl for why")
        failed = True
    if not head.studies:
        why = next((f": {row.row}: {row.detail}" for row in store.rejected()), "")
        notes.append(f"no row became a study{why}")
        failed = True
    return tuple(notes), failed
