"""How a caller's limits and budgets stand, as headers."""

from __future__ import annotations

import time
from functools import lru_cache
from math import ceil

from gateway.domain.errors import BudgetExhaustedError, RateLimitedError
from gateway.domain.money import format_usd
from gateway.edge.errors import ANTHROPIC
from gateway.exchange import Exchange
from policies.base import Hold
from policies.effective import window_name
from policies.fair_queue import AT_ONCE, Waited
from policies.meters import MAX_CAP, NOTHING, Demand, Meter, Standing
from policies.refusals import moment
from policies.windows import Window
from router.tiers import DEGRADED

Lines = list[tuple[bytes, bytes]]


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
        back = _given_back(exchange, hold)
        for standing in (granted.requests, granted.tokens, granted.budget):
            if standing is not None:
                lines += _standing(standing, exchange, back)
    if hold.waited is not AT_ONCE:
        lines += _queue(hold.waited)
    if exchange.output_limit is not None:
        lines.append((b"x-tierway-clamped", b"max_output_tokens=%d" % exchange.output_limit))
    decision = exchange.decision
    is_degraded = hold.is_degraded or (decision is not None and decision.reason == DEGRADED)
    if is_degraded or not hold.is_shared:
        what = [b"tier=%b;budget" % exchange.tier.encode()] if is_degraded else []
        lines.append((b"x-tierway-degraded", b", ".join(what if hold.is_shared else [*what, b"limits"])))
    return lines


def _queue(waited: object) -> Lines:
    """Say how a request waited: its position when it joined, the wait expected then, and how long it was."""
    if not isinstance(waited, Waited) or not waited.position:
        return []
    value = b"position=%d;waited_ms=%d" % (waited.position, waited.waited_s * 1000)
    if waited.expected_wait_s is not None:
        value += b";expected_ms=%d" % (waited.expected_wait_s * 1000)
    return [(b"x-tierway-queue", value)]


def _given_back(exchange: Exchange, hold: Hold) -> Demand:
    """Return what a settled request has given back of what it held, so that the lines say how the limits stand now."""
    if not exchange.is_settled:
        return NOTHING
    usage, held = exchange.usage, hold.demand
    return Demand(
        0,
        max(0, held.input_tokens - usage.prompt_tokens),
        max(0, held.output_tokens - usage.completion_tokens),
        max(0, held.microusd - (exchange.cost_microusd or 0)),
    )


def _standing(standing: Standing, exchange: Exchange, back: Demand = NOTHING) -> Lines:
    meter = standing.meter
    unit = meter.unit
    if unit == "concurrency" or standing.cap >= MAX_CAP:  # the latter only counts, for rules that are tried
        return []
    remaining = standing.cap - standing.used + back.of(unit)
    remaining = min(max(remaining, 0), standing.cap)
    if unit == "microusd":
        return [_budget(meter, remaining, standing.resets_at)]
    what = b"requests" if unit == "requests" else b"tokens"
    if exchange.shape in ANTHROPIC:
        return _anthropic(what, standing.cap, remaining, standing.resets_at)
    return _openai(what, standing.cap, remaining, standing.resets_at)


def _openai(what: bytes, limit: int, remaining: int, resets_at: float | None) -> Lines:
    lines = [(b"x-ratelimit-limit-" + what, b"%d" % limit), (b"x-ratelimit-remaining-" + what, b"%d" % remaining)]
    if resets_at is not None:
        lines.append((b"x-ratelimit-reset-" + what, duration(max(resets_at - time.time(), 0.0))))
    return lines


def _anthropic(what: bytes, limit: int, remaining: int, resets_at: float | None) -> Lines:
    name = b"anthropic-ratelimit-" + what
    lines = [(name + b"-limit", b"%d" % limit), (name + b"-remaining", b"%d" % remaining)]
    if resets_at is not None:
        lines.append((name + b"-reset", _moment(ceil(resets_at))))
    return lines


def _budget(meter: Meter, remaining: int, resets_at: float | None) -> tuple[bytes, bytes]:
    """Name the tightest budget, what is left of it in US dollars, and when it begins again."""
    value = _budget_name(meter.level, meter.window) + format_usd(remaining)
    if resets_at is not None:
        value += b";resets=" + _moment(ceil(resets_at))
    return b"x-tierway-budget", value


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
    minutes, rest = divmod(ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (b"%dh" % hours if hours else b"") + b"%dm%ds" % (minutes, rest)
