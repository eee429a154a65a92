from __future__ import annotations

import pytest

from gateway.exchange import CLIENT_CLOSED_REQUEST, Exchange
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
