from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.secret import Secret
from gateway.domain.tier import TIERS
from policies.effective import (
    MAX_USERS,
    Level,
    Policy,
    PolicyBook,
    admitted_models,
    check_budgets,
    degrades,
    level_meters,
    resolve,
    window_name,
)
from policies.meters import Meter
from policies.settings import (
    Budget,
    KeySettings,
    LevelSettings,
    Limits,
    LostState,
    OrganisationSettings,
    QueueSettings,
    TeamSettings,
    UserSettings,
)
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow, Window
from tests.support.build import caller

EVERY_LIMIT = Limits(
    requests_per_second=1, requests_per_minute=2, requests_per_day=3, input_tokens_per_minute=4,
    input_tokens_per_day=5, output_tokens_per_minute=6, output_tokens_per_day=7, concurrency=8,
)  # fmt: skip
ANNA = "anna@example.org"


def policy(organisation: dict[str, Any] | None = None, team: dict[str, Any] | None = None, **key: Any) -> Policy:
    """Return what holds for the key `search/ci` under the words of the three levels."""
    settings = OrganisationSettings(name="acme", teams={"search": TeamSettings(**(team or {}))}, **(organisation or {}))
    return resolve(settings, "search", "ci", LevelSettings(**key))


def book(**organisation: Any) -> PolicyBook:
    return PolicyBook(OrganisationSettings(name="acme", **organisation))


def for_users(*budgets: Budget, **limits: Any) -> dict[str, Any]:
    return {"users": UserSettings(limits=Limits(**limits), budgets=budgets)}


def keys(meters: Sequence[Meter]) -> list[str]:
    return [meter.key for meter in meters]


# ---------------------------------------------------------------- meters


def test_a_silent_file_counts_nothing() -> None:
    found = policy()

    assert found.meters == ()
    assert (found.counts_tokens, found.counts_money, found.requires_user) == (False, False, False)
    assert (found.models, found.tiers, found.max_output_tokens) == ((), TIERS, None)
    assert found.path == "search/ci"


def test_every_level_counts_for_itself_highest_first() -> None:
    limits = {"limits": Limits(requests_per_minute=5)}

    found = policy(limits, limits, **limits)

    assert [(meter.key, meter.level, meter.cap) for meter in found.meters] == [
        ("org|requests|60s", "organisation 'acme'", 5),
        ("team:search|requests|60s", "team 'search'", 5),
        ("key:search/ci|requests|60s", "key 'search/ci'", 5),
    ]


def test_every_limit_makes_a_meter_of_its_own() -> None:
    found = level_meters(Level("org", "organisation"), EVERY_LIMIT, (), LostState())

    assert [(meter.key, meter.unit, meter.cap, meter.window) for meter in found] == [
        ("org|requests|1s", "requests", 1, SlidingWindow(1)),
        ("org|requests|60s", "requests", 2, SlidingWindow(60)),
        ("org|requests|86400s", "requests", 3, SlidingWindow(86_400)),
        ("org|input_tokens|60s", "input_tokens", 4, SlidingWindow(60)),
        ("org|input_tokens|86400s", "input_tokens", 5, SlidingWindow(86_400)),
        ("org|output_tokens|60s", "output_tokens", 6, SlidingWindow(60)),
        ("org|output_tokens|86400s", "output_tokens", 7, SlidingWindow(86_400)),
        ("org|concurrency", "concurrency", 8, None),
    ]


@pytest.mark.parametrize(
    ("text", "zone", "key", "window"),
    [
        ("month", "UTC", "org|microusd|month@UTC", CalendarWindow("month")),
        ("day", "Europe/Berlin", "org|microusd|day@Europe/Berlin", CalendarWindow("day", "Europe/Berlin")),
        ("rolling 2h", "UTC", "org|microusd|7200s", SlidingWindow(7200)),
        ("total", "UTC", "org|microusd|total", TotalWindow()),
    ],
)
def test_a_budget_is_named_by_its_window(text: str, zone: str, key: str, window: Window) -> None:
    budget = Budget(usd=2.5, window=text, zone=zone, soft=0.8)

    (found,) = level_meters(Level("org", "organisation"), Limits(), (budget,), LostState())

    assert (found.key, found.window) == (key, window)
    assert (found.unit, found.cap, found.soft) == ("microusd", 2_500_000, 2_000_000)


def test_a_budget_without_a_soft_threshold_has_none() -> None:
    (found,) = policy({"budgets": (Budget(usd=1),)}).meters

    assert found.soft is None


def test_another_cap_leaves_the_key_of_a_meter_as_it_is() -> None:
    small, large = (policy({"budgets": (Budget(usd=usd),), "limits": Limits(concurrency=int(usd))}) for usd in (1, 2))

    assert keys(small.meters) == keys(large.meters)
    assert small.meters != large.meters


def test_a_level_says_what_happens_without_state_for_itself_and_those_below() -> None:
    counted = {"limits": Limits(requests_per_minute=1), "budgets": (Budget(usd=1),)}
    share = LostState(budgets="share", rates="deny")

    found = policy(counted, {**counted, "lost_state": share}, **counted)

    assert [meter.lost for meter in found.meters] == ["share", "deny", "deny", "share", "deny", "share"]


@pytest.mark.parametrize(
    ("words", "tokens", "money"),
    [
        ({"limits": Limits(requests_per_minute=1, concurrency=1)}, False, False),
        ({"limits": Limits(input_tokens_per_day=1)}, True, False),
        ({"limits": Limits(output_tokens_per_minute=1)}, True, False),
        ({"budgets": (Budget(usd=1),)}, True, True),
        (for_users(requests_per_minute=1), False, False),
        (for_users(input_tokens_per_minute=1), True, False),
        (for_users(Budget(usd=1)), True, True),
    ],
)
def test_a_request_needs_a_bound_where_tokens_or_money_are_counted(
    words: dict[str, Any], *, tokens: bool, money: bool
) -> None:
    for found in (policy(words), policy(team=words), policy(**words)):
        assert (found.counts_tokens, found.counts_money) == (tokens, money)


def test_only_budgets_that_say_so_degrade() -> None:
    budgets = (
        Budget(usd=1, window="day", soft=0.5, on_soft="degrade"),
        Budget(usd=1, window="week", soft=0.5),
        Budget(usd=1, window="month", on_soft="degrade"),
    )

    assert policy(team={"budgets": budgets}).degrading == {"team:search|microusd|day@UTC"}


def test_what_the_organisation_alone_says_is_handed_on() -> None:
    queue = QueueSettings(max_wait_s=3)

    found = policy(
        {"unbounded_output": "refuse", "unpriced": "worst_case", "budget_status": 402, "cached_answers": True,
         "queue": queue},
        {"weight": 3.0},
    )  # fmt: skip

    assert (found.unbounded_output, found.unpriced, found.budget_status) == ("refuse", "worst_case", 402)
    assert (found.cached_answers, found.queue, found.weight) == (True, queue, 3.0)


# ---------------------------------------------------------------- levels


def test_every_level_must_admit_a_model() -> None:
    found = policy({"models": ("gpt-*",)}, {"models": ("*",)}, models=("*-nano", "auto"))

    assert found.models == (("gpt-*",), ("*-nano", "auto"))


def test_tiers_are_those_that_every_level_leaves_cheapest_first() -> None:
    found = policy({"tiers": ("complex", "medium", "simple")}, {"tiers": ("complex", "medium")}, tiers=("medium",))

    assert found.tiers == ("medium",)
    assert policy({"tiers": ("complex", "simple")}).tiers == ("simple", "complex")
    assert policy({"tiers": ("simple",)}, {"tiers": ("complex",)}).tiers == ()


def test_the_shortest_longest_answer_holds() -> None:
    assert policy({"max_output_tokens": 100}, {"max_output_tokens": 50}, max_output_tokens=70).max_output_tokens == 50


WIDER = [
    ("models", ("small",), ("large",), (("large",),)),
    ("tiers", ("simple",), ("complex",), ("complex",)),
    ("max_output_tokens", 10, 1000, 1000),
]


@pytest.mark.parametrize(("field", "narrow", "wide", "result"), WIDER)
def test_a_grant_lets_the_next_level_widen(field: str, narrow: Any, wide: Any, result: Any) -> None:
    grants = {"grants": (field,)}

    of_team = policy({field: narrow, **grants}, {field: wide})
    of_key = policy(None, {field: narrow, **grants}, **{field: wide})

    assert getattr(of_team, field) == getattr(of_key, field) == result


@pytest.mark.parametrize(("field", "narrow", "wide", "_"), WIDER)
def test_a_grant_takes_nothing_from_those_who_say_nothing(field: str, narrow: Any, wide: Any, _: Any) -> None:
    grants = {"grants": (field,)}

    assert getattr(policy({field: narrow, **grants}), field) == getattr(policy({field: narrow}), field)
    assert getattr(policy(None, {field: narrow, **grants}), field) == getattr(policy({field: narrow}), field)


@pytest.mark.parametrize(("field", "narrow", "wide", "_"), WIDER)
def test_a_grant_reaches_one_level_only(field: str, narrow: Any, wide: Any, _: Any) -> None:
    found = policy({field: narrow, "grants": (field,)}, **{field: wide})

    assert getattr(found, field) == getattr(policy({field: narrow}, **{field: wide}), field)


patterns = st.sets(st.sampled_from(["a", "b", "*"]), min_size=1).map(tuple)
tiers = st.sets(st.sampled_from(TIERS)).map(tuple)
longest = st.none() | st.integers(1, 100)
words = st.fixed_dictionaries({"models": patterns, "tiers": tiers, "max_output_tokens": longest})


@given(words, words, words)
def test_without_grants_a_lower_level_can_only_tighten(
    organisation: dict[str, Any], team: dict[str, Any], key: dict[str, Any]
) -> None:
    above, below = policy(organisation, team), policy(organisation, team, **key)

    assert set(below.tiers) <= set(above.tiers)
    assert set(above.models) <= set(below.models)
    if above.max_output_tokens is not None:
        assert below.max_output_tokens is not None
        assert below.max_output_tokens <= above.max_output_tokens


@given(st.integers(1, 10), st.integers(1, 10))
def test_a_lower_level_never_takes_a_meter_away(above: int, below: int) -> None:
    of_team = {"limits": Limits(requests_per_minute=above), "budgets": (Budget(usd=above),)}

    found = policy(None, of_team, limits=Limits(requests_per_minute=below), budgets=(Budget(usd=below),))

    assert set(policy(None, of_team).meters) <= set(found.meters)


def test_levels_that_admit_everything_are_left_out() -> None:
    found = admitted_models(OrganisationSettings(), TeamSettings(models=("a", "*")), LevelSettings(models=("b",)))

    assert found == (("b",),)


# ---------------------------------------------------------------- the book


def test_a_policy_is_resolved_once_and_by_the_callers_names() -> None:
    made = book(teams={"search": TeamSettings(keys=(KeySettings(name="ci", secret=Secret("s" * 16), tiers=()),))})

    found = made.of(caller(team="search", key="ci"))

    assert found.tiers == ()
    assert made.of_key("search", "ci") is found
    assert made.of_key("search", "other").tiers == TIERS


def test_a_team_that_is_not_in_the_file_has_the_organisations_word_only() -> None:
    found = book(limits=Limits(requests_per_minute=3)).of_key("unheard-of", "k")

    assert keys(found.meters) == ["org|requests|60s"]
    assert found.weight == 1.0


def test_the_rules_of_a_stored_key_hold_and_may_change() -> None:
    stored = {("t", "k"): LevelSettings(max_output_tokens=5)}
    made = PolicyBook(OrganisationSettings(), stored)
    before = made.of_key("t", "k")

    stored["t", "k"] = LevelSettings(max_output_tokens=9)

    assert before.max_output_tokens == 5
    assert made.of_key("t", "k").max_output_tokens == 9


def test_what_the_file_says_of_a_key_comes_before_what_is_stored() -> None:
    organisation = OrganisationSettings(
        teams={"t": TeamSettings(keys=(KeySettings(name="k", secret=Secret("s" * 16), max_output_tokens=5),))}
    )

    made = PolicyBook(organisation, {("t", "k"): LevelSettings(max_output_tokens=9)})

    assert made.of_key("t", "k").max_output_tokens == 5


# ---------------------------------------------------------------- end users


@pytest.mark.parametrize(
    ("headers", "document", "user"),
    [
        ({}, {}, None),
        ({}, {"user": "u"}, "u"),
        ({}, {"user": ""}, None),
        ({}, {"user": 7}, None),
        ({}, {"safety_identifier": "s"}, "s"),
        ({}, {"user": "u", "safety_identifier": "s"}, "u"),
        ({}, {"metadata": {"user_id": "m"}}, "m"),
        ({}, {"metadata": {"user_id": ["m"]}}, None),
        ({}, {"metadata": None}, None),
        ({}, {"user": 7, "metadata": {"user_id": "m"}}, "m"),
        ({b"x-tierway-user": b"h"}, {"user": "u"}, "h"),
        ({b"x-tierway-user": b""}, {"user": "u"}, "u"),
        ({b"x-tierway-user": "Zo\u00eb".encode()}, {}, "Zo\u00eb"),
        ({b"x-tierway-user": b"\xff"}, {}, "\ufffd"),
        ({b"x-other": b"h"}, {}, None),
    ],
)
def test_the_end_user_is_found(headers: dict[bytes, bytes], document: dict[str, Any], user: str | None) -> None:
    assert book().user_of(headers, document) == user


def test_the_header_that_names_the_user_can_be_chosen() -> None:
    assert book(user_header="X-End-User").user_of({b"x-end-user": b"h"}, {}) == "h"


def test_without_words_on_users_their_names_change_nothing() -> None:
    made = book(limits=Limits(requests_per_minute=1))
    found = made.of_key("t", "k")

    assert made.meters(found, ANNA) is found.meters


def test_a_request_that_names_no_user_is_counted_for_none() -> None:
    made = book(limits=Limits(requests_per_minute=1), **for_users(requests_per_minute=1))
    found = made.of_key("t", "k")

    assert made.meters(found, None) is found.meters


def test_each_user_is_counted_alone_and_by_a_digest() -> None:
    made = book(**for_users(Budget(usd=1), requests_per_minute=2))
    found = made.of_key("t", "k")

    annas, bens = made.meters(found, ANNA), made.meters(found, "ben")

    assert [(meter.unit, meter.cap, meter.level) for meter in annas] == [
        ("requests", 2, "one end user of organisation 'acme'"),
        ("microusd", 1_000_000, "one end user of organisation 'acme'"),
    ]
    assert set(keys(annas)).isdisjoint(keys(bens))
    assert ANNA not in str(annas)


def test_the_same_user_has_the_same_tuple_of_meters() -> None:
    made = book(limits=Limits(concurrency=1), **for_users(requests_per_minute=2))
    found = made.of_key("t", "k")

    first = made.meters(found, ANNA)

    assert made.meters(found, "".join(ANNA)) is first
    assert first[: len(found.meters)] == found.meters


def test_a_user_below_the_organisation_is_the_same_whichever_key_is_used() -> None:
    made = book(**for_users(requests_per_minute=1))

    one, other = (made.meters(made.of_key(*names), ANNA) for names in (("t", "k"), ("u", "j")))

    assert keys(one) == keys(other)


def test_a_user_below_a_team_is_another_in_each_team() -> None:
    team = TeamSettings(**for_users(requests_per_minute=1))
    made = book(teams={"t": team, "u": team})

    one, other = (made.meters(made.of_key(*names), ANNA) for names in (("t", "k"), ("u", "j")))

    assert set(keys(one)).isdisjoint(keys(other))


def test_users_meters_follow_the_rules_of_a_stored_key() -> None:
    stored = {("t", "k"): LevelSettings(**for_users(requests_per_minute=1))}
    made = PolicyBook(OrganisationSettings(), stored)
    before = made.meters(made.of_key("t", "k"), ANNA)

    stored["t", "k"] = LevelSettings(**for_users(requests_per_minute=2))

    after = made.meters(made.of_key("t", "k"), ANNA)
    assert keys(after) == keys(before)
    assert [meter.cap for meter in after] == [2]


@pytest.mark.parametrize("name", ["x" * 10_000_000, "\ud800"])
def test_a_name_of_any_kind_is_counted_and_not_kept(name: str) -> None:
    made = book(**for_users(requests_per_minute=1))
    found = made.of_key("t", "k")

    first = made.meters(found, name)

    assert made.meters(found, name) is first
    assert all(len(part) < 100 for known in made._users for part in known)


def test_long_names_that_begin_alike_are_different_users() -> None:
    made = book(**for_users(requests_per_minute=1))
    found = made.of_key("t", "k")

    assert keys(made.meters(found, "x" * 1000 + "a")) != keys(made.meters(found, "x" * 1000 + "b"))


def test_no_more_users_are_remembered_than_the_bound() -> None:
    made = book(**for_users(requests_per_minute=1))
    found = made.of_key("t", "k")

    for number in range(MAX_USERS + 2):
        made.meters(found, str(number))

    assert len(made._users) <= MAX_USERS


def test_users_may_be_required_at_any_level() -> None:
    required: dict[str, Any] = {"users": UserSettings(required=True)}

    assert policy(required).requires_user
    assert policy(None, required).requires_user
    assert policy(**required).requires_user


def test_a_users_budget_degrades_where_it_says_so() -> None:
    budgets = (Budget(usd=1, soft=0.5, on_soft="degrade"), Budget(usd=1, window="day", soft=0.5))
    made = book(**for_users(*budgets), budgets=(Budget(usd=5, soft=0.5),))
    found = made.of_key("t", "k")

    degrading = [meter for meter in made.meters(found, ANNA) if degrades(found, meter)]

    assert [(meter.cap, meter.level) for meter in degrading] == [(1_000_000, "one end user of organisation 'acme'")]


# ---------------------------------------------------------------- windows


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ((Budget(usd=1), Budget(usd=2)), r"budgets\[1\]: the same window as budgets\[0\]"),
        ((Budget(usd=1, window="rolling 60m"), Budget(usd=2, window="rolling 1h")), "the same window"),
        ((Budget(usd=1, window="fortnight"),), "is no window"),
        ((Budget(usd=1, zone="Mars/Olympus"),), "is no time zone"),
    ],
)
def test_budgets_that_cannot_stand_beside_each_other_are_refused(budgets: tuple[Budget, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_budgets(budgets)


def test_budgets_of_different_windows_and_zones_may_stand_beside_each_other() -> None:
    check_budgets((Budget(usd=1), Budget(usd=1, window="day"), Budget(usd=1, window="day", zone="Europe/Berlin")))


@pytest.mark.parametrize(
    ("window", "name"),
    [
        (None, ""),
        (TotalWindow(), "total"),
        (CalendarWindow("day"), "day"),
        (CalendarWindow("month", "Europe/Berlin"), "month (Europe/Berlin)"),
        (SlidingWindow(86_400), "rolling 1d"),
        (SlidingWindow(7200), "rolling 2h"),
        (SlidingWindow(1800), "rolling 30m"),
        (SlidingWindow(90), "rolling 90s"),
    ],
)
def test_windows_have_names(window: Window | None, name: str) -> None:
    assert window_name(window) == name


def test_keys_of_which_the_levels_say_the_same_share_a_plan_of_the_guard() -> None:
    tree = {"guard": {"input": {"pii": "flag"}}, "teams": {"a": {}, "b": {"guard": {"input": {"pii": "block"}}}}}
    book = PolicyBook(msgspec.convert(tree, OrganisationSettings))

    plans = [book.of_key(team, key).guard for team, key in (("a", "x"), ("a", "y"), ("b", "z"))]

    assert plans[0] is plans[1]
    assert [plan.input.pii for plan in plans] == ["flag", "flag", "block"]


def test_a_stored_key_tightens_its_guard() -> None:
    rules = {("a", "k"): msgspec.convert({"guard": {"input": {"pii": "block"}}}, LevelSettings)}
    book = PolicyBook(msgspec.convert({"guard": {"input": {"pii": "flag"}}}, OrganisationSettings), rules)

    assert book.of_key("a", "k").guard.input.pii == "block"


def test_where_nobody_speaks_of_the_guard_it_is_idle() -> None:
    assert PolicyBook(OrganisationSettings()).of_key("a", "k").guard.is_idle
