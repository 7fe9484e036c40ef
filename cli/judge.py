"""`tenstep judge`: a model of another family scores the traces of a run; it adds findings, and accepts nothing."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..schemas.errors import InputError, cannot_be_read
from ..schemas.outcome import Outcome, Table
from ..schemas.verdict import Severity
from .arguments import positive
from .progress import progress

if TYPE_CHECKING:
    from ..curation.amend import Rechecked
    from ..curation.judging.judge import Judging

_EPILOG = """\
examples:
  tenstep judge runs/mine judge.yaml --limit 20
  tenstep agreement runs/mine/judge/reader/judgements.jsonl radiologist.jsonl --json agreement.json
  tenstep judge runs/mine judge.yaml --agreement agreement.json      now low scores may reject

judge.yaml:
  kind: judge
  name: reader
  judges: [{kind: openai, options: {model: gpt-5.5}}]
  repeats: 2
  budget: {usd: 5}

The questions are in curation/judging/judge.yaml. Scores are warnings in the run's verdicts until the judge's agreement
with people has been measured. The same command again sends no request that was answered.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("judge", help="let a model of another family score a run's traces", epilog=_EPILOG)
    parser.add_argument("path", type=Path, metavar="RUN")
    parser.add_argument("recipe", type=Path, metavar="RECIPE")
    parser.add_argument("--limit", type=positive, metavar="N", help="only N traces, drawn by the recipe's seed")
    parser.add_argument(
        "--agreement", type=Path, metavar="FILE", help="what tenstep agreement --json wrote: low scores may then reject"
    )
    parser.set_defaults(run=_judge, json_keys=(frozenset({"judge", "traces"}),))


def _judge(args: argparse.Namespace) -> Outcome:
    from ..curation.judging.judge import judge_run
    from ..curation.judging.recipe import JudgeRecipe
    from ..curation.judging.rubric import Rubric
    from ..curation.teacher import load
    from ..data.recipes import read_recipe

    recipe = read_recipe(args.recipe, JudgeRecipe)
    if args.limit is not None:
        recipe = JudgeRecipe.model_validate(recipe.model_dump() | {"limit": args.limit})
    rubric = Rubric(recipe.rubric)  # one that cannot be read is refused before anything is asked
    severities = _severities(args.agreement, rubric.dimensions) if args.agreement else {}
    judges = [load(spec) for spec in recipe.judges]
    with progress(None, "judge") as bar:
        found, changed = judge_run(
            args.path,
            recipe,
            judges,
            severities=severities,
            on_trace=lambda t: bar.advance(accepted=t.accepted, rejected=t.rejected, spend_usd=t.spend_usd),
        )
    return _outcome(args.path / "judge" / recipe.name, found, changed, severities)


def _severities(path: Path, dimensions: tuple[str, ...]) -> dict[str, Severity]:
    from ..curation.judging.judge import rejecting

    try:
        return rejecting(json.loads(path.read_text("utf-8")), dimensions)
    except OSError as error:
        raise InputError(cannot_be_read(error), file=path) from None
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise InputError("is not what `tenstep agreement --json` writes; write it with that", file=path) from None


def _outcome(folder: Path, found: "Judging", changed: "Rechecked", severities: dict[str, Severity]) -> Outcome:
    import statistics

    tally, stable = found.tally, found.stability()
    rows, dimensions = [], dict[str, Any]()
    for name, alpha in stable.items():
        medians = [one.medians()[name] for one in found.traces if one.marks]
        low = sum(f"judge_{name}" == f.code for one in changed.changed for f in one.came)
        mean = statistics.fmean(medians) if medians else None
        said = "not defined" if alpha.value is None else f"{alpha.value:.2f}"
        may = "rejects" if name in severities else "warns"
        rows.append((name, "" if mean is None else f"{mean:.2f}", said, f"{low}, {may}"))
        dimensions[name] = {"mean": mean, "self_agreement": alpha._asdict(), "new_findings": low, "severity": may}
    judged = sum(bool(one.marks) for one in found.traces)
    notes = [
        f"{judged} of {len(found.traces)} traces have a judgement; asked {tally.asked}, "
        f"answers from the journal {tally.recalled}, "
        f"unreadable {found.unreadable}, no answer {tally.unknown + tally.failed + tally.refused}; "
        f"spend {'unknown' if tally.spend_usd is None else f'${tally.spend_usd:.2f}'}; {tally.budget}",
        f"{folder / 'judgements.jsonl'}: every score with its citation; compare it with people's: tenstep agreement",
    ]
    notes += tally.notes
    if tally.ended != "data":
        notes.insert(0, f"ended before every trace was judged ({tally.ended}); the same command again goes on")
    if not severities:
        notes.append("how far this judge agrees with people has not been measured: its findings are warnings")
    if not judged and not tally.waiting:
        why = next((reason for one in found.traces for reason in one.unreadable), "no request was answered")
        notes.insert(0, f"no trace was judged: {why}")
    return Outcome(
        payload={
            "judge": str(folder),
            "traces": len(found.traces),
            "judged": judged,
            "waiting": tally.waiting,
            "asked": tally.asked,
            "recalled": tally.recalled,
            "unreadable": found.unreadable,
            "no_answer": tally.unknown + tally.failed + tally.refused,
            "spend_usd": tally.spend_usd,
            "ended": tally.ended,
            "dimensions": dimensions,
            "now_rejected": sum(one.now == "reject" for one in changed.flipped),
        },
        tables=(
            Table(title="judge", columns=("question", "mean", "agrees with itself", "new findings"), rows=tuple(rows)),
        ),
        notes=tuple(notes),
        exit_code=0 if judged or tally.waiting else 1,
    )
