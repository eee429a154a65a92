"""Providers that fail in every way: nobody goes without an answer while one candidate is well.

`make soak-faults` does the same for ten thousand requests a scenario, and each fault by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import uvloop

from tests.soak.faults import all_dead, mixed, poisoned
from tests.support.fault_account import Account
from tests.support.fault_trials import NO_BREAKERS, TIER, Phase, Scenario, run
from tests.support.faulty_answers import FAULTS

CONCURRENCY: Final = 16
TIMEOUTS: Final = {"connect_s": 1.0, "first_byte_s": 1.0, "idle_s": 1.0, "total_s": 2.0}
"""Seconds; twice those of the soak, as a machine that tests may be busy."""

ROUTER: Final[dict[str, Any]] = {"breaker": {"open_s": 0.5, "max_open_s": 1.0}}
"""What is dead is looked at again soon."""


def tried(folder: Path, scenario: Scenario, requests: int) -> Account:
    running = run(folder, scenario, requests=requests, concurrency=CONCURRENCY, timeouts=TIMEOUTS, router=ROUTER)
    account: Account = uvloop.run(running)
    return account


def test_faults_of_every_kind_at_one_of_three_candidates_cost_nobody_an_answer(tmp_path: Path) -> None:
    scenario = Scenario(name="mixed on one", phases=(mixed(0.4, TIER[0]),), router=NO_BREAKERS)

    account = tried(tmp_path, scenario, 300)

    assert account.faults() == []
    assert set(account.played) == set(FAULTS)
    assert account.fallbacks


def test_one_candidate_that_is_well_answers_for_two_that_are_broken(tmp_path: Path) -> None:
    account = tried(tmp_path, Scenario(name="two broken", phases=(mixed(1.0, *TIER[:2]),)), 300)

    assert account.faults() == []
    assert account.opened


def test_nobody_notices_candidates_that_come_and_go(tmp_path: Path) -> None:
    account = tried(tmp_path, Scenario(name="two come and go", phases=(Phase(flapping=TIER[:2]),)), 600)

    assert account.faults() == []


def test_the_next_tier_answers_for_one_that_is_dead(tmp_path: Path) -> None:
    account = tried(tmp_path, Scenario(name="dead", phases=(Phase(dead=TIER),), has_next=True), 200)

    assert account.faults() == []
    assert account.whole == account.sent


def test_callers_of_a_dead_tier_are_told_when_to_come_back_and_then_are_answered(tmp_path: Path) -> None:
    account = tried(tmp_path, all_dead(), 600)

    assert account.faults() == []


def test_a_caller_whose_requests_always_fail_locks_nobody_else_out(tmp_path: Path) -> None:
    account = tried(tmp_path, poisoned("error", alone=0.1), 300)

    assert account.faults() == []
    assert account.asked > account.sent / 2
    assert account.poisoned
    assert not any(what.startswith("200") for what in account.poisoned)
