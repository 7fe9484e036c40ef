"""Finished runs of any size, quickly made: a store, and the journal that curating it with a scripted teacher leaves.

Events are of the form and size that `tenstep curate` writes, under the keys that it looks for, so that the command
finds its answers there; only the rules are not run. One request in twelve was turned away once, one trace in eight is
in doubt.
"""

import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import yaml
from tenstep.curation.curating import resolve
from tenstep.curation.prompt import Prompts
from tenstep.curation.requests.asker import Answer
from tenstep.curation.requests.budget import Amount
from tenstep.curation.requests.commits import departure, event
from tenstep.curation.settled import marks_of
from tenstep.curation.teacher import Question, Reply, Teacher, load, request_key
from tenstep.curation.teachers.checklist import numbered, steps
from tenstep.curation.verdicts import candidate_of, opinion_of
from tenstep.data.ends import End
from tenstep.data.judged import judged_event
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.candidate import Usage
from tenstep.schemas.layout import parse
from tenstep.schemas.run import Event, State
from tenstep.schemas.study import Study
from tenstep.schemas.verdict import Finding, Verdict

from .made_reports import sentences

RECIPE = {
    "kind": "curate", "name": "made", "concurrency": 64, "repair": {"attempts": 0}, "resend_unknown": "no",
    "teachers": [{"kind": "scripted", "options": {"mistakes": ["nine_steps"], "share": 0.1}}],
}  # fmt: skip
DOUBT = Finding(rule="made", code="made", severity="doubt", step=4, message="Made, so that some traces are in doubt.")
_AT_ONCE = 500  # studies whose events are appended together


def make_store(folder: Path, rows: int) -> StudyStore:
    """So many studies of one report each, of some 400 characters."""
    rng = random.Random(0)
    with StudyStore.create(folder, "made") as writer:
        for number in range(rows):
            text = f"Technique: Frontal.\nView: PA\nFindings: {sentences(rng, 6)}\nImpression: {sentences(rng, 1)}"
            writer.add(
                Study(
                    id=f"made/{number}", patient_id=str(number // 3), source="made", data_class="public",
                    report=text, report_form="four-header", views=("PA",),
                )
            )  # fmt: skip
    return StudyStore.open(folder)


def make_run(folder: Path, rows: int, left: int = 0, *, ended: bool = False) -> list[str]:
    """A store and a run of it under a folder.

    Args:
        folder: it is there.
        rows: studies of the run.
        left: further ones of the store.
        ended: whether it notes that each study has come to its end, as today's command does, and those of earlier
            versions did not.

    Returns:
        The words of the command that curated it, but for `tenstep`.
    """
    store = make_store(folder / "studies", rows + left)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    recipe = resolve(folder / "recipe.yaml", studies=store.root).model_copy(update={"studies": store.place})
    teacher, prompts = load(recipe.teachers[0]), Prompts(recipe.prompt)
    with RunFolder.open(folder / "run", kind="curate", recipe=recipe, studies=store) as run:
        marks = marks_of(recipe, [teacher], store) if ended else None
        batch: list[Event | End] = []
        for number, study in enumerate(islice(store, rows)):
            batch += _events(teacher, Question(study, prompts.fill(study)), number, marks and marks.study)
            if number % _AT_ONCE == _AT_ONCE - 1:
                run.journal.append(*batch).result()
                batch.clear()
        run.journal.append(*batch).result()
    words = ["curate", str(folder / "recipe.yaml"), "--studies", str(store.root), "--out", str(folder / "run")]
    return [*words, "--workers", "0", "--json"]


def _events(teacher: Teacher, question: Question, number: int, mark: str | None) -> Iterator[Event | End]:
    key, study = request_key(teacher, question), question.study
    reserved = Amount(9_000, 0.0)
    yield departure(key, teacher, question, reserved, first=True)
    if number % 12 == 0:
        yield event(key, State.FAILED, study.id, {"reason": "429 Too Many Requests"})
        yield departure(key, teacher, question, reserved, first=False)
    text = numbered(steps(study))
    raw = json.dumps({"text": text, "label": None}).encode()
    yield event(key, State.RECEIVED, study.id, {"started_at": 1.0, "seconds": 0.5}, raw)
    reply = Reply(text, Usage(input_tokens=900, output_tokens=400), cost_usd=0.0, stop_reason="stop")
    candidate = candidate_of(Answer(key, teacher, question, reply, 0.0, 1.0, 0.5))
    candidate = candidate.model_copy(update={"trace": parse(text)})
    verdict = Verdict(findings=(DOUBT,) if number % 8 == 0 else ())
    opinion = opinion_of(study, candidate, verdict)
    yield judged_event(candidate, verdict, opinion.sketches)
    if mark is not None:
        yield End(study.id, mark, verdict.outcome, False, 1, 0.0, tuple(verdict.codes), {})
