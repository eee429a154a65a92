"""Holds on Redis: what the other stores need not do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

from gateway.domain.errors import StageUnavailableError
from gateway.redis.slot import slot_key
from policies.meters import MAX_CAP, NOTHING, Demand, Meter
from policies.stores.holds.base import Granted, HoldStore, Refused
from policies.stores.holds.redis import UNLISTED_MS, RedisHoldStore
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow
from tests.support.redis_server import RedisServer, hold_store, reached

MINUTE = Meter("org|requests|60", "organisation", "requests", 100, SlidingWindow(60))
BUDGET = Meter("org|microusd|day", "organisation", "microusd", 10_000, CalendarWindow("day"))
PLACES = Meter("org|concurrency", "organisation", "concurrency", 50, None)
METERS = (MINUTE, BUDGET, PLACES)
CEILING = (Demand(1, 10, 10, 100),)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisHoldStore]:
    made = hold_store(server.url, "acme")
    yield made
    await made.close()


async def used(store: HoldStore, *meters: Meter) -> tuple[int, ...]:
    return tuple(one.used for one in await store.standing(meters or METERS))


@pytest.mark.parametrize("organisation", ["", "a{b", "a}b"])
def test_an_organisation_that_would_leave_its_slot_is_refused(organisation: str) -> None:
    with pytest.raises(ValueError, match="no name of an organisation"):
        slot_key(organisation)


async def test_every_key_carries_the_hash_tag_of_the_organisation(server: RedisServer, store: RedisHoldStore) -> None:
    await store.reserve("a", METERS, CEILING, lease_s=60)

    keys = server.command("KEYS", "*")

    assert len(keys) == len(METERS) + 2
    assert all(key.startswith(b"tierway:{acme}:") for key in keys)


async def test_organisations_do_not_see_each_other(server: RedisServer, store: RedisHoldStore) -> None:
    other = hold_store(server.url, "other")
    await store.reserve("a", METERS, CEILING, lease_s=60)

    assert await used(other) == (0, 0, 0)
    assert await other.outstanding() == 0
    assert (await other.settle("a", NOTHING)).was_known is False
    await other.close()


async def test_a_meter_that_nobody_asks_for_vanishes_and_a_total_stays(server: RedisServer) -> None:
    store = hold_store(server.url, "acme")
    total = Meter("total", "organisation", "microusd", 1000, TotalWindow())
    await store.reserve("a", (*METERS, total), CEILING, lease_s=60)
    await store.settle("a", CEILING[0])

    lives = {key: server.command("PTTL", key) for key in server.command("KEYS", "*")}

    assert 60_000 < lives.pop(b"tierway:{acme}:meter:org|requests|60") <= 61_000 + 7_200_000
    assert 86_400_000 < lives.pop(b"tierway:{acme}:meter:org|microusd|day") <= 86_400_000 + 7_200_000
    assert lives == {b"tierway:{acme}:meter:total": -1}
    await store.close()


async def test_scripts_are_loaded_again_when_redis_forgot_them(server: RedisServer, store: RedisHoldStore) -> None:
    await store.reserve("a", METERS, CEILING, lease_s=60)
    server.command("SCRIPT", "FLUSH")

    settled = await store.settle("a", CEILING[0])
    server.command("SCRIPT", "FLUSH")

    assert settled.was_known
    assert isinstance(await store.reserve("b", METERS, CEILING, lease_s=60), Granted)


async def test_a_hold_is_settled_by_a_replica_that_did_not_make_it(server: RedisServer, store: RedisHoldStore) -> None:
    other = hold_store(server.url, "acme")
    await store.reserve("a", METERS, CEILING, lease_s=60)

    settled = await other.settle("a", Demand(1, 10, 10, 130))

    assert settled.was_known
    assert settled.under_reserved == Demand(0, 0, 0, 30)
    assert await used(store) == (1, 130, 0)
    assert (await store.settle("a", CEILING[0])).was_known is False
    await other.close()


async def test_a_hold_is_ended_by_a_replica_that_did_not_make_it(server: RedisServer, store: RedisHoldStore) -> None:
    other = hold_store(server.url, "acme", on_expiry="release")
    for number in range(250):
        await store.reserve(str(number), (PLACES, BUDGET), (Demand(1, 0, 0, 1),), lease_s=5)

    ended = await asyncio.gather(other.sweep(time.time() + 6), store.sweep(time.time() + 6))

    ids = [one.hold_id for some in ended for one in some]
    assert len(ids) == len(set(ids)) == 50
    assert await store.outstanding() == 0
    assert (await used(store))[2] == 0
    await other.close()


async def test_a_hold_ended_by_a_killed_process_is_listed_by_another(server: RedisServer) -> None:
    now = time.time()
    killed, other = (hold_store(server.url, "acme", lambda: now) for _ in range(2))
    await killed.reserve("a", METERS, CEILING, lease_s=5)
    ended = await killed.sweep(now + 6)  # and nobody is told of it

    assert [one.hold_id for one in ended] == ["a"]
    assert await other.sweep(now + 7) == []
    assert await other.sweep(now + 6 + UNLISTED_MS / 1000) == ended
    assert await other.sweep(now + 60) == []
    assert server.command("EXISTS", "tierway:{acme}:ended") == 0
    await killed._redis.close()
    await other.close()


@pytest.mark.parametrize("closes", [False, True])
async def test_a_hold_that_ended_is_forgotten_when_its_store_sweeps_again_or_closes(
    server: RedisServer, store: RedisHoldStore, *, closes: bool
) -> None:
    await store.reserve("a", METERS, CEILING, lease_s=5)
    assert len(await store.sweep(time.time() + 6)) == 1
    assert server.command("HLEN", "tierway:{acme}:ended") == 1

    await (store.close() if closes else store.sweep())

    assert server.command("HLEN", "tierway:{acme}:ended") == 0


async def test_a_hold_is_exchanged_by_a_replica_that_did_not_make_it(
    server: RedisServer, store: RedisHoldStore
) -> None:
    other = hold_store(server.url, "acme")
    await store.reserve("a", METERS, CEILING, lease_s=60)

    answer = await other.exchange("a", Demand(1, 10, 10, 9_999), meters=(BUDGET,))

    assert isinstance(answer, Granted)
    assert await used(store) == (0, 9_999, 0)
    assert (await store.settle("a", Demand(1, 10, 10, 5))).was_known
    assert await used(store) == (0, 5, 0)
    await other.close()


async def test_a_meter_of_another_unit_or_window_is_refused(store: RedisHoldStore) -> None:
    await store.reserve("a", (MINUTE,), CEILING, lease_s=60)
    changed = Meter(MINUTE.key, "organisation", "requests", 100, SlidingWindow(30))

    with pytest.raises(ValueError, match="another unit or window"):
        await store.reserve("b", (changed,), CEILING, lease_s=60)
    with pytest.raises(ValueError, match="another unit or window"):
        await store.standing((changed,))


async def test_counts_stay_exact_up_to_what_a_double_holds(store: RedisHoldStore) -> None:
    vast = Meter("vast", "organisation", "microusd", MAX_CAP, TotalWindow())
    for number in range(3):
        await store.reserve(str(number), (vast,), (Demand(1, 0, 0, 10**12),), lease_s=60)
        await store.settle(str(number), Demand(1, 0, 0, 10**12 - 1))

    (standing,) = await store.standing((vast,))

    assert standing.used == 3 * (10**12 - 1)
    assert standing.cap == MAX_CAP


async def test_a_late_clock_counts_in_the_newest_bucket_of_another_replica(server: RedisServer) -> None:
    early = hold_store(server.url, "acme", lambda: 1_800_000_010.0)
    late = hold_store(server.url, "acme", lambda: 1_799_999_999.0)
    limit = (Meter("limit", "organisation", "requests", 2, CalendarWindow("day")),)
    await early.reserve("a", limit, CEILING, lease_s=60)
    await late.reserve("b", limit, CEILING, lease_s=60)

    assert isinstance(await early.reserve("c", limit, CEILING, lease_s=60), Refused)
    assert isinstance(await late.reserve("d", limit, CEILING, lease_s=60), Refused)
    await early.close()
    await late.close()


async def test_a_caller_cancelled_before_its_reserve_was_sent_holds_nothing(store: RedisHoldStore) -> None:
    await store.outstanding()
    call = asyncio.ensure_future(store.reserve("a", METERS, CEILING, lease_s=60))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert await store.outstanding() == 0


async def test_a_caller_cancelled_after_its_reserve_was_sent_holds_nothing(
    server: RedisServer, store: RedisHoldStore
) -> None:
    await store.outstanding()
    server.pause()
    call = asyncio.ensure_future(store.reserve("a", METERS, CEILING, lease_s=60))
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    server.go_on()

    assert await used(store) == (0, 0, 0)
    assert await store.outstanding() == 0


async def test_a_reserve_that_arrives_after_it_was_given_up_holds_nothing(server: RedisServer) -> None:
    store = hold_store(server.url, "acme", command_timeout_s=0.1)
    await store.outstanding()
    server.pause()
    with pytest.raises(StageUnavailableError):
        await store.reserve("a", METERS, CEILING, lease_s=60)
    assert store.queued == 1
    server.go_on()
    await reached(lambda: store.is_available)

    assert await used(store) == (0, 0, 0)
    assert await store.outstanding() == 0
    assert isinstance(await store.reserve("a", METERS, CEILING, lease_s=60), Granted)
    await store.close()


async def test_a_reserve_taken_back_before_it_arrives_holds_nothing(store: RedisHoldStore) -> None:
    plan = store._plan(METERS)
    token = f"{store._name}.0"
    await store._redis.keep(store._release_command(plan, "a", token))

    with pytest.raises(StageUnavailableError):
        await store.reserve("a", METERS, CEILING, lease_s=60)

    assert await store.outstanding() == 0
    assert isinstance(await store.reserve("a", METERS, CEILING, lease_s=60), Granted)
    assert await store.outstanding() == 1


async def test_settlements_wait_for_redis_and_are_made_once(server: RedisServer) -> None:
    store = hold_store(server.url, "acme", command_timeout_s=0.1)
    for number in range(20):
        await store.reserve(str(number), METERS, CEILING, lease_s=60)
    server.pause()

    settled = await asyncio.gather(*(store.settle(str(number), Demand(1, 1, 1, 107)) for number in range(20)))
    assert all(one.was_known and one.under_reserved == Demand(0, 0, 0, 7) for one in settled)
    assert not store.is_available
    assert store.queued == 20
    with pytest.raises(StageUnavailableError):
        await store.reserve("late", METERS, CEILING, lease_s=60)
    server.go_on()
    await reached(lambda: store.is_available)

    assert await used(store) == (20, 20 * 107, 0)
    assert await store.outstanding() == 0
    assert (store.queued, store.dropped) == (0, 0)
    await store.close()


async def test_a_settlement_never_raises_whatever_is_known_of_the_hold(server: RedisServer) -> None:
    store = hold_store(server.url, "acme")
    await store.reserve("a", METERS, CEILING, lease_s=60)
    server.kill()

    assert (await store.settle("a", CEILING[0])).was_known
    assert (await store.settle("never made", CEILING[0])).was_known is False
    assert await store.release("never made") is False
    await store.close()


async def test_a_redis_that_is_out_of_memory_grants_nothing_and_loses_no_settlement(server: RedisServer) -> None:
    store = hold_store(server.url, "acme")
    await store.reserve("a", METERS, CEILING, lease_s=60)
    server.command("CONFIG", "SET", "maxmemory", "1")

    with pytest.raises(StageUnavailableError):
        await store.reserve("b", METERS, CEILING, lease_s=60)
    assert (await store.settle("a", Demand(1, 1, 1, 50))).was_known
    server.command("CONFIG", "SET", "maxmemory", "0")
    await reached(lambda: store.is_available)

    assert await used(store) == (1, 50, 0)
    await store.close()


async def test_a_slow_redis_is_given_up_quickly(server: RedisServer) -> None:
    store = hold_store(server.url, "acme")
    await store.outstanding()
    sleeper = Redis(port=server.port, socket_timeout=5)
    nap = "local t = redis.call('TIME')[1] + 2 while tonumber(redis.call('TIME')[1]) < t do end"
    sleeping = asyncio.get_running_loop().run_in_executor(None, sleeper.eval, nap, 0)
    await asyncio.sleep(0.1)
    started = time.perf_counter()

    with pytest.raises(StageUnavailableError):
        await store.reserve("a", METERS, CEILING, lease_s=60)

    assert time.perf_counter() - started < 0.8
    await asyncio.wait([sleeping])
    sleeper.close()
    await reached(lambda: store.is_available)
    assert await store.outstanding() == 0
    await store.close()


def test_each_script_opens_with_what_it_takes_and_keeps() -> None:
    folder = Path(__file__).parents[5] / "policies" / "stores" / "lua"
    for path in folder.glob("*.lua"):
        head = path.read_text().partition("\n\n")[0]
        assert "Invariant:" in path.read_text(), path.name
        assert path.name == "counter.lua" or all(word in head for word in ("KEYS", "ARGV", "Returns")), path.name
