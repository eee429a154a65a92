"""Redis ends and comes back at once, with what it knew or without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journey.faults.conftest import Govern
from tests.support.faults import RULES, assert_all_is_well, with_budget
from tests.support.governed import CHAT, CI, COST, brief, charged
from tests.support.mixed import message
from tests.support.moment import Moment
from tests.support.redis_server import RedisServer
from tests.support.scripted_upstream import ScriptedUpstream, completion, plain
from tests.support.wire import WireClient


@pytest.fixture
def forgetful() -> Iterator[RedisServer]:
    """Run a Redis that keeps nothing over a restart."""
    with RedisServer() as server:
        yield server


def restart(redis: RedisServer) -> None:
    redis.kill()
    redis.start()


def test_a_restart_costs_nothing_that_was_counted(govern: Govern, redis: RedisServer) -> None:
    gateway = govern(RULES, state=redis.url)
    assert with_budget(gateway).status == 200

    restart(redis)

    assert_all_is_well(gateway)
    assert charged(gateway) == 2 * COST


def test_a_call_answered_over_a_restart_is_settled_on_it(
    govern: Govern, redis: RedisServer, upstream: ScriptedUpstream
) -> None:
    gateway = govern(RULES, state=redis.url)
    go_on = Moment()
    upstream.script(plain(completion(), before=[go_on]))
    with WireClient(gateway.address) as client:
        client.send(message("POST", CHAT, brief(), key=CI))
        upstream.wait_for_request()
        redis.kill()
        go_on.happen()
        assert client.answer().status == 200

    redis.start()

    assert_all_is_well(gateway)
    assert charged(gateway) == 2 * COST
    assert redis.command("ZCARD", "tierway:{acme}:leases") == 0


def test_a_redis_that_forgot_everything_is_counted_on_from_nothing(govern: Govern, forgetful: RedisServer) -> None:
    gateway = govern(RULES, state=forgetful.url)
    for _ in range(3):
        assert with_budget(gateway).status == 200
    assert charged(gateway) == 3 * COST

    restart(forgetful)

    assert_all_is_well(gateway)
    assert charged(gateway) == COST
