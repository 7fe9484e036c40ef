"""The commands as functions, for scripts and notebooks: `from tenstep import audit, curate, select`.

They do what `tenstep audit`, `curate` and `select` do, and return objects in place of tables.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.loading import Run, load_run
from ..schemas.curate_recipe import CurateRecipe

if TYPE_CHECKING:
    from .audit import Audit
    from .requests.forecast import Forecast
    from .selecting.select import Selected

AnyPath = str | PathLike[str]


def audit(path: AnyPath) -> "Audit":
    """Judge any dataset; the same as `tenstep audit`. Close what it returns, or use it in a `with` block.

    Args:
        path: a file (JSON Lines, a JSON array, Parquet, CSV; also as .gz), a folder, a saved dataset, a run folder, or
            a URL of these.

    Returns:
        The audit, with `.totals`, `.summary()`, and `.to_pandas()` with a row for each row of the dataset.

    Raises:
        InputError: there is nothing to audit at this path.
    """
    from ..data.remote import local
    from . import audit as auditing

    return auditing.audit(local(str(path)))


def curate(
    recipe: AnyPath | Mapping[str, Any] | CurateRecipe,
    *,
    out: AnyPath,
    studies: AnyPath | None = None,
    spend: bool = False,
) -> Run:
    """Start a run, or resume one; the same as `tenstep curate`.

    Args:
        recipe: a YAML file, or the same keys as a mapping (without `kind`).
        out: the run folder; an existing one is resumed.
        studies: a study store, in place of the recipe's.
        spend: continue after the pilot although the recipe sets no budget; a run that costs nothing continues anyway.

    Returns:
        The run, as `load_run` opens it.

    Raises:
        TenstepError: what `tenstep curate` would refuse.
    """
    from .curating import bounded, curate_run, resolve

    source = recipe if isinstance(recipe, Mapping | CurateRecipe) else Path(recipe)
    resolved = resolve(source, None if studies is None else Path(studies))

    def consent(forecast: "Forecast") -> bool:
        return spend or bounded(resolved) or forecast.costs_nothing

    curate_run(resolved, Path(out), consent=consent)
    return load_run(out)


def select(
    runs: Sequence[AnyPath], n: int, *, out: AnyPath, student: AnyPath | None = None, **options: Any
) -> "Selected":
    """Choose a small set; the same as `tenstep select`.

    Args:
        runs: run folders.
        n: how many examples.
        out: a new folder for the selection, which `load_run` opens.
        student: a run of a student's samples: the studies that it failed on are the difficult ones.
        options: quality, difficulty, similarity, minimums, maximums, pool, seed: the command's options of these names.

    Returns:
        `.selection`, which is selection.json, and `.baselines`, selections of the same size by name.

    Raises:
        TenstepError: what `tenstep select` would refuse.
    """
    from .selecting.select import SelectOptions
    from .selecting.select import select as chosen

    paths = [Path(run) for run in runs]
    return chosen(paths, SelectOptions(n=n, **options), Path(out), student=None if student is None else Path(student))
