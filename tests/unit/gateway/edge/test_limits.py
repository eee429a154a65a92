from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import (
    BudgetExhaustedError,
    LoginThrottledError,
    NotPermittedError,
    RateLimitedError,
    UpstreamTimeoutError,
)
from gateway.domain.usage import Usage
from gateway.edge.limits import duration, limit_lines, with_limits
from gateway.exchange import Exchange
from policies.fair_queue import AT_ONCE, Waited
from policies.governor import FREE
from policies.meters import NOTHING, Demand, Meter, Standing
from policies.stores.holds.base import Granted
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow
from router.base import Decision
from tests.support.build import exchange

TOMORROW = 1_800_057_600.0
"""2027-01-16, 00:00:00 UTC."""

RATE = Meter("org|requests|60s", "organisation 'acme'", "requests", 100, SlidingWindow(60))
TOKENS = Meter("org|input_tokens|60s", "organisation 'acme'", "input_tokens", 1000, SlidingWindow(60))
GENERATED = Meter("org|output_tokens|60s", "organisation 'acme'", "output_tokens", 1000, SlidingWindow(60))
PLACES = Meter("org|concurrency", "organisation 'acme'", "concurrency", 5, None)
BUDGET = Meter("team:t|microusd|day@UTC", "team 't'", "microusd", 5_000_000, CalendarWindow("day"))
FOREVER = Meter("team:t|microusd|total", "team 't'", "microusd", 5_000_000, TotalWindow())


class Held:
    """A hold as the store granted it."""

    def __init__(self, granted: Granted | None, demand: Demand = NOTHING) -> None:
        self.granted, self.demand = granted, demand
        self.index = self.under_reserved = 0
        self.is_degraded = False
        self.waited = AT_ONCE
        self.is_shared = True

    async def cover(self, demand: Demand) -> None:
        raise AssertionError

    async def settle(self, usage: Usage, cost_microusd: int) -> None:
        raise AssertionError

    async def release(self) -> None:
        raise AssertionError


def standing(meter: Meter, used: int, resets_at: float | None = TOMORROW) -> Standing:
    return Standing(meter, used, meter.cap, resets_at)


def opened(demand: Demand = NOTHING, **granted: Any) -> Exchange:
    """Return an exchange whose hold was granted and is not settled."""
    made = exchange()
    made.hold = Held(Granted(0, None, **granted), demand)

    async def settle() -> None:
        pass

    made.settle_with(settle)
    return made


def lines(made: Exchange) -> dict[str, str]:
    found = [(name.decode("ascii"), value.decode("ascii")) for name, value in limit_lines(made)]
    assert len({name for name, _ in found}) == len(found)
    return dict(found)


def milliseconds(text: str) -> int:
    """Read a duration as OpenAI's clients do."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:(\d+)ms)?", text)
    assert found is not None
    assert text
    hours, minutes, seconds, rest = (float(part or 0) for part in found.groups())
    return round(((hours * 60 + minutes) * 60 + seconds) * 1000 + rest)


async def test_without_a_hold_there_is_nothing_to_say() -> None:
    assert limit_lines(exchange()) == []


async def test_a_caller_without_limits_is_told_nothing() -> None:
    made = exchange()
    made.hold = FREE

    assert limit_lines(made) == []


async def test_the_tightest_limits_are_told_with_the_request_counted_in() -> None:
    made = opened(
        requests=standing(RATE, 30, time.time() + 45),
        tokens=standing(TOKENS, 400, time.time() + 45),
        budget=standing(BUDGET, 1_500_000),
    )

    told = lines(made)

    assert 0 < milliseconds(told.pop("x-ratelimit-reset-requests")) <= 45_000
    assert 0 < milliseconds(told.pop("x-ratelimit-reset-tokens")) <= 45_000
    assert told == {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "70",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "600",
        "x-tierway-budget": "team 't';day;3.500000;resets=2027-01-16T00:00:00Z",
    }


@pytest.mark.parametrize("shape", ["messages", "count_tokens"])
async def test_anthropics_clients_read_lines_of_their_own(shape: Any) -> None:
    made = opened(requests=standing(RATE, 30, TOMORROW - 0.5), tokens=standing(GENERATED, 400))
    made.shape = shape

    assert lines(made) == {
        "anthropic-ratelimit-requests-limit": "100",
        "anthropic-ratelimit-requests-remaining": "70",
        "anthropic-ratelimit-requests-reset": "2027-01-16T00:00:00Z",
        "anthropic-ratelimit-tokens-limit": "1000",
        "anthropic-ratelimit-tokens-remaining": "600",
        "anthropic-ratelimit-tokens-reset": "2027-01-16T00:00:00Z",
    }


@pytest.mark.parametrize("shape", ["chat", "messages"])
async def test_what_does_not_reset_says_nothing_of_it(shape: Any) -> None:
    made = opened(requests=standing(RATE, 1, None), budget=standing(FOREVER, 1, None))
    made.shape = shape

    told = lines(made)

    assert not [name for name in told if "reset" in name]
    assert told["x-tierway-budget"] == "team 't';total;4.999999"


async def test_a_reset_that_has_come_is_now() -> None:
    told = lines(opened(requests=standing(RATE, 0, time.time() - 5)))

    assert told["x-ratelimit-reset-requests"] == "0ms"


async def test_more_than_all_is_never_left_and_never_less_than_nothing() -> None:
    told = lines(opened(requests=standing(RATE, 120), budget=standing(FOREVER, 6_000_000, None)))

    assert told["x-ratelimit-remaining-requests"] == "0"
    assert told["x-tierway-budget"].endswith(";0.000000")


async def test_a_settled_request_has_given_back_what_it_did_not_use() -> None:
    made = opened(
        Demand(1, 400, 0, 1_500_000),
        requests=standing(RATE, 30),
        tokens=standing(TOKENS, 400),
        budget=standing(FOREVER, 1_500_000, None),
    )
    made.usage, made.cost_microusd = Usage(input_tokens=40, cached_tokens=60), 250_000
    await made.settle()

    told = lines(made)

    assert told["x-ratelimit-remaining-requests"] == "70"
    assert told["x-ratelimit-remaining-tokens"] == "900"
    assert told["x-tierway-budget"] == "team 't';total;4.750000"


async def test_generated_tokens_are_given_back_too() -> None:
    made = opened(Demand(1, 0, 500, 0), tokens=standing(GENERATED, 500))
    made.usage = Usage(output_tokens=100, reasoning_tokens=20)
    await made.settle()

    assert lines(made)["x-ratelimit-remaining-tokens"] == "880"


async def test_a_request_without_a_price_gives_all_money_back() -> None:
    made = opened(Demand(1, microusd=1000), budget=standing(FOREVER, 1000, None))
    await made.settle()

    assert lines(made)["x-tierway-budget"].endswith(";5.000000")


async def test_a_request_that_cost_more_than_was_held_gives_nothing_back() -> None:
    made = opened(Demand(1, microusd=1000), budget=standing(FOREVER, 1000, None))
    made.cost_microusd = 2000
    await made.settle()

    assert lines(made)["x-tierway-budget"].endswith(";4.999000")


async def test_a_shortened_answer_is_told() -> None:
    made = opened()
    made.output_limit = 20

    assert lines(made) == {"x-tierway-clamped": "max_output_tokens=20"}


async def test_a_capped_tier_is_told() -> None:
    made = opened()
    assert isinstance(made.hold, Held)
    made.hold.is_degraded = True
    made.decision = Decision(tier="medium", confidence=1.0, reason="degraded", candidates=("m",))

    assert lines(made) == {"x-tierway-degraded": "tier=medium;budget"}


async def test_limits_that_each_replica_holds_alone_are_told() -> None:
    made = opened()
    assert isinstance(made.hold, Held)
    made.hold.is_shared = False

    assert lines(made) == {"x-tierway-degraded": "limits"}

    made.hold.is_degraded = True
    assert lines(made) == {"x-tierway-degraded": "tier=none;budget, limits"}


@pytest.mark.parametrize(
    ("waited", "told"),
    [
        (Waited(3, 1.5, 0.25), "position=3;waited_ms=250;expected_ms=1500"),
        (Waited(1, None, 0.25), "position=1;waited_ms=250"),
    ],
)
async def test_a_wait_is_told_to_those_who_got_through_and_to_those_who_did_not(waited: Waited, told: str) -> None:
    admitted, refused = opened(), exchange()
    assert isinstance(admitted.hold, Held)
    admitted.hold.waited = waited
    error = RateLimitedError("no", retry_after_s=1, standing=standing(RATE, 100))
    error.waited = waited
    refused.error = error

    assert lines(admitted)["x-tierway-queue"] == lines(refused)["x-tierway-queue"] == told


async def test_who_did_not_wait_is_told_nothing_of_it() -> None:
    made = opened()
    assert isinstance(made.hold, Held)
    made.hold.waited = Waited(0, 0.0, 0.0)

    assert lines(made) == {}


@pytest.mark.parametrize(
    "error",
    [NotPermittedError("no"), UpstreamTimeoutError("no"), LoginThrottledError("no", retry_after_s=1)],
)
async def test_another_error_leaves_the_standing_as_it_is(error: Any) -> None:
    made = opened(requests=standing(RATE, 30))
    made.error = error

    assert lines(made)["x-ratelimit-remaining-requests"] == "70"


@pytest.mark.parametrize("meter", [RATE, TOKENS, GENERATED])
async def test_a_refusal_tells_of_the_limit_that_refused_only(meter: Meter) -> None:
    made = opened(requests=standing(RATE, 1), tokens=standing(TOKENS, 1), budget=standing(BUDGET, 1))
    made.error = RateLimitedError("no", retry_after_s=1, standing=standing(meter, meter.cap))

    told = lines(made)

    what = "requests" if meter is RATE else "tokens"
    assert set(told) == {f"x-ratelimit-{line}-{what}" for line in ("limit", "remaining", "reset")}
    assert told[f"x-ratelimit-remaining-{what}"] == "0"


async def test_a_refusal_by_a_budget_tells_of_it() -> None:
    made = exchange()
    made.error = BudgetExhaustedError("no", status=429, retry_after_s=None, standing=standing(BUDGET, 4_000_000))

    assert lines(made) == {"x-tierway-budget": "team 't';day;1.000000;resets=2027-01-16T00:00:00Z"}


async def test_calls_in_flight_are_no_rate() -> None:
    made = exchange()
    made.error = RateLimitedError("no", retry_after_s=1, standing=standing(PLACES, 5, None))

    assert limit_lines(made) == []


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, b"0ms"),
        (0.0005, b"1ms"),
        (0.012, b"12ms"),
        (1, b"1s"),
        (1.5, b"1.5s"),
        (12.3456, b"12.346s"),
        (59.9999, b"60s"),
        (60, b"1m0s"),
        (60.001, b"1m1s"),
        (360, b"6m0s"),
        (3600, b"1h0m0s"),
        (7380, b"2h3m0s"),
        (86_400, b"24h0m0s"),
    ],
)
def test_durations_are_written_as_openai_writes_them(seconds: float, written: bytes) -> None:
    assert duration(seconds) == written


@given(st.floats(0, 31 * 86_400))
def test_a_duration_is_never_too_short_and_never_a_second_too_long(seconds: float) -> None:
    told = milliseconds(duration(seconds).decode())

    assert seconds * 1000 <= told + 1e-6
    assert told < seconds * 1000 + (1000 if seconds >= 60 else 1.001)


async def test_the_callers_limits_take_the_place_of_those_of_our_account() -> None:
    theirs = [(b"anthropic-ratelimit-tokens-limit", b"9"), (b"anthropic-ratelimit-requests-limit", b"50"), (b"a", b"b")]
    made = opened(requests=standing(RATE, 40))
    made.shape = "messages"

    sent = with_limits(theirs, made)

    assert (b"a", b"b") in sent
    assert [value for name, value in sent if name == b"anthropic-ratelimit-requests-limit"] == [b"100"]
    assert not [name for name, _ in sent if name == b"anthropic-ratelimit-tokens-limit"]


async def test_where_no_limit_counts_the_upstreams_lines_pass() -> None:
    theirs = [(b"anthropic-ratelimit-tokens-limit", b"9")]
    made = exchange()
    made.shape = "messages"

    assert with_limits(theirs, made) == theirs
