"""Plugins: rules, teachers, sources, students and exporters of other packages, found through entry points.

    [project.entry-points."tenstep.rules"]
    shouting = "my_package.shouting"          a module as validators/rule.py describes it

The groups are `tenstep.rules`, `tenstep.teachers`, `tenstep.sources`, `tenstep.students` and `tenstep.exporters`; the
name is the kind that recipes and commands use, and the value a module in the form of ours. Whatever is installed
counts, and stands in the manifest of every run with its package and version. A rule may also be a user's own file, by
its path in a recipe. A dataset names neither: nothing in data is ever imported.
"""

import hashlib
import importlib
import importlib.util
from collections.abc import Collection, Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Literal

from pydantic import Field

from .base import Noun
from .errors import InputError

Kind = Literal["rules", "teachers", "sources", "students", "exporters"]
KINDS: tuple[Kind, ...] = ("rules", "teachers", "sources", "students", "exporters")


class Plugin(Noun):
    """One plugin, as a run's manifest names it."""

    kind: Kind = Field(description="Which kind of plugin.")
    name: str = Field(description="Under which it is used.")
    module: str = Field(description="What is imported; of a file, its path.")
    package: str = Field(description="The distribution that brings it; of a file, its SHA-256.")
    version: str = Field("", description="Of the package.")


@cache
def _found(kind: Kind) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"tenstep.{kind}"):
        other = found.setdefault(point.name.replace("-", "_"), point)
        if other.value != point.value:
            raise InputError(
                f"two plugins are called '{point.name}' (tenstep.{kind}): {_package(other)} and {_package(point)}; "
                "uninstall one of them"
            )
    return found


def names(kind: Kind, own: Collection[str] = ()) -> tuple[str, ...]:
    """The plugins of a kind, `-` written as `_`.

    Args:
        kind: the group, without `tenstep.`.
        own: the names that tenstep itself has.

    Raises:
        InputError: two of them, or one and ours, have the same name.
    """
    found = _found(kind)
    if taken := sorted(found.keys() & set(own)):
        raise InputError(
            f"{_package(found[taken[0]])} brings a plugin called '{taken[0]}' (tenstep.{kind}), which tenstep has "
            "itself; uninstall it, or ask its author for another name"
        )
    return tuple(sorted(found))


def load(kind: Kind, name: str) -> ModuleType:
    """The module of a plugin.

    Raises:
        InputError: it cannot be imported, whatever it raises; names the package.
    """
    point = _found(kind)[name]
    try:
        module: ModuleType = importlib.import_module(point.value)
    except Exception as error:  # noqa: BLE001 - another's code may raise anything, and the user must know whose it is
        raise InputError(
            f"the plugin '{point.name}' of {_package(point)} (tenstep.{kind}) cannot be imported: "
            f"{type(error).__name__}: {error}; fix or uninstall it"
        ) from None
    return module


def installed() -> tuple[Plugin, ...]:
    """All plugins of all kinds, for a manifest."""
    return tuple(
        Plugin(
            kind=kind,
            name=point.name,
            module=point.value,
            package=point.dist.name if point.dist else "?",
            version=point.dist.version if point.dist else "",
        )
        for kind in KINDS
        for _, point in sorted(_found(kind).items())
    )


def file_module(path: str) -> ModuleType:
    """A user's own module by its path.

    Raises:
        InputError: it is missing, or cannot be imported.
    """
    return _file_module(path, _file(path).stat().st_mtime_ns)


def _file(path: str) -> Path:
    if not (file := Path(path)).is_file():
        raise InputError("there is no such file", file=file)
    return file


@cache
def _file_module(path: str, _changed: int) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise InputError("is no Python file", file=path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - the user's own code may raise anything
        raise InputError(f"cannot be imported: {type(error).__name__}: {error}", file=path) from None
    return module


def file_plugin(path: str) -> Plugin:
    """A rule of a user's own, for a manifest.

    Raises:
        InputError: it is missing.
    """
    digest = hashlib.sha256(_file(path).read_bytes()).hexdigest()
    return Plugin(kind="rules", name=Path(path).stem, module=path, package=digest)


def check_files(rules: Iterable[Plugin]) -> None:
    """See that files of rules are those that they were when a piece of work began, on its machine or another one.

    Raises:
        InputError: one is missing, or another one.
    """
    for rule in rules:
        if file_plugin(rule.module) != rule:
            raise InputError("is another file than when the work began; give the command again", file=rule.module)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
