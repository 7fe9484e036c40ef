"""Budget and prices: a hard stop that reserves before it sends, and prices that are unknown, never 0."""

import asyncio
import sqlite3
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from curation_parts import make_store
from hypothesis import given
from hypothesis import strategies as st
from servers.studies import make_study
from tenstep.curation.engine import Engine
from tenstep.curation.prompt import Prompts
from tenstep.curation.requests.budget import Amount, Ledger, Price, Prices, Spent, max_cost
from tenstep.curation.requests.tally import Tally
from tenstep.curation.teacher import Question, load
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.candidate import Usage
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import RecipeError
from tenstep.schemas.recipe import Budget
from tenstep.schemas.study import ImageRef
from tenstep.validators.rule import REFERENCE

DAY = date(2026, 11, 24)


def price(**more: Any) -> Price:
    return Price.model_validate(
        {"provider": "p", "model": "m", "since": "2026-01-01", "input": 2.0, "output": 10.0, "source": "s", **more}
    )


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return make_store(tmp_path / "studies", (make_study(str(number), REFERENCE) for number in range(12)))


def recipe_of(teacher: dict[str, Any] | None = None, **more: Any) -> CurateRecipe:
    teachers = [teacher or {"kind": "checklist"}]
    return CurateRecipe.model_validate({"kind": "curate", "name": "t", "teachers": teachers, **more})


def curate(path: Path, recipe: CurateRecipe, store: StudyStore) -> Tally:
    with RunFolder.open(path, kind="curate", recipe=recipe, studies=store) as run:
        return asyncio.run(Engine(run, recipe, [load(spec) for spec in recipe.teachers]).work())


def test_cost_counts_cached_tokens_at_their_own_price_and_batches_at_half() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=100_000, cached_tokens=400_000, reasoning_tokens=50_000)
    assert price(cached_input=0.5).cost(usage) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 10)
    assert price().cost(usage) == pytest.approx(2 + 1)
    assert price().cost(usage, batch=True) == pytest.approx(1.5)


def test_an_answer_without_counts_has_an_unknown_cost_unless_it_is_free() -> None:
    assert price().cost(Usage()) is None
    assert price(input=0, output=0).cost(Usage()) == 0.0


def test_the_latest_price_that_had_begun_counts_and_the_users_table_goes_first(tmp_path: Path) -> None:
    table = Prices(prices=(price(), price(since="2026-06-01", input=1.0), price(since="2027-01-01", input=9.0)))
    found = table.find("p", "m", DAY)
    assert found is not None and found.input == 1.0
    own = tmp_path / "prices.yaml"
    own.write_text(
        "prices:\n  - {provider: openai, model: gpt-5.4, since: 2026-03-01, input: 7, output: 8, source: contract}\n"
        "  - {provider: openai, model: house-model, since: 2026-01-01, input: 1, output: 1, source: contract}\n"
    )
    prices = Prices.read(str(own))
    assert [getattr(prices.find("openai", name, DAY), "input", None) for name in ("gpt-5.4", "house-model")] == [7, 1]


def test_a_snapshot_has_its_models_price_and_an_unknown_model_has_none() -> None:
    prices = Prices.read()
    assert prices.find("openai", "gpt-5-mini-2025-08-07", DAY) == prices.find("openai", "gpt-5-mini", DAY) is not None
    assert prices.find("anthropic", "claude-haiku-4-5-20251001", DAY) is not None
    assert prices.find("openai", "gpt-5-mini-turbo", DAY) is None
    assert prices.find("openai", "gpt-5-mini", date(2024, 1, 1)) is None


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("prices: [{provider: p, model: m, since: 2026-01-01, input: -1, output: 1, source: s}]", "prices.0.input"),
        ("prices: [{provider: p, model: m, since: soon, input: 1, output: 1, source: s}]", "prices.0.since"),
        ("prices: [{provider: p, model: m, since: 2026-01-01, input: 1, source: s}]", "prices.0.output"),
        ("prices: [{provider: p, model: m, since: 2026-01-01, input: .inf, output: 1, source: s}]", "prices.0.input"),
    ],
)
def test_a_price_file_that_is_wrong_is_named_with_its_field(tmp_path: Path, text: str, field: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError) as error:
        Prices.read(str(file))
    assert (error.value.file, error.value.field) == (str(file), field)


def test_what_is_set_aside_is_never_less_than_text_and_images_can_use() -> None:
    image = ImageRef(path="x.png", sha256="0" * 64, width=1400, height=700)
    study = make_study("a", REFERENCE, (image,))
    options = {"model": "m", "base_url": "http://127.0.0.1:1/v1", "max_output_tokens": 50_000}
    teacher = load(recipe_of({"kind": "openai", "options": options}).teachers[0])
    prompt = Prompts("informed").fill(study)
    amount = max_cost(teacher, Question(study, prompt), price())
    text = len(prompt.system) + len(prompt.user)
    assert amount.tokens >= text + 100 * 50 + 50_000
    assert amount.usd is not None and amount.usd >= ((text + 5_000) * 2 + 50_000 * 10) / 1e6
    assert max_cost(teacher, Question(study, prompt), None).usd is None


amounts = st.builds(Amount, st.integers(0, 1_000), st.floats(0, 1, allow_nan=False))


@given(
    st.integers(0, 20),
    st.integers(0, 5_000),
    st.floats(0, 5),
    st.lists(st.tuples(amounts, st.sampled_from(["settle", "keep", "undo", "nothing"]), st.floats(0, 1)), max_size=40),
)
def test_no_order_of_answers_takes_a_run_past_its_budget(
    calls: int, tokens: int, usd: float, requests: list[tuple[Amount, str, float]]
) -> None:
    ledger = Ledger(Budget(calls=calls, tokens=tokens, usd=usd))
    sent, used_tokens, used_usd = 0, 0, 0.0

    async def main() -> None:
        nonlocal sent, used_tokens, used_usd
        for amount, end, share in requests:
            if not ledger.fits(amount):
                continue
            await ledger.reserve(amount)
            assert amount.usd is not None
            sent += end != "undo"
            actual = Amount(int(amount.tokens * share), amount.usd * share)
            match end:
                case "settle":
                    ledger.settle(amount, actual)
                    used_tokens, used_usd = used_tokens + actual.tokens, used_usd + (actual.usd or 0)
                case "undo":
                    ledger.undo(amount)
                case _:  # kept, or still under way: the most that it can use
                    if end == "keep":
                        ledger.mark_uncertain(amount)
                    used_tokens, used_usd = used_tokens + amount.tokens, used_usd + amount.usd
            assert sent <= calls and used_tokens <= tokens and used_usd <= usd + 1e-9

    asyncio.run(main())


def test_a_request_waits_while_others_may_make_room_and_is_told_when_none_can() -> None:
    async def main() -> list[str]:
        ledger, heard = Ledger(Budget(tokens=100)), list[str]()
        await ledger.reserve(Amount(90))

        async def second() -> None:
            await ledger.reserve(Amount(50))
            heard.append("room")
            with pytest.raises(Spent):
                ledger.settle(Amount(50), Amount(50))
                await ledger.reserve(Amount(50))
            heard.append("spent")

        task = asyncio.create_task(second())
        await asyncio.sleep(0)
        heard.append("first is back")
        ledger.settle(Amount(90), Amount(10))
        await task
        return heard

    assert asyncio.run(main()) == ["first is back", "room", "spent"]


def test_a_run_stops_at_its_calls_and_a_larger_budget_goes_on(tmp_path: Path, store: StudyStore) -> None:
    tally = curate(tmp_path / "run", recipe_of(budget={"calls": 5}), store)
    assert (tally.asked, tally.accepted, tally.ended) == (5, 5, "budget")
    assert "5 of 5 calls" in tally.budget
    again = curate(tmp_path / "run", recipe_of(budget={"calls": 5}), store)
    assert (again.asked, again.recalled, again.ended) == (0, 5, "budget")
    more = curate(tmp_path / "run", recipe_of(budget={"calls": 8}), store)
    assert (more.asked, more.accepted, more.ended) == (3, 8, "budget")
    rest = curate(tmp_path / "run", recipe_of(), store)
    assert (rest.accepted, rest.ended) == (12, "data")


def test_what_has_its_answer_is_still_counted_when_the_budget_is_used_up(tmp_path: Path, store: StudyStore) -> None:
    curate(tmp_path / "run", recipe_of(), store)
    with sqlite3.connect(tmp_path / "run" / "journal.db") as journal:  # as if the first ones had not been asked
        journal.execute("UPDATE events SET key = 'ffff' || substr(key, 5) WHERE study_id IN ('t/0', 't/1')")
    tally = curate(tmp_path / "run", recipe_of(budget={"calls": 10}), store)
    assert (tally.asked, tally.recalled, tally.accepted, tally.ended) == (0, 10, 10, "budget")


def test_a_budget_in_dollars_does_not_stop_what_costs_nothing(tmp_path: Path, store: StudyStore) -> None:
    tally = curate(tmp_path / "run", recipe_of(budget={"usd": 0}), store)
    assert (tally.accepted, tally.spend_usd, tally.ended) == (12, 0.0, "data")


@pytest.mark.parametrize(
    ("budget", "model", "field", "words"),
    [
        ({"calls": 0}, "gpt-5-mini", "budget.calls", "a budget of 0 allows no request"),
        ({"tokens": 0}, "gpt-5-mini", "budget.tokens", "a budget of 0 allows no request"),
        ({"usd": 0}, "gpt-5-mini", "budget.usd", "a budget of 0 allows no request"),
        ({"usd": 5}, "house-model", "budget.usd", "the price of model 'house-model' is unknown"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_one_line_before_anything_is_sent(
    tmp_path: Path, store: StudyStore, budget: dict[str, Any], model: str, field: str, words: str
) -> None:
    teacher = {"kind": "openai", "options": {"model": model, "base_url": "http://127.0.0.1:1/v1"}}
    with pytest.raises(RecipeError, match=words) as error:
        curate(tmp_path / "run", recipe_of(teacher, budget=budget), store)
    assert error.value.field == field


@pytest.mark.parametrize("budget", [{"usd": -1}, {"calls": 1.5}, {"tokens": "many"}, {"usd": float("nan")}, {"eur": 1}])
def test_a_budget_that_is_no_number_is_refused(budget: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="budget"):
        recipe_of(budget=budget)
