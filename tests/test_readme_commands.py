"""The README's lines for one's own data are run as they stand there, one after the other."""

import re
import shlex
from pathlib import Path

import pytest
from tenstep.__main__ import main
from tenstep.data.demo.folders import write_folders

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_ones_own_data_goes_from_films_to_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = (ROOT / "README.md").read_text("utf-8").split("## Your own data")[1].split("```")[1]
    lines = [line.partition("#")[0].split("tenstep ", 1)[1] for line in block.splitlines() if "tenstep " in line]
    assert [line.split()[0] for line in lines] == re.findall(r"(?m)^tenstep (\w+)", block) and len(lines) == 5
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    write_folders(tmp_path / "my-films", 30, size=64, defects=False)
    write_folders(tmp_path / "other-films", 4, size=64, first_seed=1000, defects=False)
    assert main(["ingest", "folders", "other-films", "--out", "unseen"]) == 0  # taken for granted
    for line in lines:
        assert main(shlex.split(line)) == 0, line
    assert (tmp_path / "student").is_dir() and (tmp_path / "runs" / "samples" / "samples.jsonl").exists()
