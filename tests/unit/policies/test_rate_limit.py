from __future__ import annotations

import pytest

from gateway.domain.errors import RateLimitedError
from gateway.domain.usage import Usage
from policies.rate_limit import ConcurrencyLimit
from policies.settings import Limits
from tests.support.build import caller, chat_request


async def reserve(limit: ConcurrencyLimit):  # type: ignore[no-untyped-def]  # noqa: ANN201  a hold
    return await limit.reserve(caller(), chat_request())


async def test_without_a_bound_everybody_gets_a_place() -> None:
    limit = ConcurrencyLimit(Limits())

    for _ in range(100):
        await reserve(limit)

    assert limit.in_flight == 100


async def test_one_too_many_is_refused_and_told_to_wait() -> None:
    limit = ConcurrencyLimit(Limits(concurrency=2))
    for _ in range(2):
        await reserve(limit)

    with pytest.raises(RateLimitedError) as caught:
        await reserve(limit)

    assert caught.value.retry_after_s > 0
    assert limit.in_flight == 2


@pytest.mark.parametrize("end", ["settle", "release"])
async def test_a_place_given_back_is_free(end: str) -> None:
    limit = ConcurrencyLimit(Limits(concurrency=1))
    place = await reserve(limit)

    if end == "settle":
        place.settle(Usage(output_tokens=5), 10)
    else:
        place.release()

    assert limit.in_flight == 0
    await reserve(limit)


async def test_a_place_is_given_back_once() -> None:
    limit = ConcurrencyLimit(Limits(concurrency=5))
    first, _ = await reserve(limit), await reserve(limit)

    first.release()
    first.settle(Usage(), 0)
    first.release()

    assert limit.in_flight == 1


async def test_new_settings_hold_for_what_is_in_flight() -> None:
    limit = ConcurrencyLimit(Limits())
    for _ in range(3):
        await reserve(limit)

    limit.update(Limits(concurrency=3))
    with pytest.raises(RateLimitedError):
        await reserve(limit)
    limit.update(Limits(concurrency=4))

    await reserve(limit)
    assert limit.in_flight == 4
