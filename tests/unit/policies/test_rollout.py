from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.domain.errors import (
    BudgetExhaustedError,
    GatewayError,
    InvalidRequestError,
    LoginThrottledError,
    NotAuthenticatedError,
    NotPermittedError,
    RateLimitedError,
    UpstreamOverloadedError,
)
from policies.rollout import Rollout, is_denial
from policies.settings import OrganisationSettings
from tests.support.clock import Clock

STAGED: dict[str, Any] = {"shadow_s": 60, "watch_s": 100, "max_denial_rise": 0.1, "min_count": 10}
AT_ONCE: dict[str, Any] = {**STAGED, "shadow_s": 0}


def organisation(cap: int, staging: dict[str, Any] | None = None, **fields: Any) -> OrganisationSettings:
    document = {"limits": {"concurrency": cap}, "staging": staging or {}, **fields}
    return msgspec.convert(document, OrganisationSettings, dec_hook=lambda kind, value: kind(value))


@pytest.fixture
def clock() -> Clock:
    return Clock(5000.0)


@pytest.fixture
def rollout(clock: Clock) -> Rollout:
    return Rollout(organisation(1), clock)


def edit(rollout: Rollout, wanted: OrganisationSettings) -> None:
    rollout.begin(rollout.plan(wanted))


def send(rollout: Rollout, requests: int, denied: int) -> None:
    for number in range(requests):
        rollout.note(is_denied=number < denied)


def cap(rollout: Rollout) -> int | None:
    return rollout.in_force.limits.concurrency


def test_without_staging_an_edit_is_in_force_at_once(rollout: Rollout) -> None:
    edit(rollout, organisation(2))

    assert (cap(rollout), rollout.tried, rollout.phase) == (2, None, "settled")


def test_planning_changes_nothing(rollout: Rollout) -> None:
    rollout.plan(organisation(2, STAGED))

    assert (cap(rollout), rollout.tried, rollout.phase) == (1, None, "settled")


def test_with_a_shadow_new_rules_are_tried_first(rollout: Rollout, clock: Clock) -> None:
    edit(rollout, organisation(2, STAGED))
    clock.now += 59

    assert not rollout.tick()
    assert (cap(rollout), rollout.phase, rollout.ends_in_s) == (1, "shadow", 1.0)
    assert rollout.tried == organisation(2, STAGED)


def test_after_the_shadow_they_are_in_force_and_watched(rollout: Rollout, clock: Clock) -> None:
    edit(rollout, organisation(2, STAGED))
    clock.now += 60

    assert rollout.tick()
    assert (cap(rollout), rollout.tried, rollout.phase) == (2, None, "watch")


def test_a_watch_in_which_nothing_happens_ends(rollout: Rollout, clock: Clock) -> None:
    edit(rollout, organisation(2, AT_ONCE))
    clock.now += 100

    assert not rollout.tick()
    assert (cap(rollout), rollout.phase, rollout.ends_in_s) == (2, "settled", None)


def test_without_a_bound_on_denials_nothing_is_watched(rollout: Rollout) -> None:
    edit(rollout, organisation(2, {"watch_s": 100}))

    assert rollout.phase == "settled"


def test_rules_that_deny_more_than_before_are_taken_back(rollout: Rollout) -> None:
    send(rollout, 20, denied=1)
    edit(rollout, organisation(2, AT_ONCE))
    send(rollout, 20, denied=4)

    assert rollout.tick()
    assert (cap(rollout), rollout.phase, rollout.rolled_back) == (1, "rolled_back", 1)
    assert rollout.complaint.startswith("organisation: taken back, as it denied 20% of 20 requests after 5% of 20")
    assert not rollout.tick()


def test_a_rise_within_the_bound_is_let_pass(rollout: Rollout) -> None:
    send(rollout, 20, denied=1)
    edit(rollout, organisation(2, AT_ONCE))
    send(rollout, 20, denied=3)

    assert not rollout.tick()
    assert rollout.phase == "watch"


@pytest.mark.parametrize(("before", "after"), [(9, 20), (20, 9), (0, 20)])
def test_few_requests_prove_nothing(rollout: Rollout, before: int, after: int) -> None:
    send(rollout, before, denied=0)
    edit(rollout, organisation(2, AT_ONCE))
    send(rollout, after, denied=after)

    assert not rollout.tick()
    assert rollout.phase == "watch"


def test_what_happened_long_before_an_edit_does_not_count(rollout: Rollout, clock: Clock) -> None:
    send(rollout, 50, denied=50)
    clock.now += 111
    send(rollout, 20, denied=0)

    edit(rollout, organisation(2, AT_ONCE))

    assert (rollout.before.requests, rollout.before.denied) == (20, 0)


def test_what_happens_in_the_shadow_counts_as_before(rollout: Rollout, clock: Clock) -> None:
    edit(rollout, organisation(2, STAGED))
    send(rollout, 20, denied=5)
    clock.now += 60

    rollout.tick()

    assert (rollout.before.requests, rollout.after.requests) == (20, 0)


def taken_back(rollout: Rollout) -> OrganisationSettings:
    send(rollout, 20, denied=0)
    rejected = organisation(2, AT_ONCE)
    edit(rollout, rejected)
    send(rollout, 20, denied=20)
    assert rollout.tick()
    return rejected


def test_rules_that_were_taken_back_stay_so_while_other_sections_are_edited(rollout: Rollout) -> None:
    rejected = taken_back(rollout)

    edit(rollout, rejected)

    assert (cap(rollout), rollout.phase) == (1, "rolled_back")
    assert rollout.complaint


@pytest.mark.parametrize(("edited", "expected"), [(1, 1), (3, 3)])
def test_an_edit_of_rules_that_were_taken_back_ends_the_complaint(rollout: Rollout, edited: int, expected: int) -> None:
    taken_back(rollout)

    edit(rollout, organisation(edited))

    assert (cap(rollout), rollout.phase, rollout.complaint) == (expected, "settled", "")


def test_an_edit_of_other_sections_leaves_a_shadow_as_it_is(rollout: Rollout, clock: Clock) -> None:
    edit(rollout, organisation(2, STAGED))
    clock.now += 30

    edit(rollout, organisation(2, STAGED))

    assert rollout.ends_in_s == 30.0


def test_an_edit_in_the_shadow_starts_another(rollout: Rollout, clock: Clock) -> None:
    edit(rollout, organisation(2, STAGED))
    rollout.tally.note("search/ci", [("models", "models")])
    clock.now += 30

    edit(rollout, organisation(3, STAGED))

    assert (cap(rollout), rollout.ends_in_s, rollout.tally.tried) == (1, 60.0, 0)
    assert rollout.tried == organisation(3, STAGED)


def test_an_edit_back_to_what_is_served_ends_a_shadow(rollout: Rollout) -> None:
    edit(rollout, organisation(2, STAGED))

    edit(rollout, organisation(1, STAGED))

    assert (cap(rollout), rollout.tried, rollout.phase) == (1, None, "settled")


def test_a_secret_that_changes_while_denials_are_watched_does_not_end_the_watch(rollout: Rollout) -> None:
    def with_secret(secret: str) -> OrganisationSettings:
        return organisation(2, AT_ONCE, teams={"search": {"keys": [{"name": "ci", "secret": secret}]}})

    edit(rollout, with_secret("sk-tw-an-old-secret-0001"))
    edit(rollout, with_secret("sk-tw-a-new-secret-0001"))

    assert rollout.phase == "watch"
    assert rollout.in_force == with_secret("sk-tw-a-new-secret-0001")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RateLimitedError("x", retry_after_s=1.0), True),
        (BudgetExhaustedError("x", status=402, retry_after_s=None, standing=None), True),
        (NotPermittedError("x"), True),
        (LoginThrottledError("x", retry_after_s=1.0), False),
        (NotAuthenticatedError("x"), False),
        (InvalidRequestError("x"), False),
        (UpstreamOverloadedError("x"), False),
        (None, False),
    ],
)
def test_only_what_policy_denies_is_a_denial(error: GatewayError | None, expected: bool) -> None:  # noqa: FBT001
    assert is_denial(error) is expected
