"""Pace and gate: slow start, cuts, cooldowns that end, rates, and who may go when."""

import asyncio
import heapq
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenstep.curation.clients.envelope import Envelope
from tenstep.curation.requests.pace import LONGEST, START, Bucket, Gate, Outcome, Pace, Stopped, Ticket, usable_seconds

Answer = tuple[Outcome, float | None]


class Simulation:
    """A server and its clients in simulated time: as many requests as the pace allows, each taking `latency`."""

    def __init__(self, pace: Pace, server: Callable[[float, int], Answer], latency: float = 0.05) -> None:
        self.pace, self.server, self.latency = pace, server, latency
        self.now = 0.0
        self.sent: list[float] = []
        self.answered: list[float] = []
        self.most = 0

    def run(self, *, answers: int = 10**9, until: float = math.inf) -> "Simulation":
        in_flight: list[tuple[float, int, Ticket, Answer]] = []
        while len(self.answered) < answers and self.now < until:
            while (wait := self.pace.wait(self.now)) <= 0:
                ticket = self.pace.depart(self.now)
                self.sent.append(self.now)
                answer = self.server(self.now, len(self.sent))
                heapq.heappush(in_flight, (self.now + self.latency, len(self.sent), ticket, answer))
            self.most = max(self.most, self.pace.in_flight)
            landing = in_flight[0][0] if in_flight else math.inf
            assert min(landing, self.now + wait) < math.inf, "nothing is under way and nothing may go: frozen"
            if landing <= self.now + wait:
                self.now, _, ticket, (outcome, retry_after) = heapq.heappop(in_flight)
                self.pace.arrive(self.now, ticket, outcome, retry_after)
                if outcome == "answered":
                    self.answered.append(self.now)
            else:
                self.now += wait
        for self.now, _, ticket, (outcome, _) in sorted(in_flight, key=lambda flight: flight[:2]):
            self.pace.arrive(self.now, ticket, outcome)
        return self


def well(now: float, number: int) -> Answer:
    return "answered", None


def test_the_first_request_goes_alone_and_then_the_window_opens_up_to_the_ceiling() -> None:
    run = Simulation(Pace(100), well).run(answers=1_000)
    assert sum(at < 0.05 for at in run.sent) == 1
    assert sum(0.05 <= at < 0.1 for at in run.sent) == START + 1
    assert run.most == 100
    assert run.now < 1_000 * 0.05 / 100 * 1.4


def test_a_burst_that_is_throttled_whole_halves_the_window_and_no_more() -> None:
    pace = Pace(64)
    Simulation(pace, well).run(answers=200)
    before = pace.window
    tickets = [pace.depart(100.0) for _ in range(int(before))]
    for ticket in tickets:
        pace.arrive(100.05, ticket, "throttled")
    assert before / 2 <= pace.window < before * 0.8


@pytest.mark.parametrize(("share", "longer"), [(0.05, 1.3), (0.1, 1.3), (0.2, 1.5), (0.3, 10.0)])
def test_the_pace_falls_with_the_share_of_throttled_requests_and_stops_for_none(share: float, longer: float) -> None:
    """Each of them names a minute to wait for; nobody else waits with it."""
    dice = random.Random(1)

    def server(now: float, number: int) -> Answer:
        return ("throttled", 60.0) if number > 1 and dice.random() < share else ("answered", None)

    run = Simulation(Pace(64), server).run(answers=5_000)
    assert run.now < 5_000 / (1 - share) * 0.05 / 64 * longer + 0.5
    gaps = [b - a for a, b in zip(run.answered, run.answered[1:], strict=False)]
    assert max(gaps) < 1.0


def test_a_server_that_serves_twenty_at_a_time_is_found_and_kept_busy() -> None:
    in_flight: list[float] = []

    def server(now: float, number: int) -> Answer:
        in_flight[:] = [end for end in in_flight if end > now]
        if len(in_flight) >= 20:
            return "throttled", None
        in_flight.append(now + 0.05)
        return "answered", None

    run = Simulation(Pace(256), server).run(answers=4_000)
    assert run.now < 4_000 * 0.05 / 20 * 2
    assert len(run.sent) < 4_000 * 1.5


def test_a_stream_of_long_retry_afters_cannot_freeze_the_run() -> None:
    def server(now: float, number: int) -> Answer:
        return ("throttled", 89.0) if 1.0 < now < 400.0 else ("answered", None)

    run = Simulation(Pace(64), server).run(answers=5_000)
    refused = sum(1.0 < at < 400.0 for at in run.sent)
    assert refused <= 64 + 16 + 5  # those under way, those sent until it was plain, and one for each cooldown
    assert run.now < 400 + 89 + 15  # a cooldown that began before 400, and the work
    assert max(b - a for a, b in zip(run.answered, run.answered[1:], strict=False)) < 400 + 89


def test_retry_afters_that_trickle_in_cannot_hold_a_cooldown_open() -> None:
    pace = Pace(64)
    Simulation(pace, well).run(answers=300)
    tickets = [pace.depart(1_000.0) for _ in range(40)]
    for number, ticket in enumerate(tickets):
        pace.arrive(1_000.0 + 5 * number, ticket, "throttled", 89.0)
        assert pace.until <= 1_000.0 + 5 * number + LONGEST
    assert pace.wait(1_195.0 + LONGEST) == 0.0


def test_after_a_cooldown_one_request_goes_alone_and_then_the_window_is_open_again() -> None:
    pace = Pace(64)
    Simulation(pace, well).run(answers=500)
    pace.arrive(100.0, pace.depart(100.0), "throttled", 10.0)
    assert pace.wait(100.0) == 0.0  # one alone stops nobody
    for _ in range(15):
        pace.arrive(100.0, pace.depart(100.0), "throttled", 10.0)
    assert pace.wait(109.0) == pytest.approx(1.0)
    assert pace.wait(110.0) == 0.0
    scout = pace.depart(110.0)
    assert pace.wait(110.0) == math.inf
    pace.arrive(110.05, scout, "answered")
    assert pace.wait(110.05) == 0.0
    assert pace.window > 40


@pytest.mark.parametrize("value", [math.nan, -5.0, -math.inf])
def test_a_retry_after_that_makes_no_sense_is_none(value: float) -> None:
    pace = Pace(8)
    pace.arrive(0.05, pace.depart(0.0), "answered")
    pace.arrive(1.0, pace.depart(0.9), "throttled", value)
    assert pace.wait(1.0) == 0.0


@pytest.mark.parametrize("value", [86_400.0, 4_294_967.0, math.inf])
def test_a_huge_retry_after_is_cut(value: float) -> None:
    pace = Pace(8)
    pace.arrive(1.0, pace.depart(0.0), "throttled", value)
    assert pace.wait(1.0) == pytest.approx(LONGEST)


def test_a_dead_server_is_asked_less_and_less_often() -> None:
    run = Simulation(Pace(64), lambda now, number: ("lost", None)).run(until=600)
    assert len(run.sent) < 40
    assert run.sent[-1] - run.sent[-2] == pytest.approx(LONGEST / 2, abs=1)


def test_a_server_that_comes_back_is_used_again() -> None:
    def server(now: float, number: int) -> Answer:
        return ("lost", None) if 1.0 < now < 60.0 else ("answered", None)

    run = Simulation(Pace(64), server).run(answers=10_000)
    assert run.now < 60 + 64 + 10_000 * 0.05 / 64 * 1.5


@given(st.integers(1, 300), st.integers(0, 2**32), st.floats(0, 0.5), st.floats(0, 0.3))
def test_whatever_the_server_does_the_bounds_hold_and_work_is_done(
    ceiling: int, seed: int, throttled: float, lost: float
) -> None:
    dice = random.Random(seed)

    def server(now: float, number: int) -> Answer:
        roll = dice.random()
        if roll < throttled:
            return "throttled", dice.choice([None, 0.05, 1.0, 89.0, math.nan, -1.0, 1e12])
        return ("lost", None) if roll < throttled + lost else ("answered", None)

    run = Simulation(Pace(ceiling), server).run(answers=100)
    assert run.most <= ceiling


@given(st.floats(1, 10_000), st.lists(st.floats(0.0, 3.0), max_size=60))
def test_a_rate_is_kept_over_any_minute(per_minute: float, gaps: list[float]) -> None:
    bucket, now, taken = Bucket(per_minute), 0.0, list[float]()
    for gap in gaps:
        now += gap
        while bucket.wait(now, 1.0) <= 0 and len(taken) < 2_000:
            bucket.take(now, 1.0)
            taken.append(now)
    allowed = per_minute + max(1.0, per_minute / 6) + 1
    assert all(sum(start <= at < start + 60 for at in taken) <= allowed for start in taken[::50])


def test_tokens_that_were_not_used_are_given_back() -> None:
    pace = Pace(8, tokens_per_minute=6_000)
    pace.depart(0.0, 1_000)
    assert pace.wait(0.0, 500) == math.inf  # the first goes alone
    pace.arrive(0.0, pace.depart(0.0), "answered")
    assert pace.wait(0.0, 500) == pytest.approx(5.0)
    pace.settle(1_000, 200)
    assert pace.wait(0.0, 500) == 0.0


def test_a_request_larger_than_the_rate_goes_when_the_bucket_is_full() -> None:
    bucket = Bucket(60)
    assert bucket.wait(0.0, 1_000) == 0.0
    bucket.take(0.0, 1_000)
    assert 900 < bucket.wait(0.0, 1.0) < 1_000


def test_what_waits_in_a_gate_goes_in_order_and_hears_when_it_closes() -> None:
    async def main() -> list[str]:
        gate, heard = Gate(Pace(1)), list[str]()

        async def ask(name: str) -> None:
            try:
                await gate.acquire()
                ticket = await gate.start()
            except Stopped:
                heard.append(f"{name} stopped")
                return
            heard.append(name)
            await asyncio.sleep(0)
            gate.finish(ticket, "answered")
            if name == "b":
                gate.close()

        await asyncio.gather(*map(ask, "abcd"))
        with pytest.raises(Stopped):
            await gate.start()
        return heard

    assert asyncio.run(main()) == ["a", "b", "c", "d stopped"]


def test_few_are_admitted_while_the_pace_holds_all_back() -> None:
    async def main() -> list[int]:
        gate, most = Gate(Pace(64)), list[int]()

        async def ask() -> None:
            await gate.acquire()
            most.append(gate.admitted)
            ticket = await gate.start()
            await asyncio.sleep(0)
            gate.finish(ticket, "answered")

        first = asyncio.create_task(ask())
        others = [asyncio.create_task(ask()) for _ in range(200)]
        await asyncio.sleep(0)
        held = [gate.admitted]  # one under way, alone
        await asyncio.gather(first, *others)
        return [*held, max(most), gate.admitted, gate.pace.in_flight]

    held, most, admitted, in_flight = asyncio.run(main())
    assert held == 1 + 64 // 8
    assert most <= 64 + 64 // 8
    assert (admitted, in_flight) == (0, 0)


def test_one_that_is_cancelled_while_it_waits_to_be_admitted_leaves_no_hole() -> None:
    async def main() -> int:
        gate = Gate(Pace(1))
        await gate.acquire()
        await gate.acquire()
        third = asyncio.create_task(gate.acquire())
        await asyncio.sleep(0)
        gate.release()  # the third is admitted
        third.cancel()  # before it took the place
        with pytest.raises(asyncio.CancelledError):
            await third
        await asyncio.wait_for(gate.acquire(), 5)
        return gate.admitted

    assert asyncio.run(main()) == 2


def test_a_waiter_that_is_cancelled_leaves_no_hole() -> None:
    async def main() -> int:
        gate = Gate(Pace(1))
        await gate.acquire()
        ticket = await gate.start()
        await gate.acquire()
        waiting = asyncio.create_task(gate.start())
        await asyncio.sleep(0)
        gate.finish(ticket, "answered")  # permission is given
        waiting.cancel()  # before it was taken
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.release()
        await gate.acquire()
        gate.finish(await asyncio.wait_for(gate.start(), 5), "answered")
        return gate.pace.in_flight + gate.admitted

    assert asyncio.run(main()) == 0


NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
        (
            {
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-24T12:00:30Z",
            },
            30,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-24T11:00:30Z",
            },
            0,
        ),
        (
            {
                "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9s",
            },
            9,
        ),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "6m0s"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "-5s"}, None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({"retry-after": "5"}, None),
    ],
)  # fmt: skip
def test_headers_say_until_when_nothing_is_left(headers: dict[str, str], seconds: float | None) -> None:
    assert Envelope(429, headers, b"").exhausted_for(NOW) == (None if seconds is None else pytest.approx(seconds))


@given(st.text(max_size=40))
def test_no_reset_header_breaks_anything(value: str) -> None:
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": value}
    found = Envelope(429, headers, b"").exhausted_for(NOW)
    assert found is None or found >= 0


def test_a_cooldown_is_waited_for() -> None:
    async def main() -> float:
        gate = Gate(Pace(4))
        await gate.acquire()
        gate.finish(await gate.start(), "throttled", 0.05)
        since = asyncio.get_running_loop().time()
        await gate.acquire()
        gate.finish(await gate.start(), "answered")
        return asyncio.get_running_loop().time() - since

    assert asyncio.run(main()) >= 0.05


@pytest.mark.parametrize(
    ("asked", "used"),
    [(1e9, LONGEST), (math.inf, LONGEST), (LONGEST, LONGEST), (0.0, 0.0), (-1.0, None), (math.nan, None), (None, None)],
)
def test_a_retry_after_is_capped_for_a_request_and_for_the_pace(asked: float | None, used: float | None) -> None:
    assert usable_seconds(asked) == used
    pace = Pace(4)
    pace.arrive(0.0, pace.depart(0.0), "throttled", asked)
    assert pace.until <= LONGEST
    assert used is None or pace.until == used
