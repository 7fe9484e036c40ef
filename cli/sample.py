"""`tenstep sample`: sample a student, or a base, on studies, and judge its answers."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table
from .arguments import not_negative, penalty, positive
from .progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..data.store.studies import StudyStore
    from ..schemas.candidate import Candidate
    from ..schemas.run import Manifest
    from ..schemas.sample_recipe import SampleRecipe, Served
    from ..schemas.verdict import Verdict

_SAMPLE = """\
examples:
  tenstep sample student --studies unseen --out runs/sample                      greedy, one answer a study
  tenstep sample student --studies unseen --out runs/hot --temperature 0 0.7 1 --n 4
  tenstep sample student --studies unseen --out runs/report --prompt report-only
  tenstep sample merged --studies unseen --out runs/merged                       merged weights, as they are stored
  tenstep sample BASE --quantize nf4 --studies unseen --out runs/base            the base itself: a zero-shot baseline
  tenstep sample merged --studies unseen --out runs/served --server http://127.0.0.1:8000/v1      vllm serve merged
  torchrun --nproc_per_node 4 -m tenstep sample student --studies unseen --out runs/sample        on four GPUs
  tenstep sample student --studies unseen --out runs/sample --redo failed
  tenstep curate RECIPE --studies failed --out runs/again                        what it failed on, curated again

the same command again continues: answers that are there are not sampled again
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep sample`."""
    sample = commands.add_parser(
        "sample", help="sample a student or a base on studies, and judge its answers", epilog=_SAMPLE
    )
    sample.add_argument("model", type=Path, metavar="MODEL", help="what tenstep distill or merge wrote, or a base")
    sample.add_argument("--studies", type=Path, required=True, metavar="STORE", help="a study store")
    sample.add_argument(
        "--out", type=Path, required=True, metavar="RUN", help="the run folder; an old one is continued"
    )
    sample.add_argument(
        "--temperature", type=not_negative, nargs="+", default=[0.0], metavar="T", help="0 is greedy (0)"
    )
    sample.add_argument(  # --answers, because torchrun takes --n for one of its own
        "--n",
        "--answers",
        dest="n",
        type=positive,
        default=1,
        metavar="N",
        help="answers per study and temperature (1)",
    )
    sample.add_argument(
        "--prompt",
        metavar="NAME",
        help="ten-steps or report-only, or either with -verbatim (what it was trained with; a base: ten-steps)",
    )
    sample.add_argument("--revision", metavar="COMMIT", help="of a base on the hub: 40 hex digits")
    sample.add_argument("--quantize", choices=("nf4", "none"), help="of a base (none); a student has its own")
    sample.add_argument(
        "--redo", type=Path, metavar="STORE", help="write answered studies without an accepted answer here, for curate"
    )
    sample.add_argument("--seed", type=int, default=0)
    sample.add_argument("--max-new-tokens", type=positive, metavar="N", help="what it was trained for (a base: 1,024)")
    sample.add_argument("--limit", type=positive, metavar="N", help="only the first N studies")
    sample.add_argument("--batch", type=positive, default=8, metavar="N", help="answers at once, of each process (8)")
    sample.add_argument(
        "--repetition-penalty",
        type=penalty,
        default=1.0,
        metavar="P",
        help="of tokens that the answer has already (1: none)",
    )
    server = sample.add_argument_group("through a server of OpenAI's chat completions, which serves MODEL")
    server.add_argument(
        "--server", nargs="+", metavar="URL", help="with /v1; several serve the same weights, --batch requests each"
    )
    server.add_argument("--served-model", metavar="NAME", help="its name there, if the server has several")
    server.add_argument("--key-env", metavar="NAME", help="the variable that holds the server's key")
    server.add_argument(
        "--attestation", action="append", default=[], metavar="FILE", help="for restricted data to other machines"
    )
    sample.set_defaults(run=_sample, json_keys=(frozenset({"run", "samples"}),))


def _sample(args: argparse.Namespace) -> Outcome:
    from ..data.store.studies import StudyStore
    from ..distill.redo import redo
    from ..distill.sample import count, plan, sample
    from ..distill.together import Answering

    store = StudyStore.open(args.studies)
    if args.redo is not None and args.redo.exists():
        raise InputError("exists; name a new folder for the failed studies", file=args.redo)
    if args.server is None and (given := [n for n in ("served_model", "key_env", "attestation") if getattr(args, n)]):
        raise InputError("is about a server; name it with --server", field=f"--{given[0].replace('_', '-')}")
    recipe = plan(
        args.model,
        name=args.out.name,
        temperatures=args.temperature,
        n=args.n,
        max_new_tokens=args.max_new_tokens,
        limit=args.limit,
        seed=args.seed,
        prompt=args.prompt,
        revision=args.revision,
        quantize=args.quantize,
        repetition_penalty=args.repetition_penalty,
        served=None if args.server is None else _served(args),
    )
    if args.server is None and not (answering := Answering(recipe, args.batch)).first:
        answering.help()  # one of torchrun's other processes: the first asks, writes and reports
        return Outcome(payload={})
    total = min(len(store), args.limit or len(store)) * args.n * len(recipe.temperatures)
    seen = dict.fromkeys(("accept", "doubt", "reject"), 0)
    with progress(total, "sample") as bar:

        def on_judged(_candidate: object, verdict: "Verdict") -> None:
            seen[verdict.outcome] += 1
            bar.advance(accepted=seen["accept"], doubted=seen["doubt"], rejected=seen["reject"])

        if args.server is None:
            manifest = sample(recipe, store, args.out, batch=args.batch, on_judged=on_judged)
            ended = "data"
        else:
            manifest, ended = _ask_server(args, recipe, store, on_judged)
    counts = manifest.counts
    by = count(args.out)
    failed = redo(args.out, args.redo) if args.redo is not None else None
    rows = [
        (
            str(temperature),
            str(found.answers),
            *(str(value or "-") for value in (found.well_formed, found.accepted, found.grounded, found.coverage)),
        )
        for temperature, found in by.items()
    ]
    notes = [f"{args.out}: samples.jsonl, journal.db; look at them with: tenstep review {args.out}"]
    if failed:
        notes.append(
            f"{args.redo}: {failed} studies to teach again: tenstep curate RECIPE --studies {args.redo} --out RUN"
        )
    elif failed == 0:
        notes.append("every study that was answered has an accepted answer, so there is nothing to do again")
    if missing := sum(counts.get(state, 0) for state in ("failed", "unknown", "refused")):
        notes.append(f"{missing} have no answer; say why: tenstep errors {args.out}")
    if ended != "data":
        notes.insert(0, f"ended before everything was asked ({ended}); the same command again continues")
    elif not counts["sampled"]:
        notes.insert(0, "nothing to do: every question has its answer in the journal")
    payload = {
        "run": str(args.out),
        "weights": recipe.weights,
        "samples": counts["attempts"],
        "sampled": counts["sampled"],
        "failed": counts.get("failed", 0),
        "well_formed": counts["well_formed"],
        "accepted": counts["accepted_answers"],
        "redo": failed,
        "temperatures": {
            str(temperature): {
                name: value if value is None or isinstance(value, int) else value._asdict()
                for name, value in found._asdict().items()
            }
            for temperature, found in by.items()
        },
        "seconds": manifest.seconds,
    }
    columns = ("temperature", "answers", "well-formed", "accepted", "grounded", "coverage")
    return Outcome(
        payload=payload,
        tables=(Table(title=f"sample: {recipe.weights}", columns=columns, rows=tuple(rows)),),
        notes=tuple(notes),
        exit_code=0 if ended == "data" else 1,
    )


def _served(args: argparse.Namespace) -> "Served":
    """Where the student is served, and under which name."""
    from ..curation.served import models_of
    from ..schemas.sample_recipe import Served

    name = args.served_model
    if name is None:
        names = models_of(args.server[0], args.key_env)
        if len(names) != 1:
            raise InputError(f"the server has {', '.join(names) or 'no model'}; say which", field="--served-model")
        name = names[0]
    return Served(url=args.server[0], model=name)


def _ask_server(
    args: argparse.Namespace,
    recipe: "SampleRecipe",
    store: "StudyStore",
    on_judged: "Callable[[Candidate, Verdict], object]",
) -> "tuple[Manifest, str]":
    from ..curation.served import Asked, sample_served
    from ..distill.models import model_of, prompt_of

    model, prompt = model_of(recipe), prompt_of(recipe)
    manifest, tally = sample_served(
        recipe,
        Asked(model.name, model.model, prompt.name, prompt.sha256, prompt.text, prompt.steps),
        store,
        args.out,
        urls=args.server,
        key_env=args.key_env,
        attestations=args.attestation,
        concurrency=args.batch,
        on_judged=on_judged,
    )
    return manifest, tally.ended or "data"
