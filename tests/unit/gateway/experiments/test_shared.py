from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gateway.domain.errors import NotFoundError, StageUnavailableError
from gateway.experiments import shared
from gateway.experiments.feedback import Feedback, Recollection, Remembered, Taken
from gateway.experiments.shared import SharedRecollection
from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection
from gateway.redis.slot import slot_key
from tests.support.build import caller
from tests.support.redis_server import RedisServer

SEARCH = caller(team="search")
REQUEST = Remembered(
    organisation="acme",
    team="search",
    key="search/ci",
    routed_model="gpt-5",
    tier="medium",
    kind="code",
    failure=0.1,
    experiment="chat",
    arm="gpt-5",
)


class Replica:
    """One replica's memory, and what its learner was told."""

    def __init__(self, server: RedisServer, **options: Any) -> None:
        self.connection = RedisConnection(
            parse_address(server.url), slot_key=slot_key("acme"), command_timeout_s=5.0, connect_timeout_s=5.0
        )
        self.heard: list[tuple[float, float | None]] = []
        local = Recollection()
        local.learners.append(lambda request, score, replaced: self.heard.append((score, replaced)))
        self.memory = SharedRecollection(local, self.connection, "acme", **options)

    async def say(self, score: float = 1.0, request_id: str = "req-1", asker: Any = SEARCH) -> Taken:
        return await self.memory.take(asker, Feedback(request_id=request_id, score=score))


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.fixture
async def replicas(server: RedisServer) -> AsyncIterator[tuple[Replica, Replica]]:
    pair = (Replica(server), Replica(server))
    yield pair
    for replica in pair:
        await replica.connection.close()


async def test_feedback_reaches_a_replica_that_did_not_answer(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    one.memory.remember("req-1", REQUEST)
    await one.memory.flush()

    assert await other.say(0.5) == Taken(REQUEST, 0.5, None)
    assert other.heard == [(0.5, None)]


async def test_a_later_word_replaces_one_that_another_replica_took(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    one.memory.remember("req-1", REQUEST)
    await one.memory.flush()
    await other.say(0.0)

    assert await one.say(1.0) == Taken(REQUEST, 1.0, 0.0)
    assert await other.say(0.5) == Taken(REQUEST, 0.5, 1.0)


async def test_words_at_the_same_time_are_never_both_the_first(replicas: tuple[Replica, Replica]) -> None:
    one, _ = replicas
    one.memory.remember("req-1", REQUEST)
    await one.memory.flush()

    taken = await asyncio.gather(*(replica.say(number / 10) for number in range(10) for replica in replicas))

    assert sum(found.replaced is None for found in taken) == 1


async def test_words_on_an_id_that_was_used_again_for_another_arm_are_kept_apart(
    replicas: tuple[Replica, Replica],
) -> None:
    one, _ = replicas
    one.memory.remember("req-1", REQUEST)
    await one.say(0.0)
    one.memory.remember("req-1", Remembered(organisation="acme", team="search", key="search/ci", routed_model="x"))

    assert (await one.say(1.0)).replaced is None


async def test_a_request_of_another_team_is_unknown_everywhere(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    one.memory.remember("req-1", REQUEST)
    await one.memory.flush()

    for replica in replicas:
        with pytest.raises(NotFoundError):
            await replica.say(asker=caller(team="sales"))
    with pytest.raises(NotFoundError):
        await other.say(request_id="req-2")


async def test_both_keys_are_gone_when_their_time_is_over(server: RedisServer) -> None:
    replica = Replica(server, ttl_s=1000.0)
    replica.memory.remember("\ud83d" * 3, REQUEST)
    await replica.memory.flush()
    await replica.say(request_id="\ud83d" * 3)

    keys = server.command("KEYS", "*")

    assert len(keys) == 2
    assert all(key.startswith(b"tierway:{acme}:feedback:") for key in keys)
    assert all(990_000 < server.command("PTTL", key) <= 1_000_000 for key in keys)
    await replica.connection.close()


async def test_requests_are_written_in_the_background(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    task = asyncio.create_task(one.memory.run())
    for number in range(shared.AT_ONCE * 2 + 1):
        one.memory.remember(f"req-{number}", REQUEST)

    async with asyncio.timeout(10):
        while one.memory._has_some.is_set():  # noqa: ASYNC110  nothing tells when all is written
            await asyncio.sleep(0.001)
    task.cancel()

    assert (await other.say(request_id=f"req-{shared.AT_ONCE * 2}")).remembered == REQUEST


async def test_without_redis_what_was_answered_here_is_still_joined(
    server: RedisServer, replicas: tuple[Replica, Replica]
) -> None:
    one, other = replicas
    one.memory.remember("req-1", REQUEST)
    server.kill()
    await one.memory.flush()

    assert await one.say(0.0) == Taken(REQUEST, 0.0, None)
    assert await one.say(1.0) == Taken(REQUEST, 1.0, 0.0)
    assert one.memory.lost == 1
    with pytest.raises(StageUnavailableError):
        await other.say()


async def test_the_oldest_is_lost_where_too_many_wait(
    replicas: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "MOST_WAITING", 2)
    one, other = replicas
    for number in range(3):
        one.memory.remember(f"req-{number}", REQUEST)

    await one.memory.flush()

    assert one.memory.lost == 1
    with pytest.raises(NotFoundError):
        await other.say(request_id="req-0")
    assert (await other.say(request_id="req-2")).remembered == REQUEST


async def test_what_another_version_wrote_is_not_remembered(
    server: RedisServer, replicas: tuple[Replica, Replica]
) -> None:
    one, other = replicas
    one.memory.remember("req-1", REQUEST)
    await one.memory.flush()
    (key,) = server.command("KEYS", "*")
    server.command("SET", key, b"\xc1")

    with pytest.raises(NotFoundError):
        await other.say()
