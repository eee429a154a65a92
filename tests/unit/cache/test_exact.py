from __future__ import annotations

from cache.backends.memory import MemoryBackend
from cache.base import Selection, number_of
from cache.exact import About, ExactCache
from cache.scope import Grounds
from cache.settings import CacheSettings
from gateway.domain.usage import Usage
from tests.support.build import caller, chat_request

KEY = b"k" * 32
USAGE = Usage(input_tokens=1)


class House:
    def __init__(self, ttl_s: float = 60.0) -> None:
        self.now = 1000.0
        self.backend = MemoryBackend(2**20)
        self.cache = ExactCache(
            CacheSettings(exact=True, ttl_s=ttl_s, ttl_jitter=0), self.backend, clock=lambda: self.now
        )


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


def test_a_stream_has_the_key_of_its_plain_form() -> None:
    cache, grounds = House().cache, Grounds(sharing="team", tier="simple")

    key = cache.key_of(caller(), chat_request(), grounds)

    assert key is not None
    assert cache.key_of(caller(), chat_request(stream=True), grounds) == key


async def test_an_entry_under_another_key_of_the_same_number_is_a_miss() -> None:
    house = House()
    await house.cache.store(KEY, b"{}", USAGE, "m")

    assert await house.cache.look_up(KEY[:8] + b"x" * 24) is None
    assert await house.cache.look_up(KEY) is not None


async def test_an_older_answer_than_is_wanted_stays_for_others() -> None:
    house = House()
    await house.cache.store(KEY, b"{}", USAGE, "m")
    house.now += 10

    assert await house.cache.look_up(KEY, max_age_s=9.9) is None
    assert await house.cache.look_up(KEY, max_age_s=10) is not None


async def test_a_clock_that_was_set_back_makes_no_answer_younger_than_new() -> None:
    house = House()
    await house.cache.store(KEY, b"{}", USAGE, "m")
    house.now -= 100

    hit = await house.cache.look_up(KEY)

    assert hit is not None
    assert hit.age_s == 0


async def test_a_hit_tells_the_entrys_id_by_which_it_is_deleted() -> None:
    house = House()
    await house.cache.store(KEY, b"{}", USAGE, "m")
    hit = await house.cache.look_up(KEY)
    assert hit is not None

    assert await house.cache.delete(hit.entry_id)

    assert await house.cache.look_up(KEY) is None
    assert not await house.cache.delete(hit.entry_id)
    assert not await house.cache.delete("nonsense")


async def test_an_entry_found_by_likeness_is_given_within_its_scope_only() -> None:
    house = House()
    await house.cache.store(KEY, b"{}", USAGE, "m", About(scope=b"here"))
    number = number_of(KEY)

    hit = await house.cache.entry(number, scope=b"here", similarity=0.94)

    assert hit is not None
    assert (hit.kind, hit.similarity) == ("semantic", 0.94)
    assert await house.cache.entry(number, scope=b"there", similarity=1) is None
    assert await house.cache.entry(number + 1, scope=b"here", similarity=1) is None


async def test_what_is_noted_with_an_answer_is_kept() -> None:
    house = House()
    about = About(model="faq", tenant="team:a", scope=b"s", cost_microusd=7)

    await house.cache.store(KEY, b"{}", USAGE, "m", about)

    hit = await house.cache.look_up(KEY)
    assert hit is not None
    kept = hit.entry
    assert (kept.key, kept.tenant, kept.scope, kept.cost_microusd) == (KEY, "team:a", b"s", 7)


async def test_a_tenant_is_forgotten() -> None:
    house = House()
    await house.cache.store(KEY, b"{}", USAGE, "m", About(tenant="team:a"))
    await house.cache.store(b"x" * 32, b"{}", USAGE, "m", About(tenant="team:b"))

    assert await house.cache.clear(Selection(tenant="team:a")) == 1

    assert await house.cache.look_up(KEY) is None
    assert await house.cache.look_up(b"x" * 32) is not None


async def test_a_models_answers_live_as_long_as_its_setting_says() -> None:
    settings = CacheSettings(exact=True, ttl_s=60, ttl_of={"faq": 5.0}, ttl_jitter=0)
    now = [0.0]
    cache = ExactCache(settings, MemoryBackend(2**20), clock=lambda: now[0])
    await cache.store(KEY, b"{}", USAGE, "m", About(model="faq"))
    now[0] = 5

    assert await cache.look_up(KEY) is None


async def test_what_happened_is_counted() -> None:
    house = House()
    await house.cache.look_up(KEY)
    await house.cache.store(KEY, b"{}", USAGE, "m")
    await house.cache.look_up(KEY)
    house.now += 10
    await house.cache.look_up(KEY, max_age_s=5)
    house.now += 60
    await house.cache.look_up(KEY)

    assert house.cache.counters() == {
        "miss": 1,
        "stored": 1,
        "hit": 1,
        "too_old": 1,
        "expired": 1,
        "failed": 0,
        "unreadable": 0,
    }
