from __future__ import annotations

import pkgutil
from typing import get_args, get_type_hints

import cache.backends
import gateway.stored
import gateway.upstreams.engines
import policies.stores.holds
import policies.stores.keys
import policies.stores.ledgers
import router.strategies
from gateway.upstreams.catalogue import UPSTREAMS
from gateway.upstreams.settings import AnyUpstream
from policies.catalogue import KEY_STORES
from router.catalogue import STRATEGIES
from router.settings import RouterSettings
from tests.support import members
from tests.support.cache_backends import BACKENDS


def modules(package: object) -> set[str]:
    path: list[str] = package.__path__  # type: ignore[attr-defined]  # packages have one
    return {found.name for found in pkgutil.iter_modules(path)} - {"base"}


def test_every_engine_has_a_fixture() -> None:
    assert set(members.ENGINES) == modules(gateway.upstreams.engines)


def test_every_upstream_has_a_fixture() -> None:
    assert set(members.UPSTREAMS) == set(UPSTREAMS)


def test_every_upstream_of_the_settings_is_in_the_catalogue() -> None:
    assert set(get_args(AnyUpstream)) == set(UPSTREAMS)


def test_every_key_store_has_a_fixture() -> None:
    assert set(members.KEY_STORES) == modules(policies.stores.keys) == set(KEY_STORES)


def test_every_hold_store_has_a_fixture() -> None:
    assert set(members.HOLD_STORES) == modules(policies.stores.holds) - {"redis_plan"}  # a part of the Redis store


def test_every_ledger_has_a_fixture() -> None:
    beside = {"ledger_file", "retention", "summing"}  # what they are made of

    assert set(members.LEDGERS) == modules(policies.stores.ledgers) - beside


def test_every_response_store_has_a_fixture() -> None:
    beside = {"responses"}  # what uses them

    assert set(members.RESPONSE_STORES) == modules(gateway.stored) - beside


def test_every_strategy_has_a_fixture() -> None:
    assert set(members.STRATEGIES) == {strategy.name for strategy in STRATEGIES}


def test_every_strategy_module_is_in_the_catalogue() -> None:
    assert {strategy.__module__.rpartition(".")[2] for strategy in STRATEGIES} == modules(router.strategies)


def test_every_strategy_can_be_named_in_the_settings() -> None:
    named = get_args(get_type_hints(RouterSettings)["strategy"])

    assert set(named) == {strategy.name for strategy in STRATEGIES}


def test_every_cache_backend_has_a_fixture() -> None:
    assert set(BACKENDS) == modules(cache.backends)
