"""Verifying a run that is there: its traces in doubt, or all that the rules do not reject, are read by a verifier.

Requests and answers stand in the run's own journal, with the teacher's; new verdicts are appended, and what changed
comes back as from a recheck. The same call again asks nothing that was answered.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...data.judged import Judged
from ...data.run import RunFolder
from ...schemas.curate_recipe import Reach, VerifierSpec
from ...schemas.errors import RecipeError
from ...schemas.recipe import RequestOptions
from ...schemas.verdict import Doubts, Verdict
from ..amend import Rechecked, rejudge, reopened
from ..requests.policy import both
from ..requests.polite import run_politely
from ..requests.session import Session, check_requests
from ..requests.tally import Tally
from .verifier import Verifier, load_verifier


@dataclass
class Verifying:
    """What came of it."""

    tally: Tally
    changed: Rechecked
    note: str | None  # why nothing was lifted


def verify_run(
    path: Path,
    options: RequestOptions,
    spec: VerifierSpec,
    *,
    reach: Reach = "doubts",
    doubts: Doubts = "verify",
    on_trace: Callable[[Tally], None] = lambda tally: None,
) -> Verifying:
    """Let a verifier read a run's traces, and write the tables from what it says.

    Args:
        path: the run folder.
        options: budget, policy, retries: what the recipe says of requests.
        spec: the recipe's verifier.
        reach: which traces it reads.
        doubts: what the recipe says of them; those in doubt are read only if they are to be verified.
        on_trace: called for every trace that was read.

    Raises:
        RecipeError: the verifier is of the family of a trace's author, works in batches, or its calibration is of
            another model or prompt; before anything is sent.
        PolicyError: the data may not go to it; before anything is read or sent.
        RunError: it is no run folder with verdicts, or another process works on it.
    """
    with RunFolder.read(path) as run:
        written_by = {(candidate.teacher, candidate.model) for candidate, _ in run.judged()}
        verifier = load_verifier(spec, sorted(written_by))
        check_requests(options, [verifier], run.studies.data_class)
    if getattr(verifier, "batch", False):
        raise RecipeError(
            "a verifier works in batches within `tenstep curate` only; say batch: false", field="verifier"
        )
    with reopened(path) as (run, finish):
        before = run.manifest.policy
        session = Session(run, options, [verifier])
        if before is not None and run.manifest.policy is not None:
            run.decide(both(before, run.manifest.policy))
        reader = Verifier(session.lanes[0], session.asker, spec, reach, doubts)
        found: dict[str, Verdict] = {}
        run_politely(_read_all(run, session, reader, found, options.concurrency, on_trace), session.stop)
        changed = rejudge(run, lambda _, candidate, verdict: found.get(candidate.key, verdict))
        changed.counts = finish(session.tally.spend_usd)
    return Verifying(session.tally, changed, reader.note)


async def _read_all(
    run: RunFolder,
    session: Session,
    reader: Verifier,
    found: dict[str, Verdict],
    workers: int,
    on_trace: Callable[[Tally], None],
) -> None:
    """Read every trace that is to be read; new verdicts come into `found`, by key."""
    waiting = (one for one in run.judged() if reader.wants(one.verdict))

    async def take() -> Judged | None:
        return next(waiting, None)

    async def one(judged: Judged) -> None:
        candidate, verdict = judged
        verified = await reader.verify(run.studies.get(candidate.study_id), candidate, verdict)
        session.tally.verified[verified.state] += 1
        if verified.verdict != verdict:
            found[candidate.key] = verified.verdict
        session.sum_up()
        on_trace(session.tally)

    try:
        await session.work(take, one, workers)
    finally:
        await session.close()
