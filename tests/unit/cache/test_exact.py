from __future__ import annotations

import pytest

from cache.backends.memory import MemoryBackend
from cache.catalogue import build_cache
from cache.exact import ExactCache
from cache.settings import CacheSettings
from gateway.domain.usage import Usage
from tests.support.build import caller, chat_request

KEY = b"k" * 32
USAGE = Usage(input_tokens=1)


class House:
    def __init__(self, ttl_s: float = 60.0) -> None:
        self.now = 1000.0
        self.backend = MemoryBackend(2**20)
        self.cache = ExactCache(CacheSettings(exact=True, ttl_s=ttl_s), self.backend, clock=lambda: self.now)


async def test_what_was_stored_is_found_with_its_age() -> None:
    house = House()
    await house.cache.store(KEY, b"{}", USAGE, "m")
    house.now += 12.5

    hit = await house.cache.look_up(KEY)

    assert hit is not None
    assert (hit.kind, hit.age_s) == ("exact", 12.5)
    assert (hit.entry.body, hit.entry.usage, hit.entry.answered_model) == (b"{}", USAGE, "m")


async def test_what_was_not_stored_is_not_found() -> None:
    assert await House().cache.look_up(KEY) is None


async def test_an_answer_lives_as_long_as_the_settings_say() -> None:
    house = House(ttl_s=60)
    await house.cache.store(KEY, b"{}", USAGE, "m")
    house.now += 59.9
    assert await house.cache.look_up(KEY)

    house.now += 0.1

    assert await house.cache.look_up(KEY) is None
    assert house.backend.bytes == 0


async def test_an_answer_stored_again_is_young_again() -> None:
    house = House(ttl_s=60)
    await house.cache.store(KEY, b"1", USAGE, "m")
    house.now += 59
    await house.cache.store(KEY, b"2", USAGE, "m")
    house.now += 59

    hit = await house.cache.look_up(KEY)

    assert hit is not None
    assert hit.entry.body == b"2"


def test_streams_have_no_key() -> None:
    assert House().cache.key(caller(), chat_request(stream=True), "simple") is None
    assert House().cache.key(caller(), chat_request(), "simple") is not None


@pytest.mark.parametrize("exact", [True, False])
def test_the_settings_turn_the_cache_on(*, exact: bool) -> None:
    assert (build_cache(CacheSettings(exact=exact)) is not None) is exact
