"""How a caller's limits and budgets stand, as headers."""

from __future__ import annotations

import time

from gateway.domain.errors import BudgetExhaustedError, RateLimitedError
from gateway.domain.money import format_usd
from gateway.edge.errors import ANTHROPIC
from gateway.exchange import Exchange
from policies.effective import window_name
from policies.meters import Standing
from policies.refusals import moment

Lines = list[tuple[bytes, bytes]]


def limit_lines(exchange: Exchange) -> Lines:
    """Return the lines that say how the tightest limits stand, the request counted in; none where there are none.

    OpenAI's clients read `x-ratelimit-*` with durations, Anthropic's `anthropic-ratelimit-*` with moments.
    """
    error, hold = exchange.error, exchange.hold
    if isinstance(error, RateLimitedError | BudgetExhaustedError) and isinstance(error.standing, Standing):
        return _standing(error.standing, exchange)
    if hold is None:
        return []
    lines: Lines = []
    granted = hold.granted
    if granted is not None:
        for standing in (granted.requests, granted.tokens, granted.budget):
            if standing is not None:
                lines += _standing(standing, exchange)
    if exchange.output_limit is not None:
        lines.append((b"x-tierway-clamped", b"max_output_tokens=%d" % exchange.output_limit))
    if hold.is_degraded:
        lines.append((b"x-tierway-degraded", b"tier=%b;budget" % exchange.tier.encode()))
    return lines


def _standing(standing: Standing, exchange: Exchange) -> Lines:
    unit = standing.meter.unit
    if unit == "microusd":
        return _budget(standing)
    return [] if unit == "concurrency" else _rate(standing, exchange)


def _rate(standing: Standing, exchange: Exchange) -> Lines:
    what = b"requests" if standing.meter.unit == "requests" else b"tokens"
    limit, remaining = b"%d" % standing.cap, b"%d" % standing.remaining
    resets_at = standing.resets_at
    if exchange.shape in ANTHROPIC:
        name = b"anthropic-ratelimit-" + what
        lines = [(name + b"-limit", limit), (name + b"-remaining", remaining)]
        if resets_at is not None:
            lines.append((name + b"-reset", moment(resets_at).encode()))
        return lines
    lines = [(b"x-ratelimit-limit-" + what, limit), (b"x-ratelimit-remaining-" + what, remaining)]
    if resets_at is not None:
        lines.append((b"x-ratelimit-reset-" + what, duration(max(resets_at - time.time(), 0.0))))
    return lines


def _budget(standing: Standing) -> Lines:
    """Name the tightest budget, what is left of it in US dollars, and when it begins again."""
    meter = standing.meter
    parts = [meter.level.encode("ascii", "replace"), window_name(meter.window).encode("ascii", "replace")]
    parts.append(format_usd(standing.remaining))
    if standing.resets_at is not None:
        parts.append(b"resets=" + moment(standing.resets_at).encode())
    return [(b"x-tierway-budget", b";".join(parts))]


def duration(seconds: float) -> bytes:
    """Write a duration as OpenAI's headers have it: `12ms`, `1.5s`, `6m0s`, `2h3m0s`."""
    if seconds < 1:
        return b"%dms" % -(-seconds * 1000 // 1)
    if seconds < 60:
        return f"{seconds:.3f}".rstrip("0").rstrip(".").encode() + b"s"
    minutes, rest = divmod(int(-(-seconds // 1)), 60)
    hours, minutes = divmod(minutes, 60)
    return (b"%dh" % hours if hours else b"") + b"%dm%ds" % (minutes, rest)
