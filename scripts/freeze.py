"""Whether two checkouts of tenstep still say the same: verdicts, pages, the demo's examples, store columns, all --json.

    python scripts/freeze.py OLD NEW [--texts REPORTS.tgz|TEXTS.jsonl|FOLDER ...] [--traces AUDIT.jsonl ...] [--show 20]

OLD and NEW are checkouts (folders that hold `validators/`). The same inputs go through both, each in an interpreter
where `tenstep` is that checkout, mostly through the command line, so that moved modules do not matter. Inputs are the
corpus in OLD/tests, hostile texts made here, phantoms made by OLD, and what --texts (reports, read sentence by
sentence) and --traces (rows as `audit` reads them) name. Paths, times and memory are left out of what is compared.

Exit code 0: nothing differs; 1: something does, and each difference is printed. A difference is not an error by itself:
it has to be a named fault that was mended, or it is one that was made.
"""

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "${title} $style {{ 7*7 }} {% raw %}",
    "\x1b]0;title\x07\x1b[2Jcleared",
    "\u202eright to left\u2066",
    '"><svg/onload=alert(1)>',
    "&amp;&lt;",
    "a\x00b\u2028c",
)
_LEFT_OUT = re.compile(
    r"(?:^|_)(?:seconds|peak_mb|decided|made|started|finished|created|modified|at|sha256|code_version)$"
)
_STUDIES = 40  # phantoms, of which the defects make some rejected rows
_RUN = """
import json, sys
from pathlib import Path
out = Path(sys.argv[1])
from tenstep.data.demo.folders import write_folders
write_folders(out, int(sys.argv[2]))
"""
_COLUMNS = """
import json, sys
from pathlib import Path
import pyarrow.parquet as parquet
files = sorted(Path(sys.argv[1]).rglob("*.parquet"))
print(json.dumps({str(f.relative_to(sys.argv[1])): str(parquet.read_schema(f).remove_metadata()) for f in files}))
"""


class Checkout:
    """One version of tenstep, and the folder in which its outputs lie."""

    def __init__(self, root: Path, out: Path) -> None:
        self.root, self.out = root.resolve(), out
        (out / "path").mkdir(parents=True)
        (out / "path" / "tenstep").symlink_to(self.root)
        self._env = os.environ | {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(out / "path"),
            "PYTHONHASHSEED": "0",
            "COLUMNS": "120",
        }

    def python(self, code: str, *words: object) -> str:
        """What a snippet prints."""
        command = [sys.executable, "-c", code, *map(str, words)]
        done = subprocess.run(command, check=False, env=self._env, cwd=self.out, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{self.root}: {done.stderr[-2000:]}")
        return done.stdout

    def tenstep(self, *words: object) -> Any:
        """What a command prints as JSON: an object, or a list where it prints one object a line."""
        command = [sys.executable, "-m", "tenstep", *map(str, words), "--json"]
        done = subprocess.run(command, check=False, env=self._env, cwd=self.out, capture_output=True, text=True)
        try:
            found = [json.loads(line) for line in done.stdout.split("\n") if line]
        except ValueError:
            found = [done.stdout[-500:], done.stderr[-500:]]
        return {"exit": done.returncode, "said": found[0] if len(found) == 1 else found}

    def record(self, inputs: Path) -> dict[str, Any]:
        """Everything that is compared, by a name for each part."""
        said: dict[str, Any] = {}
        for file in sorted(inputs.glob("*.findings.jsonl")):
            said[f"findings {file.name}"] = self.tenstep("findings", file)
        for file in sorted(inputs.glob("*.traces.jsonl")):
            page = self.out / f"{file.stem}.html"
            said[f"audit {file.name}"] = self.tenstep("audit", file, "--html", page)
            said[f"audit page {file.name}"] = _text(page)
        both = sorted(inputs.glob("*.traces.jsonl"))[:2]
        said["audit of two"] = self.tenstep("audit", *both, "--html", self.out / "two.html")
        said["audit page of two"] = _text(self.out / "two.html")
        said["agreement"] = self.tenstep("agreement", inputs / "one.ratings.jsonl", inputs / "two.ratings.jsonl")
        said["sections"] = self.tenstep("sections", inputs / "report.txt")
        self._line(inputs, said)
        for words in ((), ("audit", "absent"), ("status", "absent"), ("nonsense",), ("ingest", "x", "y", "--out", "z")):
            said[f"error of {' '.join(words) or 'nothing'}"] = self.tenstep(*words)
        return said

    def _line(self, inputs: Path, said: dict[str, Any]) -> None:
        """The demo's line up to the student, and its store and tables."""
        options = ("--form", "four-header", "--data-class", "public", "--workers", "1")
        said["ingest"] = self.tenstep("ingest", "folders", inputs / "films", *options, "--out", "studies")
        said["store columns"] = json.loads(self.python(_COLUMNS, self.out / "studies"))
        said["split"] = self.tenstep("split", "studies", "--out", "splits.yaml")
        recipe = self.root / "data" / "demo" / "curate.yaml"
        said["curate"] = self.tenstep("curate", recipe, "--studies", "studies", "--out", "run")
        for name in ("accepted", "rejected"):
            lines = (self.out / "run" / f"{name}.jsonl").read_text("utf-8").splitlines()
            said[f"{name}.jsonl of the demo"] = [json.loads(line) for line in lines]
        for command in ("status", "recheck", "audit"):
            said[f"{command} of the demo"] = self.tenstep(command, "run")
        said["review of the demo"] = self.tenstep("review", "run")
        for name in ("audit", "review"):
            said[f"{name} page of the demo"] = _text(self.out / "run" / f"{name}.html")


def _text(file: Path) -> str:
    """A page with a line for each tag, so that differences can be read."""
    text = file.read_text("utf-8") if file.is_file() else "(no such page)"
    text = re.sub(r"data:image/[^\"]{80,}", lambda found: f"data:{zlib.crc32(found[0].encode()):08x}", text)
    text = text.replace("&#39;", "&#x27;").replace("&#34;", "&quot;")  # two ways to escape the same
    return re.sub(r"(?<=>)\s*(?=<)", "\n", text)


def _inputs(folder: Path, old: Checkout, texts: list[Path], traces: list[Path]) -> None:
    """The same inputs for both, made once."""
    corpus = old.root / "tests" / "corpus"
    sentences = [json.loads(line) for line in (corpus / "sentences.jsonl").read_text("utf-8").splitlines()]
    spoken = [row.get("text") or row.get("sentence") or json.dumps(row, ensure_ascii=False) for row in sentences]
    _write(folder / "corpus.findings.jsonl", ({"id": str(n), "text": text} for n, text in enumerate(spoken)))
    reports = [json.loads(line) for line in (corpus / "reports.jsonl").read_text("utf-8").splitlines()]
    by_study = {row.get("id") or row.get("study"): row.get("report") or row.get("text") for row in reports}
    rows = []
    for n, line in enumerate((corpus / "traces.jsonl").read_text("utf-8").splitlines()):
        row = json.loads(line)
        report = by_study.get(row["study"]) or ""
        steps = "\n".join(f"{at}. {text}" for at, text in enumerate(row["steps"], 1))
        rows.append({"id": f"{row['study']}-{n}", "text": f"{steps}\n\n{report}", "reference_report": report})
        rows.append({"id": f"{row['study']}-{n}-bare", "text": f"{steps}\n\n{report}", "patient_id": row["study"]})
    _write(folder / "corpus.traces.jsonl", rows)
    _write(folder / "hostile.traces.jsonl", _hostile(rows[0]))
    for at, name in enumerate(("one", "two")):
        rated = ({"id": f"s{n}", "patient_id": f"p{n // 2}", "coherence": (n * (at + 2)) % 5 + 1} for n in range(24))
        _write(folder / f"{name}.ratings.jsonl", rated)
    (folder / "report.txt").write_text("FINAL REPORT\n FINDINGS: Clear.\n\n IMPRESSION: Normal.\n", "utf-8")
    old.python(_RUN, folder / "films", _STUDIES)
    distinct = dict.fromkeys(sentence for path in texts for sentence in _sentences(path))
    if distinct:
        _write(folder / "given.findings.jsonl", ({"id": str(n), "text": text} for n, text in enumerate(distinct)))
    for path in traces:
        (folder / f"{path.stem}.traces.jsonl").write_bytes(path.read_bytes())


def _hostile(good: dict[str, str]) -> Iterator[dict[str, Any]]:
    for n, text in enumerate(_HOSTILE):
        yield good | {"id": f"{n} {text}"}
        yield good | {"id": f"t{n}", "text": good["text"].replace(".", f" {text}.", 3), "split": text}
        yield good | {"id": f"r{n}", "reference_report": f"Findings: {text}\nImpression: {text}", "patient_id": text}
        yield {"id": f"w{n}", "text": text}
        yield {"id": f"v{n}", "text": good["text"], "views": [text], "labels": {text: "present"}}


def _sentences(path: Path) -> Iterator[str]:
    for text in _texts(path):
        yield from (found.strip() for found in re.split(r"(?<=[.!?])\s+", text) if found.strip())


def _texts(path: Path) -> Iterator[str]:
    """Reports of Open-i's archive, the `text` or `report` of JSON lines, or every .txt and .xml of a folder."""
    if path.is_dir():
        yield from (one.read_text("utf-8", "replace") for one in sorted(path.rglob("*.txt")))
    elif path.name.endswith((".tgz", ".tar.gz", ".tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name.endswith(".xml") and (stream := archive.extractfile(member)):
                    found = re.findall(r"<AbstractText[^>]*>([^<]+)<", stream.read().decode("utf-8", "replace"))
                    yield from found
    else:
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            yield str(row.get("text") or row.get("report") or "")


def _write(path: Path, rows: Any) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _plain(found: Any, out: str) -> Any:
    """Without what differs between any two runs."""
    if isinstance(found, dict):
        kept = {key: value for key, value in found.items() if not _LEFT_OUT.search(key)}
        return {key.replace(out, "OUT"): _plain(value, out) for key, value in kept.items()}
    if isinstance(found, list):
        return [_plain(one, out) for one in found]
    return re.sub(r"\d+(?:\.\d+)? s\b", "TIME", found.replace(out, "OUT")) if isinstance(found, str) else found


def _lines(found: Any) -> list[str]:
    return (found if isinstance(found, str) else json.dumps(found, indent=1, ensure_ascii=True)).splitlines()


def main() -> int:
    """Compare two checkouts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--texts", type=Path, nargs="+", default=[])
    parser.add_argument("--traces", type=Path, nargs="+", default=[])
    parser.add_argument("--show", type=int, default=20, metavar="N", help="lines of each difference (20)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder).resolve()
        (top / "in").mkdir()
        old, new = Checkout(args.old, top / "old"), Checkout(args.new, top / "new")
        _inputs(top / "in", old, args.texts, args.traces)
        said = [_plain(one.record(top / "in"), str(one.out)) for one in (old, new)]
    differing = 0
    for name in dict.fromkeys((*said[0], *said[1])):
        before, after = _lines(said[0].get(name)), _lines(said[1].get(name))
        changed = list(difflib.unified_diff(before, after, "old", "new", lineterm="", n=1))
        print(f"{'same' if not changed else 'DIFFERENT':10} {name} ({len(before):,} lines)")
        differing += bool(changed)
        print("".join(f"    {line[:300]}\n" for line in changed[: args.show]), end="")
        if len(changed) > args.show:
            print(f"    and {len(changed) - args.show:,} more lines")
    print(f"{differing} of {len(said[0])} parts differ")
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
