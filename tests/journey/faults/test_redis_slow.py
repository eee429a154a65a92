"""Redis is there and does not answer in time."""

from __future__ import annotations

from tests.journey.faults.conftest import Govern
from tests.support.faults import (
    RULES,
    assert_all_is_well,
    assert_budgets_deny_and_rates_go_on,
    wait_until_replicas_are_known,
)
from tests.support.redis_server import RedisServer

PAUSE_MS = 4000
"""Long enough for what is looked at meanwhile; no command is heard before it is over, not even the one that ends it."""


def test_a_paused_redis_counts_as_lost_until_it_answers(govern: Govern, redis: RedisServer) -> None:
    gateway = govern(RULES, state=redis.url)
    wait_until_replicas_are_known(redis)
    assert_all_is_well(gateway)

    redis.command("CLIENT", "PAUSE", PAUSE_MS, "ALL")

    assert_budgets_deny_and_rates_go_on(gateway)
    assert_all_is_well(gateway)


def test_a_stopped_redis_counts_as_lost_until_it_goes_on(govern: Govern, redis: RedisServer) -> None:
    gateway = govern(RULES, state=redis.url)
    wait_until_replicas_are_known(redis)
    assert_all_is_well(gateway)

    redis.pause()

    assert_budgets_deny_and_rates_go_on(gateway)
    redis.go_on()
    assert_all_is_well(gateway)
