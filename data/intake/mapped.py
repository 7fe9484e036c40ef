"""A row of some table, by a mapping of columns, as a Draft; what `csv` and `hf` share."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ...schemas.study import Sections
from ..columns import SECTIONS, Columns
from ..ids import is_missing, plain_id
from ..source import SourceOptions
from .assemble import Draft
from .images import ImageFile
from .names import find_file
from .reports import UNKNOWN_VIEW, Refusal, is_empty, join_sections


def absent(columns: Columns, header: Collection[str]) -> str | None:
    """The column of the mapping that a table needs and lacks: one that it names, the id, or any report."""
    for column in sorted({*columns.named(), columns.id}):
        if column not in header:
            return column
    reported = (columns.report, columns.findings, columns.impression)
    return None if any(column in header for column in reported) else columns.report


def draft_of(
    source: str,
    cells: Mapping[str, str | None],
    images: Sequence[ImageFile],
    where: str,
    root: Path,
    options: SourceOptions,
    header: Collection[str] = (),
) -> Draft | Refusal:
    """One row.

    Args:
        source: its name.
        cells: text by column; empty and absent are the same.
        images: the row's, with the views that are known.
        where: for people: file and row.
        root: images lie under it.
        options: which column is what, and the data class.
        header: names of all the table's columns.
    """
    columns = options.columns

    def cell(name: str) -> str:
        value = cells.get(getattr(columns, name)) or ""
        return "" if is_empty(value) else value

    native = plain_id(cell("id"))
    if not native:
        return Refusal("no_id", f"the column '{columns.id}' is empty")
    given = {name: text.strip() for name in SECTIONS if (text := cell(name)).strip()}
    report = cell("report")
    if not report.strip() and not (given.get("findings") or given.get("impression")):
        return Refusal("empty_report", "the row has neither a report nor findings or an impression")
    views = [view.strip() for view in cell("views").split("|") if view.strip()]
    if len(views) == len(images):
        images = [image._replace(view=view) for image, view in zip(images, views, strict=True)]
    written = cell("patient_id").strip()
    patient = plain_id(written)
    return Draft(
        source=source,
        native_id=native,
        where=f"{where} ({native[:60]})",
        text=report if report.strip() else join_sections((name.upper(), text) for name, text in given.items()),
        data_class=options.data_class,
        root=root,
        images=tuple(images),
        views=tuple(dict.fromkeys(view for view in views if view != UNKNOWN_VIEW)),
        sections=Sections(**given) if given else None,
        patient_id=f"{source}/{patient}" if patient else None,
        split=cell("split").strip() or None,
        fields=header,
        warnings=(("patient_id_read_as", f"'{written[:60]}' is read as '{patient}'"),) if patient != written else (),
    )


def paths_in(cell: str, root: Path) -> list[ImageFile]:
    """The images that a cell names, separated by `|`."""
    return [ImageFile(find_file(root, name.strip())) for name in cell.split("|") if not is_missing(name)]
