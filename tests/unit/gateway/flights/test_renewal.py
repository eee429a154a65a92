from __future__ import annotations

import asyncio

from gateway.domain.errors import StageUnavailableError
from gateway.flights.renewal import Renewal
from tests.support.virtual_time import in_virtual_time


class Renewed:
    """Counts what is renewed."""

    def __init__(self, answer: bool | Exception = True) -> None:  # noqa: FBT001, FBT002  what is answered
        self.times: list[str] = []
        self.answer = answer

    async def renew(self, held: str) -> bool:
        self.times.append(held)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@in_virtual_time
async def test_what_is_held_is_renewed_until_it_is_given_back() -> None:
    renewed = Renewed()
    renewal = Renewal(renewed.renew, 1.0)
    renewal.begin("a")
    await asyncio.sleep(1.5)
    renewal.begin("b")
    await asyncio.sleep(1.0)
    renewal.end("a")
    await asyncio.sleep(1.0)

    assert sorted(renewed.times) == ["a", "a", "b", "b"]
    await renewal.close()


@in_virtual_time
async def test_what_is_lost_is_counted_and_renewed_no_longer() -> None:
    renewed = Renewed(answer=False)
    renewal = Renewal(renewed.renew, 1.0)
    renewal.begin("a")
    await asyncio.sleep(5.0)

    assert renewed.times == ["a"]
    assert renewal.lost == 1


@in_virtual_time
async def test_a_store_that_is_away_is_asked_again() -> None:
    renewed = Renewed(StageUnavailableError("away"))
    renewal = Renewal(renewed.renew, 1.0)
    renewal.begin("a")
    await asyncio.sleep(3.5)

    assert renewed.times == ["a"] * 3
    assert renewal.lost == 0
    await renewal.close()


@in_virtual_time
async def test_no_task_is_left_when_nothing_is_held() -> None:
    renewed = Renewed()
    renewal = Renewal(renewed.renew, 1.0)
    renewal.begin("a")
    renewal.end("a")
    await asyncio.sleep(2.0)
    left = len(asyncio.all_tasks())
    renewal.begin("b")
    await asyncio.sleep(1.5)

    assert left == 1
    assert renewed.times == ["b"]
    await renewal.close()
    await renewal.close()
