"""The commands as functions, for scripts and notebooks: `from tenstep import audit, curate, select`.

They do what `tenstep audit`, `curate` and `select` do, and return objects in place of tables.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from ..data.loading import Run, load_run
from ..schemas.curate_recipe import CurateRecipe
from ..schemas.errors import InputError, first_fault

if TYPE_CHECKING:
    from pandas import DataFrame

    from .audit import Audit
    from .auditing.judged import Layout, Reader, Steps
    from .requests.forecast import Forecast
    from .selecting.select import Selected

AnyPath = str | PathLike[str]


def audit(
    data: "AnyPath | DataFrame | Iterable[Mapping[str, Any]]",
    *,
    columns: Mapping[str, str] = {},
    layout: "Layout" = "auto",
    steps: "Steps" = "10",
) -> "Audit":
    """Judge any dataset; the same as `tenstep audit`. Close what it returns, or use it in a `with` block.

    Args:
        data: a file (JSON Lines, a JSON array, Parquet, CSV; also as .gz), a folder, a saved dataset, a run folder, or
            a URL of these; or the rows themselves: a data frame, a `datasets.Dataset`, or a list of mappings.
        columns: what columns are called there: `{"reasoning": "cot", "answer": "final"}`.
        layout: how reasoning is written; `ours` is ten numbered steps, `auto` whatever it looks like.
        steps: `any`: another number or form of steps, bold text included, is no error.

    Returns:
        The audit, with `.totals`, `.summary()`, and `.to_pandas()` with a row for each row of the dataset.

    Raises:
        InputError: there is nothing to audit here, or an option has no such value.
    """
    from ..data.remote import local
    from . import audit as auditing

    reader = _reader(columns, layout, steps)
    if isinstance(data, str | PathLike):
        if not str(data):
            raise InputError("is empty; name a file or folder", field="data")
        return auditing.audit(local(str(data)), reader=reader)
    with TemporaryDirectory(prefix="tenstep-") as folder:  # its owner's alone
        file = Path(folder) / "rows.jsonl"
        with file.open("w", encoding="utf-8") as stream:
            stream.writelines(_lines(data))
        try:
            found = auditing.audit(file, reader=reader)
        except InputError as error:
            raise InputError(error.message, file="rows", row=error.row, field=error.field) from None
    found.path = Path("rows")
    return found


def _reader(columns: Mapping[str, str], layout: "Layout", steps: "Steps") -> "Reader":
    from .auditing.judged import LAYOUTS, Reader, Steps
    from .auditing.rows import fields_of_rows

    values: tuple[tuple[str, Iterable[str], Sequence[str]], ...] = (
        ("columns", columns, fields_of_rows()),
        ("layout", [layout], LAYOUTS),
        ("steps", [steps], get_args(Steps)),
    )
    for field, given, known in values:
        if strange := [value for value in given if value not in known]:
            raise InputError(f"{strange[0]!r} is none of {', '.join(known)}", field=field)
    return Reader(columns, layout, steps)


def _lines(rows: "DataFrame | Iterable[Mapping[str, Any]]") -> Iterator[str]:
    """Rows as JSON Lines; what JSON has no form for is written as it prints, and a value that is missing as null."""
    given: Any = rows
    if hasattr(given, "to_dict") and hasattr(given, "columns"):
        given = given.astype(object).where(given.notna(), None).to_dict("records")
    if isinstance(given, Mapping) or not isinstance(given, Iterable):
        raise InputError(f"a path or rows are wanted, not {type(rows).__name__}", field="data")
    for number, row in enumerate(given, 1):
        if not isinstance(row, Mapping):
            raise InputError(f"a row is a mapping of columns, not {type(row).__name__}", row=number, field="data")
        fields = {str(name): None if _is_nan(value) else value for name, value in row.items()}
        yield json.dumps(fields, default=_as_json) + "\n"


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _as_json(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)  # numpy's numbers and arrays


def curate(
    recipe: AnyPath | Mapping[str, Any] | CurateRecipe,
    *,
    out: AnyPath,
    studies: AnyPath | None = None,
    limit: int | None = None,
    spend: bool = False,
) -> Run:
    """Start a run, or resume one; the same as `tenstep curate`.

    Args:
        recipe: a YAML file, or the same keys as a mapping (without `kind`).
        out: the run folder; an existing one is resumed.
        studies: a study store, in place of the recipe's.
        limit: only the first so many studies, in place of the recipe's.
        spend: continue after the pilot although the recipe sets no budget; a run that costs nothing continues anyway.

    Returns:
        The run, as `load_run` opens it.

    Raises:
        TenstepError: what `tenstep curate` would refuse.
    """
    from .curating import bounded, curate_run, resolve

    source = recipe if isinstance(recipe, Mapping | CurateRecipe) else Path(recipe)
    resolved = resolve(source, None if studies is None else Path(studies), limit=limit)

    def consent(forecast: "Forecast") -> bool:
        return spend or bounded(resolved) or forecast.costs_nothing

    curate_run(resolved, Path(out), consent=consent)
    return load_run(out)


def select(
    runs: AnyPath | Sequence[AnyPath],
    n: int,
    *,
    out: AnyPath,
    student: AnyPath | None = None,
    splits: AnyPath | None = None,
    held_out: Sequence[AnyPath] = (),
    studies: AnyPath | None = None,
    **options: Any,
) -> "Selected":
    """Choose a small set; the same as `tenstep select`.

    Args:
        runs: a run folder, or several.
        n: how many examples.
        out: a new folder for the selection, which `load_run` opens.
        student: a run of a student's samples: the studies that it failed on are the difficult ones.
        splits: splits.yaml of `tenstep split`; only its train is chosen from.
        held_out: study stores that tests are made of; what is like them is not chosen.
        studies: the runs' study store, if it moved.
        options: quality, difficulty, similarity, minimums, maximums, pool, seed: the command's options of these names.

    Returns:
        `.selection`, which is selection.json, and `.baselines`, selections of the same size by name.

    Raises:
        TenstepError: what `tenstep select` would refuse.
    """
    from .selecting.select import SelectOptions
    from .selecting.select import select as chosen

    paths = [Path(run) for run in ([runs] if isinstance(runs, str | PathLike) else runs)]
    if not paths:
        raise InputError("names no run to choose from; give a run folder", field="runs")
    try:
        chosen_by = SelectOptions(n=n, **options)
    except ValidationError as error:
        message, field = first_fault(error)
        raise InputError(message, field=field) from None
    return chosen(
        paths,
        chosen_by,
        Path(out),
        student=None if student is None else Path(student),
        splits=None if splits is None else Path(splits),
        held_out=[Path(one) for one in held_out],
        studies=None if studies is None else Path(studies),
    )
