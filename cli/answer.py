"""`tenstep answer`: the questions of a file teacher, asked of a server, as a file of answers."""

import argparse
from pathlib import Path

from ..schemas.outcome import Outcome, Table
from .arguments import positive
from .progress import progress

_EPILOG = """\
examples:
  tenstep curate examples/recipes/by-file.yaml --studies studies --out runs/by-file     writes questions.jsonl
  tenstep answer runs/by-file --server http://127.0.0.1:8000/v1 --model google/medgemma-27b-it
  tenstep curate examples/recipes/by-file.yaml --studies studies --out runs/by-file     reads answers.jsonl

Repairs are new questions: answer and curate once more. The same command again asks only what has no answer yet. A
server elsewhere must be the endpoint that the recipe names (teachers.options.endpoint). For a model in the same job,
without a server, see examples/answer_vllm.py.
"""
_SHOWN = 5


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("answer", help="ask a server the questions of a file teacher", epilog=_EPILOG)
    parser.add_argument("path", type=Path, metavar="RUN")
    parser.add_argument("--server", required=True, metavar="URL", help="OpenAI-compatible, with /v1")
    parser.add_argument("--model", required=True, metavar="NAME", help="as the server calls it")
    parser.add_argument("--teacher", metavar="NAME", help="which of the recipe's, if several are of kind file")
    parser.add_argument("--concurrency", type=positive, default=64, metavar="N", help="requests under way (64)")
    parser.add_argument("--max-tokens", type=positive, default=4096, metavar="N", help="of an answer (4096)")
    parser.add_argument("--temperature", type=float, metavar="T", help="the server's own, if not given")
    parser.add_argument("--max-side", type=positive, default=1536, metavar="PIXELS", help="of an image (1536)")
    parser.add_argument("--key-env", metavar="NAME", help="the variable that holds the server's key, if it wants one")
    parser.set_defaults(run=_answer, json_keys=(frozenset({"answers", "answered"}),))


def _answer(args: argparse.Namespace) -> Outcome:
    from ..curation.answering import AnswerOptions, answer

    names = ("server", "model", "concurrency", "max_tokens", "temperature", "max_side", "key_env")
    options = AnswerOptions(**{name: getattr(args, name) for name in names})
    with progress(None, "answer") as bar:
        found = answer(args.path, options, teacher=args.teacher, on_answer=bar.advance)
    counts = {"answered now": found.answered, "answered before": found.before, "without an answer": len(found.failed)}
    rows = tuple((what, f"{n:,}") for what, n in counts.items())
    notes = [f"question {key[:12]}…: {reason}" for key, reason in found.failed[:_SHOWN]]
    if len(found.failed) > _SHOWN:
        notes.append(f"and {len(found.failed) - _SHOWN:,} more questions without an answer; --json names them")
    notes.append(f"{found.file}: take the answers in with the command that wrote the questions (tenstep curate)")
    return Outcome(
        payload={
            "answers": str(found.file),
            "answered": found.answered,
            "before": found.before,
            "failed": [{"id": key, "reason": reason} for key, reason in found.failed],
        },
        tables=(Table(title=f"answer {args.path}", columns=("", "questions"), rows=rows),),
        notes=tuple(notes),
        exit_code=2 if found.failed else 0,
    )
