from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gateway.domain.errors import StageUnavailableError
from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from policies.stores.ledgers.base import UsageQuery
from policies.stores.ledgers.redis import RedisLedger
from tests.support.redis_server import RedisServer, reached
from tests.support.usage import START, usage_record


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


def open_ledger(server: RedisServer, **options: Any) -> RedisLedger:
    connection = RedisConnection(parse_address(server.url), slot_key=slot_key("acme"), **options)
    return RedisLedger(connection, "acme", lambda: START)


@pytest.fixture
async def ledger(server: RedisServer) -> AsyncIterator[RedisLedger]:
    made = open_ledger(server)
    yield made
    await made.close()


async def requests(ledger: RedisLedger) -> int:
    (row,) = await ledger.usage(UsageQuery())
    return row.requests


async def test_every_key_is_in_the_slot_of_its_organisation(server: RedisServer, ledger: RedisLedger) -> None:
    await ledger.append(usage_record())

    assert {key.split(b"}")[0] for key in server.command("KEYS", "*")} == {b"tierway:{acme"}


async def test_an_id_is_remembered_for_a_while_only(server: RedisServer, ledger: RedisLedger) -> None:
    await ledger.append(record := usage_record())

    left_ms = server.command("PTTL", f"tierway:{{acme}}:ledger:id:{record.id}")

    assert 0 < left_ms <= 3_600_000


async def test_records_wait_while_redis_is_lost_and_are_kept_when_it_is_back(server: RedisServer) -> None:
    ledger = open_ledger(server)
    await ledger.append(usage_record())
    server.kill()

    await ledger.append(usage_record())
    await ledger.append(usage_record())
    lag, complaint = ledger.lag, ledger.complaint
    with pytest.raises(StageUnavailableError):
        await ledger.usage(UsageQuery())

    server.start()
    await reached(lambda: not ledger.lag and ledger._redis.is_available)
    assert (lag, complaint) == (2, "2 writes wait for Redis")
    assert await requests(ledger) == 2  # the server began empty
    assert (ledger.written, ledger.failed, ledger.complaint) == (3, 0, "")
    await ledger.close()


async def test_a_record_that_redis_refuses_is_counted(server: RedisServer, ledger: RedisLedger) -> None:
    server.command("SET", "tierway:{acme}:ledger", "no stream")

    await ledger.append(usage_record())

    assert (ledger.written, ledger.failed) == (0, 1)


async def test_replicas_with_clocks_apart_find_each_others_records(server: RedisServer) -> None:
    ahead, behind = open_ledger(server), open_ledger(server)
    for number in range(20):
        await ahead.append(usage_record(at=START + 7200 + number))
        await behind.append(usage_record(at=START + number))

    (early,) = await ahead.usage(UsageQuery(since=START, until=START + 20))
    (late,) = await behind.usage(UsageQuery(since=START + 7200))

    assert (early.requests, late.requests) == (20, 20)
    await ahead.close()
    await behind.close()


async def test_days_that_were_forgotten_are_no_longer_looked_up(server: RedisServer, ledger: RedisLedger) -> None:
    await ledger.append(usage_record(at=START))
    await ledger.append(usage_record(at=START - 10))

    await ledger.prune(START + 86_400)

    assert set(server.command("HKEYS", "tierway:{acme}:ledger:state")) == {b"last", b"seq"}
    await ledger.append(usage_record(at=START - 20))
    assert await requests(ledger) == 1


async def test_records_of_many_tasks_share_a_pipeline_and_are_all_kept(ledger: RedisLedger) -> None:
    await asyncio.gather(*(ledger.append(usage_record(at=START + number % 7)) for number in range(1000)))

    assert await requests(ledger) == 1000


async def test_an_entry_that_is_no_record_is_left_out(server: RedisServer, ledger: RedisLedger) -> None:
    await ledger.append(usage_record())
    server.command("XADD", "tierway:{acme}:ledger", "*", "r", b"\x91\x01")

    assert await requests(ledger) == 1


async def test_old_records_are_forgotten_by_themselves(server: RedisServer, ledger: RedisLedger) -> None:
    await ledger.append(usage_record(at=START - 91 * 86_400))
    keeping = asyncio.ensure_future(ledger.run())

    await reached(lambda: server.command("XLEN", "tierway:{acme}:ledger") == 0)

    keeping.cancel()
