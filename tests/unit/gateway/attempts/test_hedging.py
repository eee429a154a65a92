from __future__ import annotations

import asyncio

import pytest

from gateway.domain.errors import BudgetExhaustedError, UpstreamRefusedError
from router.settings import HedgeSettings, RouterSettings
from tests.support.attempting import Attempting, Scripted, Stream, plain
from tests.support.virtual_time import in_virtual_time

SETTINGS = RouterSettings(hedge=HedgeSettings(allowance=0.5, least_s=0.0))


def warmed(*outcomes: object, second: object = None, settings: RouterSettings = SETTINGS) -> Attempting:
    """Return a house whose first model has answered often enough to know how long it takes."""
    house = Attempting([Scripted("a", *outcomes), Scripted("b", second or (0.1, plain("b")))], settings=settings)
    for _ in range(64):
        house.learned.health.begin("a", "key_1").succeed(0.2)
    return house


@in_virtual_time
async def test_a_slow_call_is_attempted_twice_and_the_first_byte_wins() -> None:
    house = warmed((30.0, plain("a")))
    loop = asyncio.get_running_loop()
    began = loop.time()

    opened, reply = await house.ask()

    assert reply == plain("b")
    assert (opened.routed_model, opened.upstream) == ("b", "b")
    assert loop.time() - began == pytest.approx(0.3, abs=0.05)
    assert house.upstreams["a"].cancelled == 1
    assert house.learned.events["hedge"] == house.learned.events["hedge_won"] == 1


@in_virtual_time
async def test_the_loser_is_charged_for_the_prompt_it_was_sent() -> None:
    house = warmed((30.0, plain("a")))

    opened, _ = await house.ask()

    assert opened.aside == (("a", house.asker.estimate(opened.request, "a")),)  # type: ignore[arg-type]
    assert house.admission.covered[-1] == ("a", "b")


@in_virtual_time
async def test_the_first_call_may_still_win() -> None:
    house = warmed((0.25, plain("a")), second=(5.0, plain("b")))

    opened, reply = await house.ask()

    assert reply == plain("a")
    assert [name for name, _ in opened.aside] == ["b"]
    assert opened.degraded == ()


@in_virtual_time
async def test_a_quick_answer_is_not_hedged() -> None:
    house = warmed((0.1, plain("a")))

    await house.ask()

    assert len(house.upstreams["b"].calls) == 0


@in_virtual_time
async def test_what_cannot_be_held_for_twice_is_attempted_once() -> None:
    house = warmed((3.0, plain("a")))
    house.admission.refusal = BudgetExhaustedError("x", status=429, retry_after_s=None, standing=None)

    _, reply = await house.ask()

    assert reply == plain("a")
    assert len(house.upstreams["b"].calls) == 0


@in_virtual_time
async def test_no_more_is_hedged_than_the_allowance_has() -> None:
    settings = RouterSettings(hedge=HedgeSettings(allowance=0.0, least_s=0.0))
    house = warmed((3.0, plain("a")), settings=settings)

    for _ in range(30):
        await house.ask()

    assert house.learned.events["hedge"] == 10


@in_virtual_time
async def test_the_request_goes_on_with_the_winners_stream_and_its_timer() -> None:
    stream = Stream()
    house = warmed((30.0, plain("a")), second=(0.1, stream))
    opened = house.open()
    before = opened.patience

    reply = await house.attempts.answer(opened, opened.request)  # type: ignore[arg-type]
    opened.patience.wait(5.0)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(10)
    await opened.close()

    assert reply is stream
    assert opened.patience is not before
    assert stream.closed == 1


@in_virtual_time
async def test_when_both_fail_the_first_ones_failure_counts_and_others_are_asked() -> None:
    error = UpstreamRefusedError("x", status=400)
    house = warmed((1.0, error), second=(1.0, UpstreamRefusedError("y", status=422)))

    with pytest.raises(UpstreamRefusedError) as caught:
        await house.ask()

    assert caught.value is error


@in_virtual_time
async def test_a_caller_that_leaves_ends_both_calls() -> None:
    house = warmed((30.0, plain("a")), second=(30.0, plain("b")))
    opened = house.open()
    task = asyncio.create_task(house.ask(opened))
    await asyncio.sleep(5)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [house.upstreams[name].cancelled for name in "ab"] == [1, 1]
    assert [house.learned.health.in_flight(name) for name in "ab"] == [0, 0]
    assert [name for name, _ in opened.aside] == ["b"]
