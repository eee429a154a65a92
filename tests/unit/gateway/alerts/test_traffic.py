from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alerts.traffic import Tally, TrafficWindow, duration_bounds
from gateway.telemetry import Record
from tests.support.alerts import record

BOUNDS = duration_bounds(15.0)
WINDOW_S = 300.0


def window(teams: int = 3) -> TrafficWindow:
    return TrafficWindow(WINDOW_S, BOUNDS, teams)


def tally_of(*records: Record) -> Tally:
    made = window()
    for one in records:
        made.observe(one)
    made.turn(0.0)
    return made.overall


@pytest.mark.parametrize(
    "failed",
    [
        record(500),
        record(503, code="stage_unavailable", source="gateway", team=""),
        record(502, code="upstream_unreachable", source="provider"),
        record(529, code="upstream_overloaded", source="provider"),
        record(429, code="rate_limit_exceeded", source="provider"),
        record(401, code="invalid_api_key", source="provider"),
        record(200, code="upstream_garbled", source="provider"),
        record(504, code="upstream_timeout", source="provider"),
    ],
)
def test_failures_here_and_upstream_are_errors(failed: Record) -> None:
    assert tally_of(failed).errors == 1


@pytest.mark.parametrize("left", [record(499), record(499, code="upstream_garbled", source="provider")])
def test_a_caller_that_leaves_is_no_error(left: Record) -> None:
    tally = tally_of(left)

    assert (tally.requests, tally.errors) == (1, 0)


@pytest.mark.parametrize(
    "refused",
    [
        record(400, code="invalid_request"),
        record(401, code="invalid_api_key", source="gateway", team=""),
        record(429, code="rate_limit_exceeded", source="gateway"),
        record(400, code="context_length_exceeded", source="provider"),
        record(404, code="model_not_found", source="provider"),
    ],
)
def test_refusals_do_not_thin_out_the_rates(refused: Record) -> None:
    assert tally_of(refused).requests == 0


@pytest.mark.parametrize("route", ["admin", "models", "other"])
def test_routes_that_ask_no_model_are_not_watched(route: str) -> None:
    assert tally_of(record(500, route=route)).requests == 0


@pytest.mark.parametrize(
    ("late", "timeouts"),
    [
        (record(504, code="upstream_timeout", source="provider"), 1),
        (record(504, code="deadline_exceeded", source="gateway"), 1),
        (record(504, code="gateway_timeout", source="provider"), 1),
        (record(200, code="deadline_exceeded", source="gateway"), 1),
        (record(502, code="upstream_unreachable", source="provider"), 0),
        (record(200), 0),
    ],
)
def test_timeouts_are_told_from_other_failures(late: Record, timeouts: int) -> None:
    assert tally_of(late).timeouts == timeouts


def test_only_answers_at_a_known_price_count_towards_the_average() -> None:
    tally = tally_of(
        record(cost_microusd=30), record(cost_microusd=0), record(), record(502, code="x", cost_microusd=0)
    )

    assert (tally.priced, tally.cost_microusd) == (2, 30)


def test_a_request_leaves_the_window() -> None:
    made = window()
    made.observe(record(500))

    made.turn(10.0)
    assert made.overall.errors == made.teams()["search"].errors == 1
    made.turn(10.0 + WINDOW_S - 1)
    assert made.overall.errors == 1
    made.turn(10.0 + WINDOW_S)

    assert made.overall.errors == 0
    assert made.overall.durations == [0] * (len(BOUNDS) + 1)
    assert made.teams() == {}


def test_teams_beyond_the_most_count_for_all_only() -> None:
    made = window(teams=2)
    for team in ("a", "b", "c", "d", "c"):
        made.observe(record(team=team))

    made.turn(0.0)

    assert made.overall.requests == 5
    assert set(made.teams()) == {"a", "b"}


def test_a_team_that_falls_silent_makes_room_for_another() -> None:
    made = window(teams=1)
    made.observe(record(team="a"))
    made.turn(0.0)
    made.observe(record(team="b"))
    made.turn(WINDOW_S)
    made.observe(record(team="b"))

    made.turn(WINDOW_S + 10)

    assert made.teams()["b"].requests == 1


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), max_size=300))
def test_memory_is_bounded_and_totals_are_the_buckets(requests: list[tuple[int, int]]) -> None:
    made = window(teams=3)
    step_s, kept = 10.0, 0
    for number, (team, seconds) in enumerate(requests):
        made.observe(record(team=f"t{team}", duration_us=seconds * 1_000_000))
        made.turn(number * step_s)
        kept = sum(1 for n in range(number + 1) if n * step_s > number * step_s - WINDOW_S)

        assert made.overall.requests == sum(made.overall.durations) == kept
        assert made.tallies() <= 1 + (WINDOW_S / step_s + 2) * (3 + 1)

    assert sum(total.requests for total in made.teams().values()) <= kept


@given(st.lists(st.integers(1, 900_000_000), min_size=1, max_size=200))
def test_a_percentile_is_exact_at_its_bounds(durations: list[int]) -> None:
    tally = tally_of(*(record(duration_us=one) for one in durations))
    ranked = sorted(durations)[-(-len(durations) * 95 // 100) - 1]

    found_s = tally.percentile_s(0.95, BOUNDS)

    assert (found_s > 15.0) == (ranked > 15_000_000)


def test_a_percentile_of_nothing_is_0() -> None:
    assert Tally(len(BOUNDS) + 1).percentile_s(0.95, BOUNDS) == 0.0
