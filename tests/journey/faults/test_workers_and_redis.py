"""Four workers that share a limit of 100 a minute on a Redis that is restarted while they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal

from tests.support.admin_client import ADMIN_KEY, Operator
from tests.support.faults import wait_until_replicas_are_known
from tests.support.live import LiveGateway
from tests.support.metered_upstream import PRICE, MeteredUpstream, Outcome, Plan, ask
from tests.support.redis_server import RedisServer

WORKERS: Final = 4
CAP: Final = 100
CALLERS: Final = 40
KEY: Final = "key-of-many-workers-0123456789"
PATIENCE_S: Final = 20.0

Rule = Literal["deny", "share"]


def settings(upstream_url: str, state: str, rule: Rule) -> dict[str, Any]:
    return {
        "state": state,
        "server": {"admin_key": ADMIN_KEY},
        "upstreams": {"metered": {"kind": "openai", "base_url": upstream_url}},
        "models": {"metered": {"upstream": "metered", "price": PRICE}},
        "router": {"breaker": None, "retries": {"attempts": 0}},
        "organisation": {
            "name": "acme",
            "limits": {"requests_per_minute": CAP},
            "lost_state": {"rates": rule},
            "teams": {"many": {"keys": [{"name": "k", "secret": KEY}]}},
        },
        "telemetry": {"log": {"format": "none"}},
    }


class Many:
    """Callers of one gateway of several workers, and what became of their requests."""

    def __init__(self, gateway: LiveGateway) -> None:
        self._gateway, self.operator = gateway, Operator(gateway.address)
        self._numbers = count()
        self.outcomes: list[Outcome] = []

    @property
    def passed(self) -> int:
        return sum(one.status == 200 for one in self.outcomes)

    async def ask(self, requests: int) -> None:
        """Ask so often, each on a connection of its own, which any worker may take."""
        plans = [Plan(id=f"m{next(self._numbers)}", stream=number % 3 == 0) for number in range(requests)]
        self.outcomes += await asyncio.gather(*(ask(self._gateway.address, KEY, plan) for plan in plans))

    async def keep_asking(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            await self.ask(1)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(folder: Path, redis: RedisServer, rule: Rule) -> AsyncIterator[Many]:
    """Run the workers, which have all heard of each other."""
    async with MeteredUpstream() as upstream:
        gateway = LiveGateway(folder, settings(upstream.url, redis.url, rule), arguments=["--workers", str(WORKERS)])
        await asyncio.to_thread(gateway.__enter__)
        try:
            many = Many(gateway)
            await asyncio.to_thread(wait_until_replicas_are_known, redis, WORKERS)
            yield many
        finally:
            await asyncio.to_thread(gateway.stop)


async def asked_over_a_restart(many: Many, redis: RedisServer) -> None:
    """Ask all the while that Redis is killed, stays away and comes back, and then as often as the limit allows."""
    is_over = asyncio.Event()
    asking = [asyncio.create_task(many.keep_asking(is_over)) for _ in range(CALLERS // 4)]
    async with asyncio.timeout(PATIENCE_S):
        while many.passed < CAP // 4:  # noqa: ASYNC110  answers that come set no event
            await asyncio.sleep(0.005)
    redis.kill()
    async with asyncio.timeout(PATIENCE_S):
        lost_at = len(many.outcomes)
        while len(many.outcomes) < lost_at + CALLERS:  # noqa: ASYNC110  answers that come set no event
            await asyncio.sleep(0.005)
    await asyncio.to_thread(redis.start)
    async with asyncio.timeout(PATIENCE_S):
        while many.outcomes[-1].status != 429:  # noqa: ASYNC110  answers that come set no event
            await asyncio.sleep(0.005)
    is_over.set()
    await asyncio.gather(*asking)
    for _ in range(CAP * 4 // CALLERS):
        await many.ask(CALLERS)


async def test_a_limit_of_100_lets_exactly_100_of_400_pass_over_four_workers(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with running(tmp_path, redis, "share") as many:
        await many.ask(4 * CAP)

        assert many.passed == CAP
        assert {one.status for one in many.outcomes} == {200, 429}


async def test_a_limit_that_denies_lets_no_more_pass_over_a_restart_of_redis(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with running(tmp_path, redis, "deny") as many:
        await asked_over_a_restart(many, redis)

        assert CAP // 4 <= many.passed <= CAP
        assert {one.status for one in many.outcomes} == {200, 429, 503}


async def test_a_limit_that_is_shared_lets_twice_as_many_pass_at_most_over_a_restart_of_redis(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with running(tmp_path, redis, "share") as many:
        await asked_over_a_restart(many, redis)

        assert CAP <= many.passed <= 2 * CAP
        assert {one.status for one in many.outcomes} <= {200, 429}
