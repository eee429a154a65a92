"""Redis is killed, and stays away."""

from __future__ import annotations

from tests.journey.faults.conftest import Govern
from tests.support.faults import (
    RULES,
    assert_all_is_well,
    assert_budgets_deny_and_rates_go_on,
    degraded,
    wait_until_replicas_are_known,
    with_budget,
    without_budget,
)
from tests.support.governed import COST, charged
from tests.support.redis_server import RedisServer


def test_budgets_deny_and_rates_go_on_until_redis_is_back(govern: Govern, redis: RedisServer) -> None:
    gateway = govern(RULES, state=redis.url)
    wait_until_replicas_are_known(redis)
    assert_all_is_well(gateway)

    redis.kill()

    assert_budgets_deny_and_rates_go_on(gateway)
    redis.start()
    assert_all_is_well(gateway)


def test_what_was_spent_before_is_counted_after(govern: Govern, redis: RedisServer) -> None:
    gateway = govern(RULES, state=redis.url)
    wait_until_replicas_are_known(redis)
    assert with_budget(gateway).status == 200

    redis.kill()
    assert_budgets_deny_and_rates_go_on(gateway)
    redis.start()
    assert_all_is_well(gateway)

    assert charged(gateway) == 2 * COST


def test_a_gateway_that_starts_without_redis_serves_those_who_have_no_limit(govern: Govern, redis: RedisServer) -> None:
    redis.kill()

    gateway = govern({"team": RULES["team"]}, state=redis.url)

    assert [with_budget(gateway).status, without_budget(gateway).status] == [503, 200]
    assert "limits" in degraded(gateway)
    redis.start()
    assert_all_is_well(gateway)


def test_budgets_that_may_share_go_on_with_their_part(govern: Govern, redis: RedisServer) -> None:
    gateway = govern({**RULES, "lost_state": {"budgets": "share"}}, state=redis.url)
    wait_until_replicas_are_known(redis)

    redis.kill()

    answers = [with_budget(gateway) for _ in range(3)]
    assert [one.status for one in answers] == [200] * 3
    assert [one.headers["x-tierway-degraded"] for one in answers] == ["limits"] * 3
    redis.start()
    assert_all_is_well(gateway)
    assert charged(gateway) == 4 * COST
