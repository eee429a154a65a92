from __future__ import annotations

import asyncio

import pytest

from gateway.domain.errors import UpstreamRefusedError, UpstreamTimeoutError
from gateway.domain.request import ModelRequest
from gateway.domain.usage import NO_USAGE
from gateway.experiments.allowance import DAY_S, Allowance, AllowedAsk, OverAllowanceError
from gateway.upstreams.base import PlainReply
from tests.support.build import chat_request
from tests.support.clock import Clock

REPLY = PlainReply(body=b"{}", usage=NO_USAGE)


class Upstream:
    """Answers at a cost, or fails."""

    def __init__(self, cost: int | None = 30, error: Exception | None = None) -> None:
        self.cost, self.error, self.asked = cost, error, 0

    async def __call__(self, request: ModelRequest, model: str) -> tuple[PlainReply, int | None]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return REPLY, self.cost


def allowance(usd: float = 0.0001, clock: Clock | None = None) -> Allowance:
    """Return an allowance of 100 micro-dollars a day."""
    return Allowance(usd, clock or Clock(0.0))


def asking(upstream: Upstream, allowed: Allowance, ceiling: int = 50, patience_s: float = 60.0) -> AllowedAsk:
    return AllowedAsk(upstream, lambda request, model: ceiling, allowed, patience_s)


def test_what_is_held_counts_as_spent() -> None:
    allowed = allowance()

    assert [allowed.hold(60), allowed.hold(41), allowed.hold(40), allowed.hold(1)] == [True, False, True, False]


def test_what_was_not_spent_is_given_back() -> None:
    allowed = allowance()
    allowed.hold(100)

    allowed.settle(100, 10)

    assert (allowed.spent_microusd, allowed.held_microusd) == (10, 0)
    assert allowed.hold(90)


def test_a_new_day_has_all_of_it() -> None:
    clock = Clock(DAY_S - 1)
    allowed = allowance(clock=clock)
    allowed.hold(100)
    allowed.settle(100, 100)

    clock.now = DAY_S

    assert allowed.spent_microusd == 0
    assert allowed.hold(100)


def test_calls_under_way_at_midnight_count_on_the_day_they_end() -> None:
    clock = Clock(DAY_S - 1)
    allowed = allowance(clock=clock)
    allowed.hold(60)
    clock.now = DAY_S

    assert not allowed.hold(41)
    allowed.settle(60, 50)
    assert allowed.spent_microusd == 50


async def test_a_call_is_charged_what_it_cost() -> None:
    allowed = allowance()

    call = await asking(Upstream(cost=30), allowed)(chat_request(), "gpt-5")

    assert (call.cost_microusd, call.charged_microusd) == (30, 30)
    assert (allowed.spent_microusd, allowed.held_microusd) == (30, 0)


async def test_a_call_of_unknown_cost_is_charged_its_ceiling() -> None:
    allowed = allowance()

    call = await asking(Upstream(cost=None), allowed)(chat_request(), "gpt-5")

    assert (call.cost_microusd, call.charged_microusd) == (None, 50)
    assert allowed.spent_microusd == 50


async def test_nobody_is_asked_what_could_cost_more_than_is_left() -> None:
    upstream, allowed = Upstream(), allowance()

    with pytest.raises(OverAllowanceError):
        await asking(upstream, allowed, ceiling=101)(chat_request(), "gpt-5")

    assert upstream.asked == 0
    assert allowed.held_microusd == 0


@pytest.mark.parametrize(
    ("error", "charged"),
    [(UpstreamRefusedError("no", status=400), 0), (ValueError("odd"), 0), (UpstreamTimeoutError("late"), 50)],
)
async def test_a_failure_is_charged_only_if_it_may_be_billed(error: Exception, charged: int) -> None:
    allowed = allowance()

    with pytest.raises(type(error)):
        await asking(Upstream(error=error), allowed)(chat_request(), "gpt-5")

    assert (allowed.spent_microusd, allowed.held_microusd) == (charged, 0)


async def test_a_call_that_takes_too_long_ends_and_is_charged_its_ceiling() -> None:
    async def never(request: ModelRequest, model: str) -> tuple[PlainReply, int | None]:
        await asyncio.Event().wait()
        return REPLY, 0

    allowed = allowance()

    with pytest.raises(TimeoutError):
        await AllowedAsk(never, lambda request, model: 50, allowed, 0.0)(chat_request(), "gpt-5")

    assert (allowed.spent_microusd, allowed.held_microusd) == (50, 0)


async def test_many_at_once_never_spend_more_than_there_is() -> None:
    allowed = allowance()
    ask = asking(Upstream(cost=50), allowed)

    results = await asyncio.gather(*(ask(chat_request(), "gpt-5") for _ in range(10)), return_exceptions=True)

    assert sum(isinstance(result, OverAllowanceError) for result in results) == 8
    assert allowed.spent_microusd == 100
