"""Calibrating: a verifier is asked about every labelled trace, blind, and calibration.json says how often it is right.

FOLDER/studies            the labelled references, as a study store
FOLDER/journal.db ...     requests and answers, as of a run; the same call again asks nothing that was answered
FOLDER/calibration.json   written when every trace has an answer
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...data.files import replace_text
from ...data.run import RunFolder
from ...data.store.studies import StudyStore
from ...schemas.errors import RecipeError
from ..requests.polite import run_politely
from ..requests.session import Session, check_requests
from ..requests.tally import Tally
from .answer import Verification
from .calibration import Calibration, Decision, Seen, calibration
from .labelled import LabelledSet, LabelledTrace, labelled_set
from .question import VerifierPrompt
from .recipe import VerifyRecipe
from .verifier import NoAnswer, load_verifier, read_trace

UNNAMED = "unnamed"  # the model of a `file` verifier whose answers do not say who wrote them


@dataclass
class Calibrating:
    """What came of it."""

    tally: Tally
    found: Calibration | None  # none until every trace has an answer
    traces: int
    open: int  # traces without an answer


def calibrate(recipe: VerifyRecipe, out: Path, on_trace: Callable[[Tally], None] = lambda tally: None) -> Calibrating:
    """Ask about every labelled trace, and write calibration.json when all are answered.

    Args:
        recipe: verifier, set, budget and policy.
        out: the folder; one with an earlier call's answers goes on.
        on_trace: called for every trace that was read.

    Raises:
        InputError: the labelled set cannot be read.
        RecipeError, PolicyError: as for a teacher; before anything is sent.
    """
    chosen = labelled_set(recipe.labelled)
    traces = chosen.traces[: recipe.limit]
    spec = recipe.verifier
    verifier, asking = load_verifier(spec, []), VerifierPrompt(spec.prompt)
    if getattr(verifier, "batch", False):
        raise RecipeError("a calibration does not work in batches; say batch: false", field="verifier")
    store = _store(out / f"studies-{chosen.sha256[:8]}", chosen)
    check_requests(recipe, [verifier], store.data_class)
    seen: list[Seen] = []
    with RunFolder.open(out / "requests", kind="curate", recipe=recipe, studies=store) as book:
        session = Session(book, recipe, [verifier])
        run_politely(_ask_all(session, asking, traces, seen, recipe, on_trace), session.stop)
    if len(seen) < len(traces):
        return Calibrating(session.tally, None, len(traces), len(traces) - len(seen))
    if verifier.model == UNNAMED:
        message = (
            "name who answers: `model` in the verifier's options, or in every answer; a calibration is of one model"
        )
        raise RecipeError(message, field="verifier.options.model")
    found = calibration(
        seen,
        model=verifier.model,
        prompt_id=asking.id,
        prompt_sha256=asking.sha256,
        labelled=chosen.name,
        labelled_sha256=chosen.sha256,
    )
    replace_text(out / "calibration.json", found.model_dump_json(indent=2) + "\n")
    return Calibrating(session.tally, found, len(traces), 0)


async def _ask_all(
    session: Session,
    asking: VerifierPrompt,
    traces: tuple[LabelledTrace, ...],
    seen: list[Seen],
    recipe: VerifyRecipe,
    on_trace: Callable[[Tally], None],
) -> None:
    order = list(traces)
    random.Random(recipe.seed).shuffle(order)  # noqa: S311  good and bad ones mixed; no secret
    waiting = iter(order)

    async def take() -> LabelledTrace | None:
        return next(waiting, None)

    async def one(trace: LabelledTrace) -> None:
        reading = await read_trace(session.asker, session.lanes[0], asking, trace.study, trace.steps, (), of=trace.id)
        if not isinstance(reading, NoAnswer):
            said = reading.found
            decision: Decision = "unreadable"
            if isinstance(said, Verification):
                decision = "accept" if said.clean else "reject"
            seen.append(Seen(trace.id, trace.good, trace.family, decision))
            session.tally.verified[decision] += 1
        session.sum_up()
        on_trace(session.tally)

    try:
        await session.work(take, one, recipe.concurrency)
    finally:
        await session.close()


def _store(path: Path, chosen: LabelledSet) -> StudyStore:
    if not (path / "store.json").is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with StudyStore.create(path, "labelled") as writer:
            for trace in chosen.traces:
                writer.add(trace.study)
    return StudyStore.open(path)
