"""The README's lines for one's own data are run as they stand there, one after the other, on a student of two steps."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from tenstep.__main__ import main
from tenstep.data.demo.folders import write_folders
from tenstep.data.demo.truth import draw
from tenstep.data.demo.words import report
from tenstep.distill.train.tiny import build

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_ones_own_data_goes_from_films_to_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = (ROOT / "README.md").read_text("utf-8").split("## Your own data")[1].split("```")[1]
    lines = [line.partition("#")[0].split("tenstep ", 1)[1] for line in block.splitlines() if "tenstep " in line]
    assert [line.split()[0] for line in lines] == re.findall(r"(?m)^tenstep (\w+)", block) and len(lines) == 5
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    recipe = tmp_path / "examples" / "recipes" / "tiny.yaml"  # test_distill_line.py trains such a student to its end
    build(tmp_path / "base", [report(draw(seed)) for seed in range(40)])
    text = recipe.read_text("utf-8")
    recipe.write_text(text.replace("base: tiny\n", "base: base\n").replace("steps: 100\n", "steps: 2\n"))
    assert recipe.read_text("utf-8").count("base: base") == recipe.read_text("utf-8").count("steps: 2") == 1
    write_folders(tmp_path / "my-films", 30, size=64, defects=False)
    write_folders(tmp_path / "other-films", 4, size=64, first_seed=1000, defects=False)
    assert main(["ingest", "folders", "other-films", "--out", "unseen"]) == 0  # taken for granted
    for line in lines:
        assert main(shlex.split(line)) == 0, line
    assert (tmp_path / "student").is_dir() and (tmp_path / "runs" / "samples" / "samples.jsonl").exists()
