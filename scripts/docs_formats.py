"""The page of data formats: every file of every folder that tenstep writes, with real lines of a small run.

What a folder holds is read from the docstring of the module that writes it. The lines are those of a run over a few
phantoms, made when the page is made; long texts and lists are cut.
"""

import ast
import contextlib
import importlib
import io
import json
import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (
    ("Study store", "Written by `tenstep ingest`.", ("data/store/studies.py",)),
    (
        "Run folder",
        "Written by `tenstep curate` and `tenstep sample`. In every table, studies come in the order of the study "
        "store, and several candidates of one study in the order of their answers. So the same answers make the same "
        "tables, whichever arrived first.",
        ("data/tables.py", "data/run.py"),
    ),
    ("Selection", "Written by `tenstep select`.", ("curation/selecting/writing.py",)),
    ("Student", "Written by `tenstep distill`.", ("distill/train/folder.py",)),
    ("Merged student", "Written by `tenstep merge`.", ("distill/publish/merge_card.py",)),
    ("Evaluation", "Written by `tenstep evaluate`.", ("distill/evaluate/table.py",)),
    ("Ablation", "Written by `tenstep ablate`.", ("distill/ablate/ablation.py",)),
    (
        "Export",
        "Written by `tenstep export` and `tenstep join`.",
        ("data/exporting.py", "distill/publish/dataset_card.py"),
    ),
    ("audit.json", "Written by `tenstep audit --json`, and into a run folder. Its keys:", ("curation/audit.py",)),
)
# which file of the small run holds which record
RECORDS = {
    "studies/rejected.jsonl": ("RejectedRow",),
    "run/manifest.json": ("Manifest",),
    "run/accepted.jsonl": ("Example",),
    "run/doubted.jsonl": ("Candidate", "Verdict"),
    "run/rejected.jsonl": ("Candidate", "Verdict"),
    "selection/selection.json": ("Selection",),
}
_RECIPE = """\
kind: curate
name: example
teachers:
  - kind: scripted
    options: {mistakes: [nine_steps, other_side], share: 0.8, stubborn: 1.0}
repair: {attempts: 1, feed: [errors]}
"""
_LONGEST, _MOST = 100, 2  # characters of a text, items of a list


def folders() -> Iterator[str]:
    """What every folder holds."""
    for title, what, modules in FOLDERS:
        yield f"\n## {title}\n\n{what}\n\n| {'key' if title == 'audit.json' else 'file'} | what it holds |\n|---|---|"
        for module in modules:
            yield from (f"| `{name}` | {about} |" for name, about in _listing(module))


def exports() -> Iterator[str]:
    """What each kind of export writes."""
    yield "\n## Kinds of export\n\n| kind | form | files of its own |\n|---|---|---|"
    for file in sorted((ROOT / "data" / "exporters").glob("[a-z]*.py")):
        module = importlib.import_module(f"tenstep.data.exporters.{file.stem}")
        kind = file.stem.replace("_", "-")
        about = " ".join((module.__doc__ or "").split("\n\n")[0].split()).partition(": ")[2]
        files = " ".join((module.write.__doc__ or "").split())
        yield f"| `{kind}` | {about} | {files} |".replace("``", "`")
    yield ""


def unpublished() -> Iterator[type[BaseModel]]:
    """Records that only tenstep reads: described here, without a published schema."""
    from tenstep.curation.verifying.calibration import Calibration
    from tenstep.distill.publish.merge_card import MergedCard
    from tenstep.distill.train.run_card import RunCard
    from tenstep.schemas.attribution import Attributed
    from tenstep.schemas.evaluation import Evaluation

    yield from (Calibration, RunCard, MergedCard, Evaluation, Attributed)


def lines() -> Iterator[str]:
    """A line of each file, from a small run."""
    yield "\n## One line of each file\n"
    yield (
        f"From a run over a few phantoms; texts are cut after {_LONGEST} characters, and lists after {_MOST} items. "
        "`doubted.jsonl`, `rejected.jsonl` and `samples.jsonl` have the same form.\n"
    )
    for name, text in _example().items():
        nouns = [f"[{noun}](#{noun.lower()})" for noun in RECORDS.get(name, ())]
        yield f"### {name}\n"
        if name == "run/recipe.yaml":
            yield "[Its keys](recipes.md#kind-curate).\n"
        if nouns:
            yield f"Record: {', '.join(nouns)}\n"
        yield f"```{'yaml' if name.endswith('.yaml') else 'json'}\n{text.strip()}\n```\n"


def _listing(module: str) -> Iterator[tuple[str, str]]:
    """The lines `name   what it is` of a module's docstring."""
    text = ast.get_docstring(ast.parse((ROOT / module).read_text("utf-8"))) or ""
    for line in text.splitlines():
        found = re.fullmatch(r"(?:    )?([\w*./<>-]+(?: \.\w+)*)  +(\S.*)", line)
        if found and found[1] != "*.jsonl":  # the tables have a listing of their own
            about = re.sub(r" \((?:see )?[\w/]+\.py\)", "", found[2])
            yield found[1], about.replace("|", "\\|")


@cache
def _example() -> dict[str, str]:
    from tenstep.__main__ import main
    from tenstep.data.demo.folders import write_folders

    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name)
        write_folders(folder / "films", 12, size=64)
        (folder / "recipe.yaml").write_text(_RECIPE)
        studies, run = str(folder / "studies"), folder / "run"
        for words in (
            [
                "ingest",
                "folders",
                str(folder / "films"),
                "--form",
                "four-header",
                "--data-class",
                "public",
                "--out",
                studies,
            ],
            ["curate", str(folder / "recipe.yaml"), "--studies", studies, "--out", str(run), "--workers", "0"],
            ["audit", str(run), "--json", str(folder / "audit.json")],
            ["select", str(run), "--n", "2", "--out", str(folder / "selection")],
        ):
            if main(words):
                raise RuntimeError(f"tenstep {' '.join(words)} failed")
        found = {"studies/rejected.jsonl": _first(folder / "studies" / "rejected.jsonl", name)}
        found["run/recipe.yaml"] = (run / "recipe.yaml").read_text("utf-8").replace(name, "")
        for file in ("manifest.json", "accepted.jsonl", "doubted.jsonl", "rejected.jsonl"):
            found[f"run/{file}"] = _first(run / file, name)
        found["audit.json"] = _first(folder / "audit.json", name)
        found["selection/selection.json"] = _first(folder / "selection" / "selection.json", name)
        found["selection/removed.jsonl"] = _first(folder / "selection" / "removed.jsonl", name)
    return found


def _first(path: Path, folder: str) -> str:
    """The first record of a file, laid out, without this machine's paths."""
    text = path.read_text("utf-8").replace(folder, "")
    record = json.loads(text if path.suffix == ".json" else text.split("\n", 1)[0])
    return json.dumps(_cut(record), indent=1, ensure_ascii=False)


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(one) for key, one in value.items()}
    if isinstance(value, list):
        rest = [f"... {len(value)} in all"] if len(value) > _MOST else []
        return [*map(_cut, value[:_MOST]), *rest]
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}..."
    return value
