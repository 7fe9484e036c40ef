"""A session of requests: what ends it early never loses what was paid for, and every study is checked as it goes."""

import asyncio
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from curation_parts import GOOD, make_store
from tenstep.curation.engine import Engine
from tenstep.curation.prompt import Prompts
from tenstep.curation.requests.policy import check_study, decide
from tenstep.curation.requests.session import Session
from tenstep.curation.teacher import Question, Reply
from tenstep.data.run import RunFolder
from tenstep.schemas.candidate import Usage
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import PolicyError
from tenstep.schemas.policy import EndpointDecision, PolicyDecision
from tenstep.schemas.recipe import Policy, RequestOptions
from tenstep.schemas.run import State
from tenstep.schemas.study import DataClass, Study
from tenstep.validators.rule import REFERENCE


def study(name: str, data_class: DataClass = "public") -> Study:
    return Study(
        id=f"t/{name}", patient_id=name, source="t", data_class=data_class, report=REFERENCE, report_form="four-header"
    )


class Teacher:
    """Answers each question after a moment; one named study makes it fail in a way that nobody foresaw."""

    name, model, sees_images, can_repair = "slow", "none", False, False
    endpoints: tuple[str, ...] = ()

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.asked: list[str] = []

    def identity(self) -> Mapping[str, Any]:
        return {"provider": "slow"}

    async def ask(self, question: Question) -> bytes:
        self.asked.append(question.study.id)
        if question.study.id == self.broken:
            raise ZeroDivisionError("nobody foresaw this")
        await asyncio.sleep(0.05)
        return GOOD.encode()

    def read(self, raw: bytes) -> Reply:
        return Reply(text=raw.decode(), usage=Usage(input_tokens=5, output_tokens=7), cost_usd=0.0, stop_reason="stop")

    async def close(self) -> None: ...


RECIPE = CurateRecipe.model_validate(
    {"kind": "curate", "name": "t", "teachers": [{"kind": "checklist"}], "concurrency": 8}
)


def test_an_error_that_is_not_ours_ends_the_call_and_loses_no_answer(tmp_path: Path) -> None:
    store = make_store(tmp_path / "studies", (study(name) for name in "abcdefgh"))
    with RunFolder.open(tmp_path / "run", kind="curate", recipe=RECIPE, studies=store) as run:
        teacher = Teacher(broken="t/d")
        with pytest.raises(ZeroDivisionError):
            asyncio.run(Engine(run, RECIPE, [teacher]).work())
        states = list(run.journal.states().values())
        assert states.count(State.JUDGED) == len(teacher.asked) - 1 >= 3
        well = Teacher()
        tally = asyncio.run(Engine(run, RECIPE, [well]).work())
    assert tally.accepted == 7 and tally.unknown == 1  # nobody knows what became of the one that failed
    assert set(well.asked).isdisjoint(set(teacher.asked))


def test_a_caller_of_its_own_asks_concludes_and_is_not_asked_again(tmp_path: Path) -> None:
    """What a verifier or a judge does: no rules, no recipe of a curation."""
    store = make_store(tmp_path / "studies", (study(name) for name in "abc"))
    options = RequestOptions(kind="verify", name="t", concurrency=2)
    prompts = Prompts("informed")

    def once(teacher: Teacher) -> tuple[dict[str, str], Session]:
        with RunFolder.open(tmp_path / "book", kind="curate", recipe=options, studies=store) as book:
            session = Session(book, options, [teacher])
            studies, said = iter(store), dict[str, str]()

            async def take() -> Study | None:
                return next(studies, None)

            async def one(found: Study) -> None:
                answer = await session.asker.ask(session.lanes[0], Question(found, prompts.fill(found)))
                assert answer is not None
                said[found.id] = answer.reply.text
                session.asker.conclude(answer, {"length": len(answer.reply.text)})

            async def work() -> None:
                try:
                    await session.work(take, one, 2)
                finally:
                    await session.close()

            asyncio.run(work())
            return said, session

    first, session = once(Teacher())
    assert first == {f"t/{name}": GOOD for name in "abc"}
    assert (session.tally.asked, session.tally.recalled, session.tally.spend_usd) == (3, 0, 0.0)
    again = Teacher()
    second, session = once(again)
    assert second == first and again.asked == []
    assert (session.tally.asked, session.tally.recalled) == (0, 3)
    assert session.history.settled.tokens == 36
    with RunFolder.read(tmp_path / "book") as book:
        bodies = [event.body for event in book.journal.events() if event.state is State.JUDGED]
    assert [body["length"] for body in bodies] == [len(GOOD)] * 3


def test_a_study_is_checked_by_its_own_class_whatever_its_store_says(tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    make_store(folder, [study("a", "restricted")])
    (head,) = folder.glob("*.json")
    head.write_text(json.dumps(json.loads(head.read_text()) | {"data_class": "public"}))
    from tenstep.data.store.studies import StudyStore

    store = StudyStore.open(folder)
    with RunFolder.open(tmp_path / "run", kind="curate", recipe=RECIPE, studies=store) as run:
        teacher = Teacher()
        with pytest.raises(PolicyError, match="ingest it again"):
            asyncio.run(Engine(run, RECIPE, [teacher]).work())
    assert teacher.asked == []


@pytest.mark.parametrize(("until", "may"), [("2026-01-31", True), ("2026-01-30", False), (None, False)])
def test_an_attestation_may_end_while_a_run_is_going_on(until: str | None, may: bool) -> None:
    teacher = Teacher()
    endpoint = EndpointDecision(
        teacher="slow", endpoint="https://a.example", local=False,
        valid_until=None if until is None else date.fromisoformat(until),
    )  # fmt: skip
    decision = PolicyDecision(data_class="restricted", decided="2026-01-01", endpoints=(endpoint,), training=False)
    today = date(2026, 1, 31)
    check_study(decision, teacher, study("a"), today=today)
    if may:
        check_study(decision, teacher, study("a", "restricted"), today=today)
    else:
        with pytest.raises(PolicyError, match="ended on"):
            check_study(decision, teacher, study("a", "restricted"), today=today)


def test_restricted_studies_go_to_teachers_on_this_machine() -> None:
    teacher = Teacher()
    decision = decide(Policy(), [teacher], "restricted")
    check_study(decision, teacher, study("a", "restricted"))
