"""How a caller's limits and budgets stand, as headers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from typing import Final

from gateway.domain.errors import BudgetExhaustedError, RateLimitedError
from gateway.domain.money import format_usd
from gateway.edge.errors import ANTHROPIC
from gateway.exchange import Exchange
from policies.base import Hold
from policies.effective import window_name
from policies.fair_queue import AT_ONCE, Waited
from policies.meters import MAX_CAP, Demand, Standing, Unit
from policies.refusals import moment
from policies.windows import Window
from router.tiers import DEGRADED

_RATE_LIMIT: Final = b"anthropic-ratelimit-"

Lines = list[tuple[bytes, bytes]]


def with_limits(headers: Sequence[tuple[bytes, bytes]], exchange: Exchange) -> Lines:
    """Return an upstream's headers and the caller's limits, which take the place of those of our account there."""
    lines = limit_lines(exchange)
    if lines and exchange.shape in ANTHROPIC:
        headers = [line for line in headers if not line[0].startswith(_RATE_LIMIT)]
    return [*headers, *lines]


def limit_lines(exchange: Exchange) -> Lines:
    """Return the lines that say how the tightest limits stand, the request counted in; none where there are none.

    OpenAI's clients read `x-ratelimit-*` with durations, Anthropic's `anthropic-ratelimit-*` with moments.
    """
    error, hold = exchange.error, exchange.hold
    if isinstance(error, RateLimitedError | BudgetExhaustedError) and isinstance(error.standing, Standing):
        return _standing(error.standing, exchange) + _queue(error.waited)
    if hold is None:
        return []
    lines: Lines = []
    granted = hold.granted
    if granted is not None:
        for standing in (granted.requests, granted.tokens, granted.budget):
            if standing is not None:
                lines += _standing(standing, exchange, hold)
    waited = hold.waited if exchange.waited is AT_ONCE else exchange.waited
    if waited is not AT_ONCE:
        lines += _queue(waited)
    if exchange.output_limit is not None:
        lines.append((b"x-tierway-clamped", b"max_output_tokens=%d" % exchange.output_limit))
    return lines + _degraded(exchange, hold)


def _degraded(exchange: Exchange, hold: Hold) -> Lines:
    """Say in which ways an answer is less than what was to be expected; none where it is not."""
    decision = exchange.decision
    is_capped = hold.is_degraded or (decision is not None and decision.reason == DEGRADED)
    if not is_capped and not exchange.degraded and hold.is_shared:
        return []
    what = [b"tier=%b;budget" % exchange.tier.encode()] if is_capped else []
    what += exchange.degraded
    return [(b"x-tierway-degraded", b", ".join(what if hold.is_shared else [*what, b"limits"]))]


def _queue(waited: object) -> Lines:
    """Say how a request waited: its position when it joined, the wait expected then, and how long it was."""
    if not isinstance(waited, Waited) or not waited.position:
        return []
    value = b"position=%d;waited_ms=%d" % (waited.position, waited.waited_s * 1000)
    if waited.expected_wait_s is not None:
        value += b";expected_ms=%d" % (waited.expected_wait_s * 1000)
    return [(b"x-tierway-queue", value)]


def _standing(standing: Standing, exchange: Exchange, hold: Hold | None = None) -> Lines:
    """Say how a limit stands now: what a settled request has given back of what it held is free again."""
    meter, cap = standing.meter, standing.cap
    unit = meter.unit
    if unit == "concurrency" or cap >= MAX_CAP:  # the latter only counts, for rules that are tried
        return []
    remaining = cap - standing.used
    if hold is not None and exchange.is_settled:
        remaining += _given_back(unit, exchange, hold.demand)
    remaining = min(max(remaining, 0), cap)
    resets_at = standing.resets_at
    if unit == "microusd":
        value = _budget_name(meter.level, meter.window) + format_usd(remaining)
        return [(b"x-tierway-budget", value if resets_at is None else value + b";resets=" + _moment(ceil(resets_at)))]
    of_anthropic = exchange.shape in ANTHROPIC
    limit, remaining_name, reset_name = _rate_names(unit, cap, of_anthropic)
    lines = [limit, (remaining_name, b"%d" % remaining)]
    if resets_at is not None:
        reset = _moment(ceil(resets_at)) if of_anthropic else duration(max(resets_at - time.time(), 0.0))
        lines.append((reset_name, reset))
    return lines


def _given_back(unit: Unit, exchange: Exchange, held: Demand) -> int:
    if unit == "microusd":
        return max(0, held.microusd - (exchange.cost_microusd or 0))
    if unit == "input_tokens":
        return max(0, held.input_tokens - exchange.usage.prompt_tokens)
    return max(0, held.output_tokens - exchange.usage.completion_tokens) if unit == "output_tokens" else 0


@lru_cache(4096)
def _rate_names(unit: Unit, cap: int, of_anthropic: bool) -> tuple[tuple[bytes, bytes], bytes, bytes]:  # noqa: FBT001
    """Return the line that names a limit, and the names of those of what is left and when all is."""
    what = b"requests" if unit == "requests" else b"tokens"
    if of_anthropic:
        name = _RATE_LIMIT + what
        return (name + b"-limit", b"%d" % cap), name + b"-remaining", name + b"-reset"
    return (b"x-ratelimit-limit-" + what, b"%d" % cap), b"x-ratelimit-remaining-" + what, b"x-ratelimit-reset-" + what


@lru_cache(4096)
def _budget_name(level: str, window: Window | None) -> bytes:
    return f"{level};{window_name(window)};".encode("ascii", "replace")


@lru_cache(4096)
def _moment(at: int) -> bytes:
    return moment(at).encode()


def duration(seconds: float) -> bytes:
    """Write a duration as OpenAI's headers have it, rounded up: `12ms`, `1.5s`, `6m0s`, `2h3m0s`."""
    if seconds < 1:
        return b"%dms" % ceil(seconds * 1000)
    if seconds < 60:
        return f"{ceil(seconds * 1000) / 1000:g}s".encode()
    return _long(ceil(seconds))


@lru_cache(4096)
def _long(seconds: int) -> bytes:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return (b"%dh" % hours if hours else b"") + b"%dm%ds" % (minutes, rest)
