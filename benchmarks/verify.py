"""How far rules and a verifier go together, on labelled traces: `python -m benchmarks.verify [FILE]`.

The traces stand in a run folder; the verifier answers through `file`, as the labels say, but for a share of wrong
answers, drawn by a seed. So the figures show the cascade, and what a verifier that is so often right would make of it;
they say nothing of any model. FILE has the form of curation/verifying/labelled.jsonl, which is the default.
"""

import argparse
import contextlib
import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tenstep.curation.verifying.answer import keys
from tenstep.curation.verifying.calibration import Decision, Seen, calibration
from tenstep.curation.verifying.labelled import LabelledTrace, labelled_set
from tenstep.curation.verifying.question import VerifierPrompt
from tenstep.curation.verifying.recipe import VerifyRecipe
from tenstep.curation.verifying.verify import verify_run
from tenstep.data.run import RunFolder
from tenstep.data.statistics import wilson
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe, Reach
from tenstep.schemas.verdict import Outcome
from tenstep.validators.gate import judge
from tenstep.validators.reading import read_candidate

OUTCOMES: tuple[Outcome, ...] = ("accept", "doubt", "reject")


def run_of(traces: Sequence[LabelledTrace], folder: Path) -> Path:
    """A run whose candidates are the labelled traces, judged by the rules."""
    with StudyStore.create(folder / "studies", "labelled") as writer:
        for at, trace in enumerate(traces):
            writer.add(trace.study.model_copy(update={"id": f"labelled/{at}", "patient_id": str(at)}))
    store = StudyStore.open(folder / "studies")
    recipe = CurateRecipe.model_validate({"kind": "curate", "name": "b", "teachers": [{"kind": "scripted"}]})
    with RunFolder.open(folder / "run", kind="curate", recipe=recipe, studies=store) as run:
        for study, trace in zip(store, traces, strict=True):
            text = "\n".join(f"{at}. {step}" for at, step in enumerate(trace.steps, 1))
            read = read_candidate(text, study.id, writes_report=False)
            candidate = read.model_copy(update={"key": f"{int(study.patient_id):064x}", "teacher": "labelled"})
            run.record(candidate, judge(study, candidate), raw=b"")
        run.finish()
    return folder / "run"


def answer(trace: LabelledTrace, *, says_good: bool) -> str:
    """An answer that finds it clean, or something wrong in one step."""
    item = {"label": "supported", "evidence": "", "attribute": ""}
    said: dict[str, Any] = {
        key: [{"quote": step, **item}] for key, step in zip(keys(len(trace.steps)), trace.steps, strict=True)
    }
    if not says_good:
        said["step_05"][0]["label"] = "unsupported"
    return json.dumps(said | {"missing": []})


def outcomes(run: Path) -> Iterator[Outcome]:
    """In the order of the traces."""
    with RunFolder.read(run) as folder:
        found = {candidate.study_id: verdict.outcome for candidate, verdict in folder.judged()}
    yield from (found[f"labelled/{at}"] for at in range(len(found)))


def verified(traces: Sequence[LabelledTrace], reach: Reach, wrong: float, seed: int) -> list[Outcome]:
    """Outcomes after a verifier that is wrong about so large a share of them."""
    draw = random.Random(seed)
    says_good = [trace.good != (draw.random() < wrong) for trace in traces]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run, asking = run_of(traces, folder), VerifierPrompt()
        decisions: list[Decision] = ["accept" if good else "reject" for good in says_good]
        seen = [Seen(t.id, t.good, t.family, d) for t, d in zip(traces, decisions, strict=True)]
        made = calibration(
            seen,
            model="replay",
            prompt_id=asking.id,
            prompt_sha256=asking.sha256,
            labelled="",
            labelled_sha256="0" * 64,
        )
        (folder / "calibration.json").write_text(made.model_dump_json())
        spec = {"kind": "file", "options": {"model": "replay"}, "calibration": str(folder / "calibration.json")}
        recipe = VerifyRecipe.model_validate({"kind": "verify", "name": "b", "verifier": spec | {"trust": 0.51}})
        verify_run(run, recipe, recipe.verifier, reach=reach)
        handover = run / "handover" / "verifier"
        steps = {trace.steps: (trace, good) for trace, good in zip(traces, says_good, strict=True)}
        with (handover / "answers.jsonl").open("w") as file:
            for line in (handover / "questions.jsonl").read_text().splitlines():
                question = json.loads(line)
                trace, good = steps[tuple(json.loads(question["prompt"])["steps"].values())]
                file.write(json.dumps({"id": question["id"], "text": answer(trace, says_good=good)}) + "\n")
        verify_run(run, recipe, recipe.verifier, reach=reach)
        return list(outcomes(run))


def shown(traces: Sequence[LabelledTrace], found: Sequence[Outcome], *, good: bool) -> str:
    """Accepted, in doubt, rejected; and the interval of what is accepted."""
    counts = Counter(outcome for trace, outcome in zip(traces, found, strict=True) if trace.good == good)
    interval = wilson(counts["accept"], counts.total())
    parts = " / ".join(f"{counts[outcome]:3d}" for outcome in OUTCOMES)
    return f"{parts}   accepted {interval.share:4.0%} ({interval.low:.0%} to {interval.high:.0%})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="labelled traces; ours if not given")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    traces = labelled_set(args.file).traces
    print(f"{len(traces)} traces, {sum(trace.good for trace in traces)} good; accepted / in doubt / rejected")
    with tempfile.TemporaryDirectory() as name:
        alone = list(outcomes(run_of(traces, Path(name))))
    rows: dict[str, list[Outcome]] = {"rules alone": alone}
    reaches: tuple[Reach, ...] = ("doubts", "all")
    for reach in reaches:
        for wrong in (0.0, 0.05):
            with contextlib.redirect_stderr(None):
                rows[f"verify: {reach}, {wrong:.0%} wrong"] = verified(traces, reach, wrong, args.seed)
    for name, found in rows.items():
        print(f"{name:26} good {shown(traces, found, good=True)}")
        print(f"{'':26} bad  {shown(traces, found, good=False)}")
    print("accepted bad ones by family, rules alone:")
    by = Counter(t.family for t, outcome in zip(traces, alone, strict=True) if not t.good and outcome == "accept")
    of = Counter(t.family for t in traces if not t.good)
    print("  " + ", ".join(f"{family} {by[family]} of {n}" for family, n in sorted(of.items(), key=str)))


if __name__ == "__main__":
    main()
