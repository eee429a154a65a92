"""A process killed after it has written down what a call consumed, and before it has settled the hold."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.journey.faults.conftest import Govern
from tests.support import live
from tests.support.governed import BUDGET, CHAT, CI, COST, brief, budget, ceiling, charged
from tests.support.live import wait_until
from tests.support.mixed import message
from tests.support.redis_server import RedisServer
from tests.support.wire import WireClient

RULES: dict[str, Any] = {"budgets": [budget(BUDGET)], "holds": {"lease_s": 2}}

_DIES = """
import os, signal
from gateway.cli.main import main
from policies.governor import Governor

Governor.settle = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
main()
"""

DIES = (sys.executable, "-c", _DIES)
"""The command, ended where it would settle."""


def ask_one_that_dies(govern: Govern, monkeypatch: pytest.MonkeyPatch, **sections: Any) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(live, "COMMAND", DIES)
        gateway = govern(RULES, **sections)
    with WireClient(gateway.address) as client:
        client.send(message("POST", CHAT, brief(), key=CI))
        assert gateway.wait_for_exit() == -9


def test_what_was_written_down_is_settled_at_the_next_start(govern: Govern, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_one_that_dies(govern, monkeypatch)

    gateway = govern(RULES)

    gateway.wait_for_message("1 holds of an ended process were open, 1 settled by the ledger")
    assert charged(gateway) == COST
    assert not any("a hold ended unsettled" in line for line in gateway.messages)


def test_without_a_ledger_it_is_charged_at_its_bound_when_the_lease_ends(
    govern: Govern, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = {"telemetry": {"ledger": None}}
    ask_one_that_dies(govern, monkeypatch, **without)

    gateway = govern(RULES, **without)

    gateway.wait_for_message("a hold ended unsettled")
    assert charged(gateway) == ceiling()


def test_on_redis_nothing_is_written_down_that_is_not_settled(
    govern: Govern, monkeypatch: pytest.MonkeyPatch, redis: RedisServer
) -> None:
    ask_one_that_dies(govern, monkeypatch, state=redis.url)

    assert redis.command("EXISTS", "tierway:{acme}:ledger") == 0
    gateway = govern(RULES, state=redis.url)
    wait_until(lambda: redis.command("XLEN", "tierway:{acme}:ledger") == 1, "the record of the expired call")
    assert charged(gateway) == ceiling()
