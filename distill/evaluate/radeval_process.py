"""One process of RadEval's environment: reads pairs, loads each model once, writes every pair's scores.

It is run as a file, by radeval.py, and imports nothing of ours: only radeval, which this Python must have. Its lines
are those that external.py describes. No connection leaves the machine: an attempt is an error. What the libraries print
goes to standard error. Written against radeval 2.2.1, by its scorers' own arguments (its top class takes no folders).
"""

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Found = dict[str, Sequence[float]]


def radgraph(folders: Sequence[str], references: list[str], hypotheses: list[str]) -> Found:
    """RadGraph-F1 at its three levels: entities; with relations or not; with all relations."""
    module = importlib.import_module("radeval.metrics.radgraph")
    scorer = module.F1RadGraph(
        reward_level="all", model_type="radgraph-xl", model_cache_dir=str(Path(folders[0]).parent)
    )
    levels = scorer(refs=references, hyps=hypotheses)[1]
    return {f"RadGraph-F1 {kind}": levels[at] for at, kind in enumerate(("simple", "partial", "complete"))}


def ratescore(folders: Sequence[str], references: list[str], hypotheses: list[str]) -> Found:
    """RaTEScore; 0.5 where no entity is found, as in its package."""
    module = importlib.import_module("radeval.metrics.RaTEScore.scorer")
    scorer = module.RaTEScore(bert_model=folders[0], eval_model=folders[1])
    return {"RaTEScore": scorer.compute_score(candidate_list=hypotheses, reference_list=references)[0]}


def green(folders: Sequence[str], references: list[str], hypotheses: list[str]) -> Found:
    """GREEN."""
    module = importlib.import_module("radeval.metrics.green_score.green")
    return {"GREEN": module.GREEN(folders[0], output_dir=".")(references, hypotheses)[2]}


_SCORERS: dict[str, Callable[[Sequence[str], list[str], list[str]], Found]] = {
    "radgraph": radgraph,
    "ratescore": ratescore,
    "green": green,
}


def main() -> int:
    """Score what stands on standard input; the last line of standard error says what went wrong."""
    asked = json.loads(sys.argv[1])
    rows = [json.loads(line) for line in sys.stdin if line.strip()]
    # alike lengths together, for scorers that fill up a batch to its longest text
    rows.sort(key=lambda row: len(row["hypothesis"]) + len(row["reference"]))
    spoken = [row for row in rows if row["hypothesis"].strip()]
    references, hypotheses = [row["reference"] for row in spoken], [row["hypothesis"] for row in spoken]
    answers: dict[str, dict[str, float]] = {row["id"]: {} for row in rows}
    heads: list[dict[str, Any]] = []
    with _stdout_kept() as out:
        sys.addaudithook(_refuse_network)
        try:
            version = _version()
            for name, folders in asked["folders"].items():
                for score, values in _SCORERS[name](folders, references, hypotheses).items():
                    if len(values) != len(spoken):
                        raise ValueError(f"{score}: {len(values)} scores for {len(spoken)} pairs")
                    described = f"weights {asked['weights'][name]}; an empty hypothesis scores 0"
                    heads.append({"name": score, "version": version, "preprocessing": described})
                    for row in rows:
                        answers[row["id"]][score] = 0.0
                    for row, value in zip(spoken, values, strict=True):
                        answers[row["id"]][score] = float(value)
        except Exception as error:  # noqa: BLE001  whatever a library raises is said in one line
            sys.stderr.write(f"\n{type(error).__name__}: {' '.join(str(error).split())[:280]}\n")
            return 1
        for head in heads:
            out.write(json.dumps(head) + "\n")
        for id_, scores in answers.items():
            out.write(json.dumps({"id": id_, "scores": scores}) + "\n")
    return 0


def _version() -> str:
    if importlib.util.find_spec("radeval") is None:
        raise ModuleNotFoundError(
            f"radeval is not installed for {sys.executable}; make an environment with: pip install radeval, and name "
            "its Python with --radeval-python"
        )
    # radeval 2.2.1 imports parts of itself as RadEval, which file systems that tell capitals do not find
    if importlib.util.find_spec("RadEval") is None:
        sys.modules["RadEval"] = importlib.import_module("radeval")
    try:
        return importlib.metadata.version("radeval")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@contextlib.contextmanager
def _stdout_kept() -> Any:
    """Standard output for the answers alone; prints of the libraries go to standard error."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        yield out


def _refuse_network(event: str, args: tuple[Any, ...]) -> None:
    """Local sockets, which processes of one machine use among themselves, have a path and no port."""
    if event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        raise PermissionError("a connection was tried, and nothing may be fetched or sent: weights are missing")
    if event == "socket.getaddrinfo":
        raise PermissionError(f"'{args[0]}' was looked up, and nothing may be fetched: weights are missing")


if __name__ == "__main__":
    sys.exit(main())
