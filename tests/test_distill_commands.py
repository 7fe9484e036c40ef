"""`tenstep distill` and `tenstep sample`: bad input is one line and exit code 2, and nothing is left behind."""

from pathlib import Path

import pytest
from tenstep.__main__ import main
from tenstep.data.demo.folders import write_folders
from tenstep.data.ingest import ingest
from tenstep.data.source import SourceOptions

RECIPE = "kind: distill\nname: probe\nbase: tiny\nsteps: 1\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def told(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """What a command that fails says."""
    assert main(list(map(str, words))) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("", "field 'run': says no run; name a run folder here or with --run"),
        ("epochs: 2\n", "give either epochs or steps"),
        ("optimiser: {}\n", "field 'optimiser': no such key"),
        ("lora: {rank: 4}\n", "field 'lora.rank': no such key"),
        ("quantize: int3\n", "field 'quantize': must be 'nf4' or 'none'"),
    ],
)
def test_a_recipe_that_cannot_be_run_is_one_line(
    capsys: pytest.CaptureFixture[str], recipe: Path, more: str, message: str
) -> None:
    recipe.write_text(RECIPE + more)
    assert message in told(capsys, "distill", recipe)


def test_a_run_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str], recipe: Path, tmp_path: Path) -> None:
    assert "there is no manifest.json here; is this a run folder?" in told(
        capsys, "distill", recipe, "--run", tmp_path / "no", "--out", tmp_path / "out"
    )
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_student_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    films = write_folders(tmp_path / "films", 1, size=32, defects=False)
    ingest("folders", films, tmp_path / "studies", SourceOptions(data_class="public"))
    words = ("sample", tmp_path / "no", "--studies", tmp_path / "studies", "--out", tmp_path / "out")
    assert "there is no trained student here; train one with: tenstep distill" in told(capsys, *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--n", "0", "'0' is not a whole number above 0"),
        ("--batch", "-1", "'-1' is not a whole number above 0"),
        ("--limit", "few", "'few' is not a whole number above 0"),
        ("--temperature", "hot", "'hot' is not a number from 0"),
        ("--temperature", "nan", "'nan' is not a number from 0"),
    ],
)
def test_an_option_that_makes_no_sense_is_one_line(
    capsys: pytest.CaptureFixture[str], option: str, value: str, message: str
) -> None:
    assert message in told(capsys, "sample", "student", "--studies", "s", "--out", "o", option, value)
