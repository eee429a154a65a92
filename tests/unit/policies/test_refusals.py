from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.errors import BudgetExhaustedError, RateLimitedError
from policies.meters import Meter, Standing
from policies.refusals import LONGEST_RETRY_S, SHORTEST_RETRY_S, limit_name, moment, refusal
from policies.stores.holds.base import Refused
from policies.windows import CalendarWindow, SlidingWindow, TotalWindow, Window

TEAM = "team 'search'"
RATE = Meter("team:search|requests|60s", TEAM, "requests", 100, SlidingWindow(60))
PLACES = Meter("team:search|concurrency", TEAM, "concurrency", 5, None)
BUDGET = Meter("team:search|microusd|day@UTC", TEAM, "microusd", 5_000_000, CalendarWindow("day"))
TOMORROW = 1_800_057_600.0
"""2027-01-16, 00:00:00 UTC."""


def rate_error(meter: Meter = RATE, *, used: int = 100, retry_after_s: float | None = 12.25) -> RateLimitedError:
    error = refusal(Refused(meter, used, meter.cap, retry_after_s, TOMORROW), 0, budget_status=402)
    assert isinstance(error, RateLimitedError)
    return error


def budget_error(
    meter: Meter = BUDGET,
    *,
    held: int = 0,
    status: int = 429,
    retry_after_s: float | None = 3600.0,
    resets_at: float | None = TOMORROW,
) -> BudgetExhaustedError:
    refused = Refused(meter, 4_900_000, meter.cap, retry_after_s, resets_at)
    error = refusal(refused, held, budget_status=status)
    assert isinstance(error, BudgetExhaustedError)
    return error


def test_a_rate_is_named_with_its_level_its_number_and_the_wait() -> None:
    error = rate_error()

    assert error.message == (
        "The limit of 100 requests a minute of team 'search' is reached: 100 are counted. Try again in 12.250 s."
    )
    assert (error.status, error.code, error.retry_after_s) == (429, "rate_limit_exceeded", 12.25)
    assert error.should_retry is None
    assert error.standing == Standing(RATE, 100, 100, TOMORROW)


def test_a_limit_on_calls_in_flight_promises_no_moment() -> None:
    error = rate_error(PLACES, used=5, retry_after_s=1.0)

    assert error.message == (
        "The limit of 5 requests at once of team 'search' is reached: 5 are counted. Try again when one has ended."
    )
    assert error.retry_after_s == 1.0


def test_a_request_that_never_fits_is_not_to_be_sent_again() -> None:
    error = rate_error(used=0, retry_after_s=None)

    assert error.message == (
        "The limit of 100 requests a minute of team 'search' is less than this request alone may need."
    )
    assert (error.retry_after_s, error.should_retry) == (LONGEST_RETRY_S, False)


@pytest.mark.parametrize(("wait_s", "told_s"), [(0.0, SHORTEST_RETRY_S), (0.5, 0.5), (10**7, LONGEST_RETRY_S)])
def test_the_wait_that_is_told_is_within_bounds(wait_s: float, told_s: float) -> None:
    assert rate_error(retry_after_s=wait_s).retry_after_s == told_s


def test_a_budget_is_named_with_its_level_its_numbers_and_its_reset() -> None:
    error = budget_error()

    assert error.message == (
        "The budget of 5.00 USD a day of team 'search' has less left than this request may cost: "
        "4.90 USD are counted. It resets at 2027-01-16T00:00:00Z."
    )
    assert (error.status, error.code, error.type) == (429, "insufficient_quota", "insufficient_quota")
    assert (error.should_retry, error.retry_after_s) == (False, None)
    assert error.standing == Standing(BUDGET, 4_900_000, 5_000_000, TOMORROW)


def test_a_budget_for_all_time_does_not_reset() -> None:
    meter = Meter("org|microusd|total", "organisation 'acme'", "microusd", 1, TotalWindow())

    error = budget_error(meter, retry_after_s=None, resets_at=None)

    assert error.message.endswith("4.90 USD are counted. It does not reset by itself.")
    assert "0.000001 USD in total of organisation 'acme'" in error.message


def test_a_budget_that_is_smaller_than_the_request_promises_nothing() -> None:
    error = budget_error(retry_after_s=None)

    assert error.message.endswith("4.90 USD are counted. An empty one has less than that, too.")
    assert error.should_retry is False


def test_a_budget_that_calls_in_flight_hold_is_worth_another_try() -> None:
    error = budget_error(held=1_250_000)

    assert error.message.endswith(
        "4.90 USD are counted, of which 1.25 USD are held for requests in flight. Try again soon."
    )
    assert (error.should_retry, error.retry_after_s) == (True, 1.0)


@pytest.mark.parametrize("status", [402, 403, 429])
def test_the_status_of_a_budgets_refusal_is_the_organisations(status: int) -> None:
    error = budget_error(status=status)

    assert (error.status, error.code) == (status, "insufficient_quota")


def test_the_status_of_a_budget_is_not_that_of_a_rate() -> None:
    assert rate_error().status == 429


@pytest.mark.parametrize(
    ("unit", "window", "name"),
    [
        ("requests", SlidingWindow(1), "7 requests a second"),
        ("requests", SlidingWindow(60), "7 requests a minute"),
        ("requests", SlidingWindow(86_400), "7 requests a day"),
        ("input_tokens", SlidingWindow(60), "7 input tokens a minute"),
        ("output_tokens", SlidingWindow(86_400), "7 output tokens a day"),
        ("concurrency", None, "7 requests at once"),
        ("microusd", SlidingWindow(86_400), "0.000007 USD in any 1d"),
        ("microusd", SlidingWindow(1800), "0.000007 USD in any 30m"),
        ("microusd", CalendarWindow("hour"), "0.000007 USD an hour"),
        ("microusd", CalendarWindow("week"), "0.000007 USD a week"),
        ("microusd", CalendarWindow("month", "Europe/Berlin"), "0.000007 USD a month (Europe/Berlin)"),
        ("microusd", TotalWindow(), "0.000007 USD in total"),
    ],
)
def test_limits_have_names_that_people_use(unit: Any, window: Window | None, name: str) -> None:
    assert limit_name(Meter("k", "level", unit, 7, window)) == name


@pytest.mark.parametrize(
    ("microusd", "dollars"),
    [(0, "0.00"), (5_000_000, "5.00"), (12_340_000, "12.34"), (100, "0.000100"), (10_000_000_000, "10000.00")],
)
def test_dollars_are_written_to_the_cent_unless_there_is_more_to_say(microusd: int, dollars: str) -> None:
    assert limit_name(Meter("k", "level", "microusd", microusd, TotalWindow())) == f"{dollars} USD in total"


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (TOMORROW, "2027-01-16T00:00:00Z"),
        (TOMORROW - 0.25, "2027-01-16T00:00:00Z"),
        (TOMORROW + 0.25, "2027-01-16T00:00:01Z"),
    ],
)
def test_a_moment_is_rounded_up_to_a_second(at: float, written: str) -> None:
    assert moment(at) == written
