"""tenstep: curate ten-step chain-of-thought datasets for chest X-ray reporting, and distil a student.

    from tenstep import check, audit, curate, load_run, load_studies, findings, select, export

    check(text, reference)                  judge one trace: findings, and whether it is accepted
    audit("traces.jsonl").to_pandas()       judge any dataset: a file, a folder, a data frame
    findings(text)                          what a text asserts: finding, present or absent, side, place, size
    curate("recipe.yaml", studies=..., out=...)     a run, started or resumed
    load_run("runs/first")                  .accepted, .doubted, .rejected, .to_pandas(), .to_dataset()
    load_studies("studies")                 a study store: iterate it, or .get(id)
    select(["runs/first"], n=300, out=...)  a small set
    export("runs/first", "trl", out=...)    a folder that a trainer reads

Each name is imported when it is first used, so that `import tenstep` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .curation.library import audit, curate, select
    from .data.loading import load_run, load_studies
    from .distill.dataset import export
    from .schemas.version import __version__ as __version__
    from .validators.check import check, findings

__all__ = ["audit", "check", "curate", "export", "findings", "load_run", "load_studies", "select"]

_HOMES = {
    "__version__": ("schemas.version", "__version__"),
    "audit": ("curation.library", "audit"),
    "check": ("validators.check", "check"),
    "curate": ("curation.library", "curate"),
    "export": ("distill.dataset", "export"),
    "findings": ("validators.check", "findings"),
    "load_run": ("data.loading", "load_run"),
    "load_studies": ("data.loading", "load_studies"),
    "select": ("curation.library", "select"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tenstep' has no attribute '{name}'")
    from importlib import import_module

    module, attribute = _HOMES[name]
    return getattr(import_module(f".{module}", __name__), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
