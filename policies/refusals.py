"""What a caller is told whom a limit or a budget stops: which one, how it stands, and when to come back."""

from __future__ import annotations

import datetime as dt
from typing import Final

from gateway.domain.errors import BudgetExhaustedError, RateLimitedError
from gateway.domain.money import format_usd
from policies.effective import window_name
from policies.meters import Meter, Standing
from policies.stores.holds.base import Refused
from policies.windows import CalendarWindow, SlidingWindow

LONGEST_RETRY_S: Final = 86_400.0
"""What a caller is told to wait at most."""

SHORTEST_RETRY_S: Final = 0.001
"""A limit whose content leaves this moment still takes a moment."""

HELD_RETRY_S: Final = 1.0
"""What a caller is told to wait whom only the holds of calls in flight stop: they end one by one."""

_UNITS: Final = {"requests": "requests", "input_tokens": "input tokens", "output_tokens": "output tokens"}
_PERIODS: Final = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}


def refusal(refused: Refused, held_microusd: int, *, budget_status: int) -> RateLimitedError | BudgetExhaustedError:
    """Return the error for a caller that a limit stops.

    Args:
        refused: which limit, and how it stands.
        held_microusd: how much of what counts there is held for calls in flight, which may cost less in the end.
        budget_status: of the error of a budget.
    """
    meter = refused.meter
    standing = Standing(meter, refused.used, refused.cap, refused.resets_at)
    if meter.unit == "microusd":
        return _out_of_money(refused, standing, held_microusd, budget_status)
    wait_s = LONGEST_RETRY_S if refused.retry_after_s is None else refused.retry_after_s
    error = RateLimitedError(
        _rate_message(refused), retry_after_s=min(max(wait_s, SHORTEST_RETRY_S), LONGEST_RETRY_S), standing=standing
    )
    if refused.retry_after_s is None:  # it does not fit an empty window either
        error.should_retry = False
    return error


def limit_name(meter: Meter) -> str:
    """Return what a meter limits, as people say it: `100 requests a minute`, `5.00 USD a day`."""
    if meter.unit == "microusd":
        return f"{_dollars(meter.cap)} USD {_period(meter)}".rstrip()
    if meter.unit == "concurrency":
        return f"{meter.cap} requests at once"
    return f"{meter.cap} {_UNITS[meter.unit]} {_period(meter)}"


def _period(meter: Meter) -> str:
    window = meter.window
    if isinstance(window, SlidingWindow):
        known = _PERIODS.get(window.seconds) if meter.unit != "microusd" else None
        return f"a {known}" if known else f"in any {window_name(window).removeprefix('rolling ')}"
    if isinstance(window, CalendarWindow):
        return f"{'an' if window.unit == 'hour' else 'a'} {window_name(window)}"
    return "in total"


def _rate_message(refused: Refused) -> str:
    meter = refused.meter
    message = f"The limit of {limit_name(meter)} of {meter.level} is reached: {refused.used} are counted."
    if refused.retry_after_s is None:
        return f"The limit of {limit_name(meter)} of {meter.level} is less than this request alone may need."
    if meter.unit == "concurrency":
        return message + " Try again when one has ended."
    return f"{message} Try again in {refused.retry_after_s:.3f} s."


def _out_of_money(refused: Refused, standing: Standing, held_microusd: int, status: int) -> BudgetExhaustedError:
    meter = refused.meter
    message = (
        f"The budget of {limit_name(meter)} of {meter.level} has less left than this request may cost: "
        f"{_dollars(refused.used)} USD are counted"
    )
    waits = held_microusd > 0
    if waits:
        message += f", of which {_dollars(held_microusd)} USD are held for requests in flight. Try again soon."
    elif refused.resets_at is None:
        message += ". It does not reset by itself."
    elif refused.retry_after_s is None:
        message += ". An empty one has less than that, too."
    else:
        message += f". It resets at {moment(refused.resets_at)}."
    return BudgetExhaustedError(
        message, status=status, retry_after_s=HELD_RETRY_S if waits else None, standing=standing
    )


def moment(at: float) -> str:
    """Write a moment as RFC 3339 has it, in UTC, rounded up to a second."""
    return dt.datetime.fromtimestamp(-(-at // 1), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _dollars(microusd: int) -> str:
    text = format_usd(microusd).decode()
    return text.removesuffix("0000")
