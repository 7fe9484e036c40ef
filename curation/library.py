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
    """Judge any dataset: a file, a folder, a saved dataset, a run. `.to_pandas()` has a row for each of its rows.

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
    """Start a run, or go on with one; the same as `tenstep curate`.

    Args:
        recipe: a YAML file, or the same as a mapping.
        out: the run folder.
        studies: a study store, in place of the recipe's.
        spend: go on after the pilot though the recipe sets no budget; what costs nothing goes on in any case.

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
        n: how many.
        out: a new folder for the selection, which `load_run` reads.
        student: a run of a student's samples, for difficulty.
        options: quality, difficulty, similarity, minimums, maximums, pool, seed: see `SelectOptions`.
    """
    from .selecting.select import SelectOptions
    from .selecting.select import select as chosen

    paths = [Path(run) for run in runs]
    return chosen(paths, SelectOptions(n=n, **options), Path(out), student=None if student is None else Path(student))
