from __future__ import annotations

import asyncio

import pytest

from gateway.exchange import CLIENT_CLOSED_REQUEST, Exchange
from policies.governor import FREE
from router.base import Decision
from tests.support.build import exchange


async def test_what_was_taken_is_given_back_in_reverse_order() -> None:
    opened = exchange()
    given_back: list[str] = []
    for name in ("first", "second"):
        opened.on_close(noting(given_back, name))

    await opened.close()

    assert given_back == ["second", "first"]


async def test_closing_twice_gives_back_once() -> None:
    opened = exchange()
    given_back: list[str] = []
    opened.on_close(noting(given_back, "only"))

    await opened.close()
    await opened.close()

    assert given_back == ["only"]


async def test_every_closer_runs_whatever_the_others_raise() -> None:
    opened = exchange()
    given_back: list[str] = []
    opened.on_close(noting(given_back, "first"))
    opened.on_close(failing(RuntimeError("later")))
    opened.on_close(failing(ValueError("sooner")))

    with pytest.raises(ValueError, match="sooner"):
        await opened.close()

    assert given_back == ["first"]


async def test_a_closer_may_add_another() -> None:
    opened = exchange()
    given_back: list[str] = []

    async def adding() -> None:
        opened.on_close(noting(given_back, "added"))

    opened.on_close(adding)

    await opened.close()

    assert given_back == ["added"]


async def test_a_new_exchange_knows_nothing() -> None:
    opened = exchange()

    assert opened.tier == "none"
    assert opened.status == 0
    assert opened.cost_microusd is None
    assert CLIENT_CLOSED_REQUEST == 499


async def test_the_tier_is_the_decisions() -> None:
    opened = exchange()
    opened.decision = Decision(tier="medium", confidence=1.0, reason="named", candidates=("m",))

    assert opened.tier == "medium"


async def test_a_model_of_no_tier_has_the_tier_none() -> None:
    opened = exchange()
    opened.decision = Decision(tier=None, confidence=1.0, reason="pinned", candidates=("m",))

    assert opened.tier == "none"


async def test_the_overhead_ends_with_the_first_byte_and_leaves_out_the_upstream() -> None:
    opened = exchange()
    opened.first_byte_s, opened.upstream_s = 3.0, 2.0

    assert opened.overhead_s == 1.0


async def test_the_overhead_is_never_negative() -> None:
    opened = exchange()
    opened.first_byte_s, opened.upstream_s = 1.0, 2.0

    assert opened.overhead_s == 0.0


async def test_time_passes() -> None:
    opened: Exchange = exchange()
    opened.started -= 5

    assert opened.elapsed_s >= 5
    assert opened.overhead_s >= 5


def noting(notes: list[str], name: str):  # type: ignore[no-untyped-def]  # noqa: ANN201  a closer
    async def note() -> None:
        notes.append(name)

    return note


def failing(error: Exception):  # type: ignore[no-untyped-def]  # noqa: ANN201  a closer
    async def fail() -> None:
        raise error

    return fail


async def test_what_was_consumed_is_charged_once_and_at_the_latest_at_the_end() -> None:
    for ends_early in (True, False):
        opened = exchange()
        charged: list[str] = []
        opened.settle_with(noting(charged, "charged"))

        if ends_early:
            await opened.settle()
            assert charged == ["charged"]
        await opened.close()
        await opened.settle()

        assert charged == ["charged"]


async def test_what_was_taken_later_is_given_back_before_the_charge() -> None:
    opened = exchange()
    order: list[str] = []
    opened.settle_with(noting(order, "charged"))
    opened.on_close(noting(order, "stream closed"))

    await opened.close()

    assert order == ["stream closed", "charged"]


async def test_a_second_hold_takes_the_place_of_the_first() -> None:
    opened = exchange()
    charged: list[str] = []
    opened.settle_with(noting(charged, "first"))
    opened.settle_with(noting(charged, "second"))

    await opened.close()

    assert charged == ["second"]


async def test_a_request_is_settled_once_it_was_held_and_charged() -> None:
    opened = exchange()
    assert not opened.is_settled
    opened.hold = FREE
    opened.settle_with(noting([], "charged"))
    assert not opened.is_settled

    await opened.settle()

    assert opened.is_settled


async def test_a_hold_has_the_requests_id_unless_it_was_given_one() -> None:
    task = asyncio.current_task()
    assert task is not None

    assert exchange(request_id="sent-by-the-caller").hold_id == "sent-by-the-caller"
    assert Exchange("sent-by-the-caller", {}, "", task, "made-here").hold_id == "made-here"
