"""The notebook of examples/ runs from its first cell to its last, in an empty folder."""

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "notebook.ipynb"


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("pandas", "datasets", "sklearn"):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    told = json.loads(NOTEBOOK.read_text("utf-8"))
    assert all(not cell.get("outputs") for cell in told["cells"])  # a notebook is committed without outputs
    names: dict[str, Any] = {}
    for cell in told["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert names["judged"]["accepted"].all()
    assert len(names["small"].selection.rows) == 8
    assert (tmp_path / "dataset" / "load.py").is_file()
