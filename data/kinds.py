"""Kinds that are found by name: a kind is a file of one of our folders, or a plugin. Sources and exporters are such."""

import importlib
import pkgutil
from types import ModuleType

from ..schemas import plugins
from ..schemas.errors import InputError


def names(folder: ModuleType, group: plugins.Kind) -> tuple[str, ...]:
    """Every kind there is, sorted, with hyphens.

    Args:
        folder: our package, one file a kind.
        group: the plugins' group, e.g. "sources".
    """
    own = _own(folder)
    return tuple(sorted(name.replace("_", "-") for name in (*own, *plugins.names(group, own))))


def module(kind: str, folder: ModuleType, group: plugins.Kind, what: str) -> ModuleType:
    """The module of one kind; `what` is what an error calls it, e.g. "source".

    Raises:
        InputError: there is none.
    """
    known = names(folder, group)
    if kind not in known:
        raise InputError(f"there is no {what} '{kind}'; there are: {', '.join(known)}")
    name = kind.replace("-", "_")
    if name not in _own(folder):
        return plugins.load(group, name)
    return importlib.import_module(f"{folder.__name__}.{name}")


def _own(folder: ModuleType) -> tuple[str, ...]:
    return tuple(name for _, name, _ in pkgutil.iter_modules(folder.__path__))
