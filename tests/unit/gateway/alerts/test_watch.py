from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alerts.book import KEEP_RESOLVED_S
from gateway.alerts.watch import REMEMBERED, TEAMS, TOLD_AT_ONCE
from gateway.telemetry import Record
from policies.meters import Meter, Standing
from tests.support.alerts import DAY, EPOCH, Watched, record, standing

OK = record()
FAILED = record(502, code="upstream_unreachable", source="provider")
LATE = record(504, code="upstream_timeout", source="provider")
SLOW = record(duration_us=15_100_000)
DEAR = record(cost_microusd=600_000)
CHEAP = record(cost_microusd=1_000)

BAD: dict[str, tuple[Record, ...]] = {
    "timeout_rate": (LATE, *[OK] * 17),
    "error_rate": (FAILED, *[OK] * 8),
    "cost_per_workflow_usd": (DEAR, DEAR, DEAR, DEAR, DEAR, CHEAP),
    "p95_latency_s": (SLOW, *[OK] * 17),
}
"""Alert to requests that pass its threshold by little, and no other."""

GOOD: dict[str, tuple[Record, ...]] = {
    "timeout_rate": (LATE, *[OK] * 19),
    "error_rate": (FAILED, *[OK] * 9),
    "cost_per_workflow_usd": (DEAR, DEAR, DEAR, DEAR, CHEAP),
    "p95_latency_s": (SLOW, *[OK] * 19),
}
"""The same, at the threshold or just below."""


@pytest.mark.parametrize("alert", BAD)
async def test_each_threshold_fires_alone_for_all_and_for_the_team(alert: str) -> None:
    watched = Watched()

    await watched.requests(*BAD[alert], for_s=120, times=3)

    assert watched.told() == [("firing", alert, "all"), ("firing", alert, "team 'search'")]
    assert {name for name, state in watched.states().items() if state != "inactive"} == {alert}


@pytest.mark.parametrize("alert", GOOD)
async def test_a_value_at_its_threshold_does_not_fire(alert: str) -> None:
    watched = Watched()

    await watched.requests(*GOOD[alert], for_s=600, times=3)

    assert watched.told() == []
    assert watched.states()[alert] == "inactive"


@pytest.mark.parametrize("alert", BAD)
async def test_a_threshold_that_is_off_never_fires(alert: str) -> None:
    watched = Watched(**{alert: None})

    await watched.requests(*BAD[alert], for_s=600, times=3)

    assert watched.told() == []
    assert alert not in watched.states()


@pytest.mark.parametrize("alert", BAD)
async def test_too_few_requests_say_nothing(alert: str) -> None:
    watched = Watched(min_count=19, for_s=0)

    await watched.requests(*BAD[alert], for_s=10)

    assert watched.told() == []


async def test_an_alert_is_pending_until_it_has_lasted() -> None:
    watched = Watched(for_s=60)

    await watched.requests(*[FAILED] * 20, for_s=60)
    assert watched.states()["error_rate"] == "pending"
    assert watched.told() == []
    await watched.requests(FAILED, for_s=10)

    assert watched.states()["error_rate"] == "firing"
    assert ("firing", "error_rate", "all") in watched.told()


async def test_a_spike_that_passes_in_time_is_not_told() -> None:
    watched = Watched(for_s=60, window_s=30)

    await watched.requests(*[FAILED] * 20, for_s=20)
    await watched.requests(*[OK] * 20, for_s=120)

    assert watched.told() == []
    assert watched.states()["error_rate"] == "inactive"


async def test_a_value_between_the_thresholds_keeps_an_alert_firing() -> None:
    watched = Watched(window_s=30, for_s=0)
    await watched.requests(*[FAILED] * 20, for_s=30)

    await watched.requests(FAILED, *[OK] * 10, for_s=600, times=10)

    assert watched.states()["error_rate"] == "firing"
    assert [state for state, *_ in watched.told()] == ["firing", "firing"]


async def test_an_alert_is_resolved_once_it_stays_below_four_fifths() -> None:
    watched = Watched(window_s=30, for_s=60)
    await watched.requests(*[FAILED] * 20, for_s=120)

    await watched.requests(FAILED, *[OK] * 13, for_s=70, times=10)
    assert watched.states()["error_rate"] == "firing"
    await watched.requests(FAILED, *[OK] * 13, for_s=30, times=10)

    assert watched.states()["error_rate"] == "resolved"
    assert watched.told()[-1] == ("resolved", "error_rate", "team 'search'")


async def test_a_flapping_value_is_told_once() -> None:
    watched = Watched(window_s=30, for_s=60)
    await watched.requests(*[FAILED] * 20, for_s=120)

    for _ in range(30):
        await watched.requests(*[OK] * 40, for_s=40)
        await watched.requests(*[FAILED] * 40, for_s=20)

    assert watched.told() == [("firing", "error_rate", "all"), ("firing", "error_rate", "team 'search'")]


async def test_an_alert_can_fire_again_after_it_was_resolved() -> None:
    watched = Watched(window_s=30, for_s=0)
    for _ in range(2):
        await watched.requests(*[FAILED] * 20, for_s=30)
        await watched.requests(*[OK] * 20, for_s=60)

    states = [state for state, _, subject in watched.told() if subject == "all"]

    assert states == ["firing", "resolved", "firing", "resolved"]


async def test_silence_ends_an_alert() -> None:
    watched = Watched(for_s=0)
    await watched.requests(*[FAILED] * 20, for_s=10)

    await watched.quiet(300)

    assert watched.told()[2:] == [("resolved", "error_rate", "all"), ("resolved", "error_rate", "team 'search'")]
    assert "nothing to measure now" in watched.summaries()[-1]


async def test_a_team_is_judged_by_its_own_requests() -> None:
    watched = Watched(for_s=0)
    bad = record(500, team="ops")

    await watched.requests(*[bad] * 20, *[OK] * 400, for_s=30)

    assert watched.told() == [("firing", "error_rate", "team 'ops'")]


async def test_a_team_called_all_is_not_everyone() -> None:
    watched = Watched(for_s=0)

    await watched.requests(*[record(500, team="all")] * 20, *[OK] * 400, for_s=10)

    assert watched.told() == [("firing", "error_rate", "team 'all'")]
    assert watched.states()["error_rate"] == "inactive"


async def test_a_message_says_value_threshold_and_whose() -> None:
    watched = Watched(for_s=0)

    await watched.requests(*[FAILED] * 5, *[OK] * 15, for_s=10)

    assert watched.summaries()[0] == "error_rate of all: 25.0 % of requests failed (threshold 10.0 %)"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=50, max_size=400))
def test_memory_is_bounded_whatever_teams_fail(teams: list[int]) -> None:
    watched = Watched(for_s=0, min_count=1, window_s=30)

    async def fail() -> None:
        for start in range(0, len(teams), 100):
            await watched.requests(*(record(500, team=f"t{team}") for team in teams[start : start + 100]))

    asyncio.run(fail())

    assert len(watched.watch.views()) <= 4 * (1 + TEAMS * 4)
    assert len(watched.watch.deliveries()) <= REMEMBERED


async def test_many_changes_at_once_are_few_notifications() -> None:
    watched = Watched(for_s=0, min_count=1)

    await watched.requests(*(record(500, team=f"t{team}") for team in range(30)))

    assert [len(one.notification.changes) for one in watched.watch.deliveries()] == [11, TOLD_AT_ONCE]


# ---------------------------------------------------------------- budgets

SUBJECT = "team 'search' (day)"


async def test_the_soft_threshold_is_told_once_it_lasts() -> None:
    watched = Watched()

    for _ in range(3):
        await watched.budgets(standing(81.0))
    assert watched.states(SUBJECT) == {"budget_soft": "pending"}
    await watched.budgets(standing(81.0))

    assert watched.told() == [("firing", "budget_soft", SUBJECT)]
    expected = f"budget_soft of {SUBJECT}: 81.00 USD spent, past the soft threshold (threshold 80.00 USD)"
    assert watched.summaries() == [expected]


async def test_a_budget_below_its_thresholds_is_silent() -> None:
    watched = Watched(for_s=0)

    await watched.budgets(standing(79.9))
    await watched.budgets(standing(95.0, soft_usd=None))

    assert watched.told() == []


async def test_the_cap_is_told_at_once_and_before_its_last_cent() -> None:
    watched = Watched()

    await watched.budgets(standing(99.1, soft_usd=None))

    assert watched.told() == [("firing", "budget_exhausted", SUBJECT)]


async def test_a_new_period_resolves_the_alerts_of_the_last() -> None:
    watched = Watched(for_s=0)
    await watched.budgets(standing(100.0))

    await watched.budgets(standing(0.0, resets_at=EPOCH + 2 * 86_400))

    assert sorted(watched.told()[2:]) == [
        ("resolved", "budget_exhausted", SUBJECT),
        ("resolved", "budget_soft", SUBJECT),
    ]


@pytest.mark.parametrize("after", [(), (standing(100.0, soft_usd=None, key="other"),)])
async def test_alerts_of_a_budget_that_is_gone_are_resolved(after: tuple[Standing, ...]) -> None:
    watched = Watched()
    await watched.budgets(standing(100.0, soft_usd=None))

    await watched.budgets(*after)

    assert ("resolved", "budget_exhausted", SUBJECT) in watched.told()


async def test_an_alert_ends_where_the_soft_threshold_is_taken_away() -> None:
    watched = Watched(for_s=0)
    await watched.budgets(standing(85.0))

    await watched.budgets(standing(85.0, soft_usd=None))

    assert watched.told() == [("firing", "budget_soft", SUBJECT), ("resolved", "budget_soft", SUBJECT)]


async def test_limits_of_other_units_and_budgets_of_nothing_are_passed_over() -> None:
    watched = Watched(for_s=0)
    tokens = Standing(Meter("tokens", "team 'search'", "input_tokens", 10, DAY, 5), 10, 10, None)

    await watched.budgets(tokens, standing(0.0, cap_usd=0.0, soft_usd=0.0))

    assert watched.told() == []


async def spend(watched: Watched, usd_an_hour: float, hours: float, start_usd: float = 0.0) -> float:
    """Spend at a rate for some hours; return what is spent at the end."""
    steps = round(hours * 180)
    for step in range(1, steps + 1):
        spent = start_usd + step * usd_an_hour / 180
        await watched.budgets(standing(spent, soft_usd=None))
    return start_usd + steps * usd_an_hour / 180


async def test_a_budget_that_will_be_empty_soon_is_told_of() -> None:
    watched = Watched()

    await spend(watched, usd_an_hour=20.0, hours=0.5)

    assert watched.told() == [("firing", "budget_forecast", SUBJECT)]
    assert watched.summaries()[0].startswith(f"budget_forecast of {SUBJECT}: at this rate empty in 4 h 5")
    assert watched.watch.forecast("budget") == pytest.approx(4.5 * 3600, rel=0.01)
    assert watched.watch.forecasts() == {"budget": watched.watch.forecast("budget")}


async def test_a_forecast_comes_nearer_between_two_looks() -> None:
    watched = Watched()
    await spend(watched, usd_an_hour=20.0, hours=0.5)
    before_s = watched.watch.forecast("budget")

    watched.now += 15.0

    assert before_s is not None
    assert watched.watch.forecast("budget") == pytest.approx(before_s - 15.0)


async def test_a_budget_that_lasts_for_longer_than_asked_is_not_told_of() -> None:
    watched = Watched()

    await spend(watched, usd_an_hour=14.0, hours=0.5)

    assert watched.told() == []
    assert watched.watch.forecast("budget") == pytest.approx(93 / 14 * 3600, rel=0.01)


async def test_a_budget_whose_period_ends_first_is_not_told_of() -> None:
    watched = Watched()

    for step in range(90):
        await watched.budgets(standing(step * 20 / 180, soft_usd=None, resets_at=EPOCH + 4 * 3600))

    assert watched.told() == []
    assert watched.watch.forecast("budget") is None


@pytest.mark.parametrize(
    ("usd_an_hour", "states"), [(12.0, ["firing"]), (8.0, ["firing", "resolved"]), (0.1, ["firing", "resolved"])]
)
async def test_a_forecast_is_resolved_when_spending_slows_down_enough(usd_an_hour: float, states: list[str]) -> None:
    watched = Watched()
    spent = await spend(watched, usd_an_hour=20.0, hours=0.5)

    await spend(watched, usd_an_hour=usd_an_hour, hours=1.0, start_usd=spent)

    assert [state for state, *_ in watched.told()] == states


async def test_that_a_budget_is_empty_is_no_forecast() -> None:
    watched = Watched()

    await spend(watched, usd_an_hour=300.0, hours=0.05, start_usd=90.0)
    for _ in range(30):
        await watched.budgets(standing(100.0, soft_usd=None))

    assert [alert for _, alert, _ in watched.told()] == ["budget_exhausted"]
    assert watched.watch.forecast("budget") == 0.0


async def test_forecasts_can_be_turned_off() -> None:
    watched = Watched(forecast_within_s=None)

    await spend(watched, usd_an_hour=20.0, hours=0.5)

    assert watched.told() == []


async def test_a_forecast_of_an_unknown_budget_is_none() -> None:
    assert Watched().watch.forecast("nobody") is None


# ---------------------------------------------------------------- running


async def test_alerts_stay_as_they_are_while_budgets_cannot_be_asked(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched()
    await watched.budgets(standing(100.0, soft_usd=None))
    watched.standings = ConnectionError("redis://:password@host")

    await watched.run_until(lambda: watched.watch.failures["budgets"] >= 3)

    assert watched.states(SUBJECT) == {"budget_exhausted": "firing"}
    messages = [line.message for line in caplog.records if "failed" in line.message]
    assert messages == ["alerts: the look at budgets failed: ConnectionError"]


async def test_a_running_watch_looks_at_requests_every_ten_and_budgets_every_twenty_seconds() -> None:
    watched = Watched()
    watched.standings = (standing(100.0, soft_usd=None),)
    for _ in range(20):
        watched.watch.observe(FAILED)

    await watched.run_until(lambda: {alert for _, alert, _ in watched.told()} == {"budget_exhausted", "error_rate"})

    assert set(watched.slept) == {10.0, 20.0}


async def test_changes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(for_s=0)

    with caplog.at_level(logging.INFO, "tierway"):
        await watched.requests(*[FAILED] * 20)
        await watched.quiet(300)

    levels = {line.levelname for line in caplog.records if "firing" in line.message}
    assert levels == {"WARNING"}
    assert {line.levelname for line in caplog.records if "resolved" in line.message} == {"INFO"}


async def test_without_a_webhook_notifications_are_kept_unsent() -> None:
    watched = Watched(for_s=0)

    await watched.requests(*[FAILED] * 20)

    assert [one.outcome for one in watched.watch.deliveries()] == ["unsent"]


async def test_metrics_tell_which_alerts_fire() -> None:
    watched = Watched(for_s=0)
    await watched.requests(*[FAILED] * 20, *[OK] * 10)

    families = {family.name: family for family in watched.watch.gauges()}

    firing = {tuple(sample.labels.values()): sample.value for sample in families["tierway_alerts_firing"].samples}
    assert firing[("error_rate", "all")] == firing[("error_rate", "team 'search'")] == 1.0
    assert firing[("p95_latency_s", "all")] == 0.0
    failures = {sample.labels["look"]: sample.value for sample in families["tierway_alert_failures"].samples}
    assert failures == {"requests": 0.0, "budgets": 0.0}


async def test_two_budgets_of_one_name_are_one_series() -> None:
    watched = Watched()
    await watched.budgets(standing(100.0, soft_usd=None, key="a"), standing(100.0, soft_usd=None, key="b"))

    family = next(iter(watched.watch.gauges()))

    assert [sample.labels["subject"] for sample in family.samples].count(SUBJECT) == 1


async def test_what_was_resolved_long_ago_is_forgotten() -> None:
    watched = Watched(for_s=0)
    await watched.requests(*[FAILED] * 20)
    await watched.quiet(300)
    assert watched.states("team 'search'") == {"error_rate": "resolved"}

    await watched.quiet(KEEP_RESOLVED_S)

    assert watched.states("team 'search'") == {}
    assert watched.states()["error_rate"] == "resolved"
