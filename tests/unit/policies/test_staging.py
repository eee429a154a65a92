from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from gateway.domain.errors import NotPermittedError
from gateway.domain.request import ModelRequest
from gateway.domain.secret import Secret
from policies.base import Reservation
from policies.effective import Policy, PolicyBook
from policies.governor import Governor
from policies.meters import MAX_CAP, Demand
from policies.settings import OrganisationSettings
from policies.staging import MAX_TOLD, OTHER, StagedPolicies, Tally, Trial, carried_over, in_force
from policies.stores.holds.memory import MemoryHoldStore
from tests.support.build import chat_request

OLD, NEW = "sk-tw-an-old-secret-0001", "sk-tw-a-new-secret-0001"


def organisation(**fields: Any) -> OrganisationSettings:
    return msgspec.convert(fields, OrganisationSettings, dec_hook=lambda kind, value: kind(value))


def with_key(key: dict[str, Any] | None = None, **fields: Any) -> OrganisationSettings:
    return organisation(**fields, teams={"search": {"keys": [{"name": "ci", "secret": OLD, **(key or {})}]}})


class Trying:
    """Requests of `search/ci`, held by what is in force and judged by what is tried."""

    def __init__(self, in_force: OrganisationSettings, tried: OrganisationSettings, *, permits: bool = True) -> None:
        self.store = MemoryHoldStore(lambda: 1000.0)
        self.governor = Governor(self.store)
        book = PolicyBook(tried)
        self.policies = StagedPolicies(in_force, book)
        self.tally = Tally()
        self.trial = Trial(book, self._permit, self.store.standing, self.tally)
        self._permits = permits
        self._held = 0

    def _permit(self, request: ModelRequest, policy: Policy) -> object:
        if not self._permits:
            raise NotPermittedError("no tier")
        return None

    async def send(self, demand: Demand | None = None, *, model: str = "m", user: str | None = None) -> None:
        self._held += 1
        policy = self.policies.of_key("search", "ci")
        meters = self.policies.meters(policy, user)
        asked = (demand or Demand(1),)
        await self.governor.reserve(Reservation(f"h{self._held}", policy, meters, asked, (None,), 0.0))
        await self.trial.judge(chat_request(model=model), policy, user)


def test_rules_are_carried_over_and_keys_are_not() -> None:
    served = with_key({"limits": {"concurrency": 1}}, limits={"concurrency": 2})
    wanted = with_key({"secret": NEW, "expires": "2030-01-01", "limits": {"concurrency": 3}}, limits={"concurrency": 4})

    held = carried_over(served, wanted)

    key = held.teams["search"].keys[0]
    assert (held.limits.concurrency, key.limits.concurrency) == (2, 1)
    assert (key.secret, key.expires) == (Secret(NEW), dt.date(2030, 1, 1))


def test_a_key_that_is_gone_is_gone_at_once_and_its_teams_rules_stay() -> None:
    served = organisation(teams={"search": {"models": ["m"], "keys": [{"name": "ci", "secret": OLD}]}})

    held = carried_over(served, organisation())

    assert held.teams["search"].keys == ()
    assert held.teams["search"].models == ("m",)


def test_a_new_team_and_a_new_key_bring_their_own_rules() -> None:
    wanted = organisation(
        teams={
            "search": {"limits": {"concurrency": 9}, "keys": [{"name": "new", "secret": NEW, "models": ["x"]}]},
            "ops": {"models": ["y"]},
        }
    )

    held = carried_over(with_key(), wanted)

    assert held.teams["search"].limits.concurrency is None
    assert held.teams["search"].keys[0].models == ("x",)
    assert held.teams["ops"].models == ("y",)


def test_rules_that_do_not_differ_are_what_is_wanted() -> None:
    wanted = with_key({"secret": NEW}, limits={"concurrency": 2})

    assert carried_over(with_key(limits={"concurrency": 2}), wanted) == wanted


def test_meters_of_the_tried_policies_count_and_refuse_nothing() -> None:
    tried = organisation(limits={"requests_per_minute": 5, "concurrency": 3})
    staged = StagedPolicies(organisation(limits={"requests_per_minute": 10}), PolicyBook(tried))

    meters = staged.meters(staged.of_key("search", "ci"), None)

    assert [(meter.unit, meter.cap) for meter in meters] == [("requests", 10), ("concurrency", MAX_CAP)]


def test_meters_that_only_count_for_a_trial_can_be_left_out() -> None:
    tried = PolicyBook(organisation(limits={"output_tokens_per_minute": 5}))
    staged = StagedPolicies(organisation(limits={"requests_per_minute": 10}), tried)
    policy = staged.of_key("search", "ci")

    assert in_force(staged.meters(policy, None)) == policy.meters


def test_meters_are_the_same_tuple_for_the_same_user() -> None:
    limits = {"limits": {"requests_per_minute": 5}}
    staged = StagedPolicies(organisation(), PolicyBook(organisation(users=limits, **limits)))
    policy = staged.of_key("search", "ci")

    assert staged.meters(policy, "ann") is staged.meters(policy, "ann")
    assert staged.meters(policy, "ann") is not staged.meters(policy, "bob")
    assert staged.meters(policy, None) is staged.meters(policy, None)


def test_policies_that_count_nothing_more_leave_the_meters_as_they_are() -> None:
    limits = organisation(limits={"requests_per_minute": 5})
    staged = StagedPolicies(limits, PolicyBook(organisation(limits={"requests_per_minute": 1})))
    policy = staged.of_key("search", "ci")

    assert staged.meters(policy, None) is policy.meters


async def test_a_request_that_a_new_cap_would_stop_is_counted_by_key_and_limit() -> None:
    trying = Trying(organisation(limits={"requests_per_minute": 10}), organisation(limits={"requests_per_minute": 2}))

    for _ in range(3):
        await trying.send()

    assert (trying.tally.tried, trying.tally.denied) == (3, 1)
    assert trying.tally.by_key == {("search/ci", "2 requests a minute of organisation 'default'"): 1}
    assert trying.tally.by_limit == {"org requests rolling 1m": 1}


async def test_a_new_budget_is_judged_with_what_is_held() -> None:
    trying = Trying(organisation(budgets=[{"usd": 10}]), organisation(budgets=[{"usd": 1, "window": "day"}]))

    await trying.send(Demand(1, microusd=600_000))
    await trying.send(Demand(1, microusd=600_000))

    assert trying.tally.denied == 1
    assert trying.tally.by_limit == {"org microusd day": 1}


async def test_models_tiers_and_users_are_judged() -> None:
    by_models = Trying(organisation(), organisation(models=["other"]))
    by_tiers = Trying(organisation(), organisation(), permits=False)
    by_user = Trying(organisation(), organisation(users={"required": True}))

    for trying in (by_models, by_tiers, by_user):
        await trying.send()

    assert [trying.tally.by_limit for trying in (by_models, by_tiers, by_user)] == [
        {"models": 1}, {"tiers": 1}, {"user": 1},
    ]  # fmt: skip


async def test_limits_of_end_users_are_judged_by_user() -> None:
    trying = Trying(organisation(), organisation(users={"limits": {"requests_per_minute": 1}}))

    for user in ("ann", "bob", "ann"):
        await trying.send(user=user)

    assert trying.tally.denied == 1
    assert trying.tally.by_limit == {"user requests rolling 1m": 1}


async def test_a_request_that_all_would_let_pass_is_counted_as_tried() -> None:
    trying = Trying(organisation(), organisation(limits={"requests_per_minute": 1}))

    await trying.send()

    assert (trying.tally.tried, trying.tally.denied, trying.tally.by_key) == (1, 0, {})


async def test_a_trial_that_fails_is_counted_and_stops_nothing() -> None:
    async def broken(_: object) -> Any:
        raise RuntimeError("broken")

    tally = Tally()
    book = PolicyBook(organisation(limits={"requests_per_minute": 1}))
    trial = Trial(book, lambda request, policy: None, broken, tally)

    await trial.judge(chat_request(), PolicyBook(organisation()).of_key("search", "ci"), None)

    assert (tally.tried, tally.failed) == (0, 1)


def test_pairs_beyond_the_bound_are_counted_together() -> None:
    tally = Tally()
    for number in range(MAX_TOLD + 3):
        tally.note(f"search/{number}", [("models", "models")])

    assert len(tally.by_key) == MAX_TOLD + 1
    assert tally.by_key[OTHER] == 3


def test_a_tally_that_begins_again_keeps_what_a_metric_shows() -> None:
    tally = Tally()
    tally.note("search/ci", [("models", "models")])

    tally.clear()

    assert (tally.tried, tally.denied, tally.by_key, tally.by_limit) == (0, 0, {}, {"models": 1})
