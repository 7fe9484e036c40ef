"""The wheel: what is in it, and that it works in a bare environment that has no torch."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
UNSHIPPED = ("tests", "typings", "benchmarks", "scripts")

pytestmark = pytest.mark.slow


def run(command: Sequence[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel that was built from it, both from a copy of the files that a commit would hold."""
    folder = tmp_path_factory.mktemp("build")
    probe = run([*PIP, "download", "--no-deps", "--dest", folder / "probe", "setuptools>=77"], folder)
    if probe.returncode:
        pytest.skip(f"no package index can be reached: {probe.stderr.strip().splitlines()[-1]}")
    copy = folder / "tenstep"
    ignore = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "runs", "demo-out")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=ignore)
    built = run([sys.executable, "-m", "build", "--outdir", folder / "dist", copy], folder)
    assert built.returncode == 0, built.stdout + built.stderr
    (sdist,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def bare(distributions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment with the wheel, its required dependencies and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    assert run([sys.executable, "-m", "venv", "venv"], folder).returncode == 0
    python = folder / "venv" / "bin" / "python"
    pins = ["--constraint", ROOT / "constraints.txt"]
    done = run([python, "-m", *PIP[2:], "install", *pins, distributions[1]], folder)
    assert done.returncode == 0, done.stderr
    return python.parent


def test_the_wheel_holds_every_package_and_data_file(distributions: tuple[Path, Path]) -> None:
    names = set(zipfile.ZipFile(distributions[1]).namelist())
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    rooms = {package.split(".")[1] for package in packages if "." in package}
    files = [path for room in rooms for path in (ROOT / room).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    wanted = {
        f"tenstep/{path.relative_to(ROOT).as_posix()}" for path in [*files, *ROOT.glob("*.py"), ROOT / "py.typed"]
    }
    wanted |= {f"tenstep/examples/recipes/{path.name}" for path in (ROOT / "examples" / "recipes").glob("*.yaml")}
    assert wanted - names == set()
    assert {name for name in names if ".dist-info/" not in name} - wanted == set()


def test_neither_distribution_holds_what_is_not_the_package(distributions: tuple[Path, Path]) -> None:
    sdist, wheel = distributions
    folders = {name.split("/")[1] for name in zipfile.ZipFile(wheel).namelist() if name.startswith("tenstep/")}
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    folders |= {member.name.split("/")[1] for member in members if "/" in member.name}
    assert folders & set(UNSHIPPED) == set()
    assert [member.name for member in members if not (member.isfile() or member.isdir())] == []


def test_the_wheel_shows_its_commands_without_torch(bare: Path, tmp_path: Path) -> None:
    absent = run([bare / "python", "-c", "import torch"], tmp_path)
    assert "ModuleNotFoundError" in absent.stderr
    shown = run([bare / "tenstep", "--help"], tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    for command in ("demo", "ingest", "curate", "audit", "distill", "sample"):
        assert re.search(rf"^ +{command}\b", shown.stdout, re.M), shown.stdout
        assert run([bare / "tenstep", command, "--help"], tmp_path).returncode == 0


def test_the_wheel_curates_without_torch_and_names_the_extra_that_distils(bare: Path, tmp_path: Path) -> None:
    code = "import pathlib, tenstep.data.demo.folders as demo; demo.write_folders(pathlib.Path('films'), 12)"
    assert run([bare / "python", "-c", code], tmp_path).returncode == 0
    code = "from importlib import resources; print(resources.files('tenstep') / 'data' / 'demo')"
    recipes = Path(run([bare / "python", "-c", code], tmp_path).stdout.strip())
    assert bare.parent in recipes.parents
    for command in (
        ["ingest", "folders", "films", "--form", "four-header", "--out", "studies"],
        ["curate", recipes / "curate.yaml", "--studies", "studies", "--out", "run"],
        ["audit", "run"],
        ["review", "run", "--out", "review.html"],
    ):
        done = run([bare / "tenstep", *command], tmp_path)
        assert done.returncode == 0, done.stderr
    asked = run([bare / "tenstep", "distill", recipes / "distill.yaml", "--run", "run", "--out", "student"], tmp_path)
    assert (asked.returncode, asked.stdout, len(asked.stderr.splitlines())) == (2, "", 1)
    assert "pip install 'tenstep[distill] @ git+https://" in asked.stderr


def test_the_wheel_knows_its_version(bare: Path, tmp_path: Path) -> None:
    from tenstep import __version__

    assert run([bare / "tenstep", "--version"], tmp_path).stdout == f"tenstep {__version__}\n"
    assert run([bare / "python", "-m", "tenstep", "--version"], tmp_path).stdout == f"tenstep {__version__}\n"
