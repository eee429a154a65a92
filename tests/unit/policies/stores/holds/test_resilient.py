"""Holds while Redis is lost, and after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from gateway.domain.errors import StageUnavailableError, StateLostError
from policies.meters import NOTHING, Demand, Meter
from policies.stores.holds.base import Granted, Refused, Settled
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow
from tests.support.redis_server import RedisServer, reached
from tests.support.resilience import Replica, acquaint

KEEPING = ("appendonly yes", "appendfsync always")
LIMIT = Meter("org|requests|3600", "organisation", "requests", 100, SlidingWindow(3600))
SPENT = Meter("org|microusd|total", "organisation", "microusd", 10_000, TotalWindow())
BUDGET = Meter("team|microusd|day", "team 'a'", "microusd", 10_000, CalendarWindow("day"), lost="deny")
PLACES = Meter("org|concurrency", "organisation", "concurrency", 50, None)
SHARED = (LIMIT, SPENT, PLACES)
STRICT = (LIMIT, BUDGET, PLACES)
CALL = (Demand(1, 10, 10, 100),)
LEASE_S = 60.0
HANGING_S = 5.0
"""Far longer than any call may take: the command timeout is 0.25 s."""


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(KEEPING) as started:
        yield started


@pytest.fixture
async def pair(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Replica]]:
    monkeypatch.setattr("gateway.redis.connection.CLOSE_S", 0.1)  # where Redis stays lost to the end
    made = [Replica(server.url) for _ in range(2)]
    await acquaint(*made)
    yield made
    for one in made:
        await one.close()


async def reserve(replica: Replica, name: str, meters: tuple[Meter, ...] = SHARED, **options: Any) -> Granted | Refused:
    async with asyncio.timeout(HANGING_S):
        return await replica.store.reserve(name, meters, CALL, **{"lease_s": LEASE_S, **options})


async def used(replica: Replica, *meters: Meter) -> tuple[int, ...]:
    return tuple(one.used for one in await replica.primary.standing(meters))


async def take(replicas: list[Replica], name: str, calls: int, meters: tuple[Meter, ...] = SHARED) -> list[str]:
    """Ask for holds by turns; return the names of those that were made."""
    made = []
    for number in range(calls):
        hold_id = f"{name}-{number}"
        if isinstance(await reserve(replicas[number % len(replicas)], hold_id, meters), Granted):
            made.append(hold_id)
    return made


async def settle(replicas: list[Replica], names: list[str], actual: Demand = CALL[0]) -> None:
    """Settle holds that `take` made, each where it was made."""
    for hold_id in names:
        at = int(hold_id.rpartition("-")[2]) % len(replicas)
        assert (await replicas[at].store.settle(hold_id, actual)).was_known


async def back(server: RedisServer, *replicas: Replica) -> None:
    """Start Redis, and wait until replicas have found it."""
    server.start()
    await found(*replicas)


async def found(*replicas: Replica) -> None:
    for one in replicas:
        await reached(lambda one=one: one.connection.is_available)  # type: ignore[misc]


def killed(server: RedisServer) -> None:
    server.kill()


def silent(server: RedisServer) -> None:
    server.pause()


def paused_for_clients(server: RedisServer) -> None:
    server.command("CLIENT", "PAUSE", 60_000, "ALL")


def out_of_memory(server: RedisServer) -> None:
    server.command("CONFIG", "SET", "maxmemory", "1")


def paused_briefly(server: RedisServer) -> None:
    server.command("CLIENT", "PAUSE", 1_000, "ALL")


FAULTS = (killed, silent, paused_for_clients, out_of_memory)
MENDED: dict[Callable[[RedisServer], None], Callable[[RedisServer], Any]] = {
    killed: lambda server: server.start(),
    silent: lambda server: server.go_on(),
    paused_briefly: lambda server: None,
    out_of_memory: lambda server: server.command("CONFIG", "SET", "maxmemory", "0"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_limit_that_shares_goes_on_in_shares_that_never_pass_the_cap(
    server: RedisServer, pair: list[Replica], fault: Callable[[RedisServer], None]
) -> None:
    fault(server)

    made = await take(pair, "during", 250, (LIMIT, SPENT))
    local = [one.store.local for one in pair]
    await settle(pair, made)

    assert len(made) == LIMIT.cap
    assert local == [one.store.local_grants for one in pair] == [50, 50]
    assert [one.store.local for one in pair] == [0, 0]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_budget_that_denies_refuses_with_an_error_of_its_own(
    server: RedisServer, pair: list[Replica], fault: Callable[[RedisServer], None]
) -> None:
    fault(server)

    for number in range(3):
        with pytest.raises(StateLostError) as refused:
            await reserve(pair[0], str(number), STRICT)
        assert refused.value.retry_after_s == 1.0

    assert pair[0].store.refused == 3
    assert pair[0].store.outages == 1
    assert pair[0].store.local == 0
    assert pair[0].store.is_degraded


@pytest.mark.parametrize("fault", MENDED)
async def test_after_every_fault_nothing_stays_outstanding_and_all_is_counted_once(
    server: RedisServer, pair: list[Replica], fault: Callable[[RedisServer], None]
) -> None:
    before = await take(pair, "before", 10)
    fault(server)
    at_once = (reserve(pair[0], f"during-{2 * number}") for number in range(10))
    answers = await asyncio.gather(*at_once)
    await settle(pair, before)
    await settle(pair, [f"during-{2 * number}" for number in range(10)])

    MENDED[fault](server)
    await found(*pair)
    await settle(pair, await take(pair, "after", 10))
    for one in pair:
        await one.store.sweep()

    assert all(isinstance(answer, Granted) for answer in answers)
    assert await used(pair[0], *SHARED) == (30, 3_000, 0)
    assert await pair[0].store.outstanding() == 0
    assert [(one.store.owed, one.store.local, one.primary.queued, one.primary.dropped) for one in pair] == [
        (0,) * 4
    ] * 2


async def test_while_redis_is_there_nothing_is_made_here(pair: list[Replica]) -> None:
    made = await take(pair, "before", 20)
    await settle(pair, made)

    assert await used(pair[0], *SHARED) == (20, 2_000, 0)
    assert [(one.store.outages, one.store.local_grants, one.store.is_degraded) for one in pair] == [(0, 0, False)] * 2


async def test_what_was_used_before_is_not_granted_again(server: RedisServer, pair: list[Replica]) -> None:
    before = await take(pair, "before", 80, (LIMIT,))
    server.kill()

    during = await take(pair, "during", 100, (LIMIT,))

    assert len(before) == 80
    assert len(during) == LIMIT.cap - 80


async def test_what_was_consumed_without_redis_is_added_to_it_once(server: RedisServer, pair: list[Replica]) -> None:
    await settle(pair, await take(pair, "before", 10))
    server.kill()
    during = await take(pair, "during", 10)
    await settle(pair, during[:8], Demand(1, 1, 1, 50))
    for hold_id in during[8:]:
        assert await pair[int(hold_id[-1]) % 2].store.release(hold_id)
    assert [one.store.owed for one in pair] == [2, 2]

    await back(server, *pair)
    for one in pair:
        await one.store.sweep()
        await one.store.sweep()

    assert await used(pair[0], *SHARED) == (18, 10 * 100 + 8 * 50, 0)
    assert [one.store.owed for one in pair] == [0, 0]
    assert await pair[0].store.outstanding() == 0


async def test_a_replica_pays_before_it_asks_redis_again(server: RedisServer, pair: list[Replica]) -> None:
    ours = pair[0]
    await reserve(ours, "before", (SPENT,))
    server.kill()
    await settle([ours], await take([ours], "during", 10, (SPENT,)), Demand(1, 1, 1, 990))

    await back(server, *pair)

    assert isinstance(await reserve(ours, "after", (SPENT,)), Refused)
    assert await used(ours, SPENT) == (100 + 9_900,)


async def test_holds_made_here_end_here_when_redis_is_back(server: RedisServer, pair: list[Replica]) -> None:
    ours = pair[0]
    await reserve(ours, "before")
    server.kill()
    for name in ("settled", "released", "raised"):
        await reserve(ours, name)
    first = await reserve(ours, "asked again")
    await back(server, *pair)

    assert await reserve(ours, "asked again") == first
    assert isinstance(await ours.store.exchange("raised", Demand(1, 10, 10, 300)), Granted)
    assert await ours.store.extend("raised", 5.0)
    assert await ours.store.settle("settled", Demand(1, 1, 1, 130)) == Settled(Demand(0, 0, 0, 30), was_known=True)
    assert await ours.store.release("released")
    assert (await ours.store.settle("raised", Demand(1, 1, 1, 250))).under_reserved == NOTHING
    assert await ours.store.release("asked again")
    assert (await ours.store.settle("settled", CALL[0])).was_known is False
    await ours.store.settle("before", CALL[0])
    await ours.store.sweep()

    assert await used(ours, *SHARED) == (3, 100 + 130 + 250, 0)
    assert await ours.store.outstanding() == 0


async def test_new_holds_are_made_on_redis_as_soon_as_it_is_back(server: RedisServer, pair: list[Replica]) -> None:
    await take(pair, "before", 2)
    server.kill()
    await take(pair, "during", 4)
    await back(server, *pair)

    await take(pair, "after", 4)

    assert (await used(pair[0], PLACES))[0] == 2 + 4
    assert [one.store.local for one in pair] == [2, 2]
    assert not pair[0].store.is_degraded


async def test_what_was_held_on_redis_is_settled_there_when_it_is_back(
    server: RedisServer, pair: list[Replica]
) -> None:
    made = await take(pair, "before", 20, STRICT)
    server.kill()

    await settle(pair, made, Demand(1, 1, 1, 7))
    await back(server, *pair)

    assert await used(pair[0], *STRICT) == (20, 140, 0)
    assert await pair[0].store.outstanding() == 0


async def test_an_outage_is_counted_once(server: RedisServer, pair: list[Replica]) -> None:
    for number in range(2):
        await reserve(pair[0], f"there-{number}")
        server.kill()
        await reserve(pair[0], f"lost-{number}")
        await reserve(pair[0], f"still-{number}")
        await back(server, *pair)
    await reserve(pair[0], "there again")

    assert pair[0].store.outages == 2


async def test_many_short_outages_grant_no_more_than_one(server: RedisServer, pair: list[Replica]) -> None:
    made = []
    for outage in range(4):
        server.pause()
        some = await take(pair, f"during{outage}", 80, (LIMIT,))
        server.go_on()
        await found(*pair)
        await settle(pair, some)
        made += some

    assert len(made) == LIMIT.cap
    for one in pair:
        await one.store.sweep()
    assert await used(pair[0], LIMIT) == (100,)


async def test_a_share_that_is_used_up_says_to_ask_again(server: RedisServer, pair: list[Replica]) -> None:
    big = (Demand(1, 0, 0, 6_000),)
    server.kill()

    refused = await pair[0].store.reserve("big", (SPENT,), big, lease_s=LEASE_S)
    too_big = await pair[0].store.reserve("too big", (SPENT,), (Demand(1, 0, 0, 10_001),), lease_s=LEASE_S)

    assert isinstance(refused, Refused)
    assert isinstance(too_big, Refused)
    assert (refused.cap, refused.retry_after_s) == (5_000, 1.0)
    assert too_big.retry_after_s is None


async def test_a_hold_on_redis_moves_here_for_another_ceiling(server: RedisServer, pair: list[Replica]) -> None:
    ours = pair[0]
    await reserve(ours, "a")
    server.kill()

    answer = await ours.store.exchange("a", Demand(1, 10, 10, 4_000))

    assert isinstance(answer, Granted)
    assert (await ours.store.settle("a", Demand(1, 1, 1, 3_000))).under_reserved == NOTHING
    await back(server, *pair)
    await ours.store.sweep()
    assert await used(ours, *SHARED) == (1, 3_000, 0)
    assert await ours.store.outstanding() == 0


async def test_a_hold_on_redis_stays_where_another_ceiling_is_too_much(
    server: RedisServer, pair: list[Replica]
) -> None:
    ours = pair[0]
    await reserve(ours, "shared")
    await reserve(ours, "strict", STRICT)
    server.kill()

    assert isinstance(await ours.store.exchange("shared", Demand(1, 10, 10, 6_000)), Refused)
    with pytest.raises(StateLostError):
        await ours.store.exchange("strict", Demand(1, 10, 10, 200))
    with pytest.raises(StateLostError):
        await ours.store.exchange("never made", Demand())

    await back(server, *pair)
    assert await used(ours, LIMIT, SPENT, BUDGET, PLACES) == (2, 100, 100, 2)
    assert isinstance(await ours.store.exchange("strict", Demand(1, 10, 10, 200)), Granted)


async def test_a_hold_here_takes_no_meter_that_denies(server: RedisServer, pair: list[Replica]) -> None:
    server.kill()
    await reserve(pair[0], "a")

    with pytest.raises(StateLostError):
        await pair[0].store.exchange("a", CALL[0], meters=STRICT)

    assert (await pair[0].store.settle("a", CALL[0])).was_known


async def test_a_hold_on_redis_is_not_made_again_here(server: RedisServer, pair: list[Replica]) -> None:
    await reserve(pair[0], "a")
    server.kill()

    with pytest.raises(StateLostError):
        await reserve(pair[0], "a")

    assert pair[0].store.local == 0


async def test_a_lease_on_redis_cannot_be_renewed_and_nobody_is_stopped(
    server: RedisServer, pair: list[Replica]
) -> None:
    await reserve(pair[0], "there")
    server.kill()
    await reserve(pair[0], "here")

    assert await pair[0].store.extend("there", 90.0) is False
    assert await pair[0].store.extend("here", 90.0) is True
    await back(server, *pair)
    assert await pair[0].store.extend("there", 90.0) is True


async def test_leases_here_end_while_redis_is_lost_and_are_paid(server: RedisServer, pair: list[Replica]) -> None:
    ours = pair[0]
    server.kill()
    await reserve(ours, "left alone", lease_s=5.0)

    (ended,) = await ours.store.sweep(time.time() + 6.0)

    assert (ended.hold_id, ended.charged) == ("left alone", True)
    await back(server, *pair)
    await ours.store.sweep()
    assert await used(ours, *SHARED) == (1, 100, 0)


async def test_leases_here_may_be_given_back(server: RedisServer) -> None:
    ours = Replica(server.url, on_expiry="release")
    await acquaint(ours)
    server.kill()
    await reserve(ours, "left alone", lease_s=5.0)

    (ended,) = await ours.store.sweep(time.time() + 6.0)

    assert ended.charged is False
    assert ours.store.owed == 0
    await ours.close()


async def test_how_meters_stand_is_told_by_their_shares(server: RedisServer, pair: list[Replica]) -> None:
    await reserve(pair[0], "before")
    server.kill()
    await reserve(pair[0], "during")

    limit, spent = await pair[0].store.standing((LIMIT, SPENT))

    assert (limit.used, limit.cap) == (2, 50)
    assert (spent.used, spent.cap) == (150, 5_000)
    with pytest.raises(StateLostError):
        await pair[0].store.standing(STRICT)
    with pytest.raises(StageUnavailableError):
        await pair[0].store.outstanding()


async def test_who_never_knew_how_many_share_grants_nothing(server: RedisServer) -> None:
    server.kill()
    ours = Replica(server.url)

    with pytest.raises(StateLostError):
        await reserve(ours, "a")

    await ours.close()


async def test_a_redis_that_comes_back_empty_counts_from_what_is_paid(server: RedisServer, pair: list[Replica]) -> None:
    made = await take(pair, "before", 10, STRICT)
    await pair[0].replicas.beat()
    server.kill()
    for path in (*server.folder.glob("appendonlydir/*"), *server.folder.glob("*.aof")):  # the latter before Redis 7
        path.unlink()
    await settle(pair, await take(pair, "during", 6), Demand(1, 1, 1, 10))
    await back(server, *pair)

    for hold_id in made:
        await pair[0].store.settle(hold_id, CALL[0])
    for one in pair:
        await one.store.sweep()
        await one.replicas.beat()

    assert await used(pair[0], LIMIT, SPENT, BUDGET, PLACES) == (6, 60, 0, 0)
    assert await pair[0].store.outstanding() == 0
    assert pair[0].replicas.wipes == 1


async def test_a_call_that_redis_would_not_carry_out_is_no_outage(server: RedisServer, pair: list[Replica]) -> None:
    server.command("SET", "tierway:{acme}:meter:broken", "a text where a meter should be")
    broken = Meter("broken", "organisation", "requests", 5, SlidingWindow(60))

    with pytest.raises(StageUnavailableError) as refused:
        await reserve(pair[0], "a", (broken,))

    assert not isinstance(refused.value, StateLostError)
    assert pair[0].store.outages == 0
    assert isinstance(await reserve(pair[0], "b"), Granted)


async def test_many_who_come_back_at_once_pay_once(server: RedisServer, pair: list[Replica]) -> None:
    server.kill()
    await settle([pair[0]], await take([pair[0]], "during", 10))
    await back(server, *pair)

    answers = await asyncio.gather(*(reserve(pair[0], f"after-{number}") for number in range(40)))

    assert all(isinstance(answer, Granted) for answer in answers)
    assert await used(pair[0], LIMIT) == (50,)


async def test_a_caller_who_leaves_does_not_stop_the_payment(server: RedisServer, pair: list[Replica]) -> None:
    server.kill()
    await settle([pair[0]], await take([pair[0]], "during", 10))
    await back(server, *pair)
    leaving = asyncio.ensure_future(reserve(pair[0], "leaves"))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait((leaving,))

    await reserve(pair[0], "stays")

    assert await used(pair[0], LIMIT) == (11,)
    assert await pair[0].store.outstanding() == 1


async def test_closing_pays_what_is_owed(server: RedisServer, pair: list[Replica]) -> None:
    leaving, staying = pair
    server.kill()
    await settle([leaving], await take([leaving], "during", 10))
    await back(server, *pair)

    await leaving.store.close()
    await leaving.store.close()

    assert await used(staying, LIMIT) == (10,)
