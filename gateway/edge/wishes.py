"""What a caller asks of the router, as its headers say."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from gateway.domain.errors import InvalidRequestError
from gateway.domain.tier import TIERS, TierName
from router.wishes import NO_WISHES, Wishes

MAX_SESSION: Final = 256
"""Characters of a session's name: room for two UUIDs and a path, and little to hash."""

_COST: Final = b"x-tierway-max-cost-usd"
_MIN_TIER: Final = b"x-tierway-min-tier"
_MAX_TIER: Final = b"x-tierway-max-tier"
_FIRST_BYTE: Final = b"x-tierway-max-first-byte-ms"
_ROLE: Final = b"x-tierway-role"
_SESSION: Final = b"x-tierway-session"
_NAMES: Final = frozenset({_COST, _MIN_TIER, _MAX_TIER, _FIRST_BYTE, _ROLE, _SESSION})

_TIERS: Final[Mapping[bytes, TierName]] = {tier.encode(): tier for tier in TIERS}
_DECIMAL: Final = re.compile(rb"(\d{1,12})(?:\.(\d{1,24}))?")
"""A number without sign, exponent or separators: `1e999999999` would take minutes to write out as an integer."""


def wishes_of(headers: Mapping[bytes, bytes], roles: Collection[str]) -> Wishes:
    """Return the bounds a caller sets.

    Args:
        headers: of the request, names in lower case.
        roles: the names that `X-Tierway-Role` may have (`router.roles` of the settings).

    Raises:
        InvalidRequestError: a header is not what it should be, or the bounds exclude every tier.
    """
    if headers.keys().isdisjoint(_NAMES):
        return NO_WISHES
    wishes = Wishes(
        max_cost_microusd=_cost(headers.get(_COST)),
        min_tier=_tier(headers.get(_MIN_TIER), "X-Tierway-Min-Tier"),
        max_tier=_tier(headers.get(_MAX_TIER), "X-Tierway-Max-Tier"),
        max_first_byte_s=_first_byte(headers.get(_FIRST_BYTE)),
        role=_role(headers.get(_ROLE), roles),
        session=_session(headers.get(_SESSION)),
    )
    if wishes.min_tier is not None and not wishes.admits(wishes.min_tier):
        raise InvalidRequestError("X-Tierway-Min-Tier must not be above X-Tierway-Max-Tier.")
    return wishes


def _cost(text: bytes | None) -> int | None:
    """Read dollars as whole micro-dollars, rounded down: a bound is never widened."""
    if text is None:
        return None
    microusd = _millionths(text)
    if not microusd:
        raise InvalidRequestError("X-Tierway-Max-Cost-Usd must be a decimal number of dollars, 0.000001 or more.")
    return microusd


def _first_byte(text: bytes | None) -> float | None:
    if text is None:
        return None
    nanoseconds = _millionths(text)
    if not nanoseconds:
        raise InvalidRequestError("X-Tierway-Max-First-Byte-Ms must be a number of milliseconds, more than 0.")
    return nanoseconds / 1e9


def _millionths(text: bytes) -> int | None:
    """Return a decimal number in millionths, rounded down; None for what is none."""
    found = _DECIMAL.fullmatch(text.strip())
    if found is None:
        return None
    whole, fraction = found.group(1, 2)
    return int(whole) * 1_000_000 + int((fraction or b"")[:6].ljust(6, b"0"))


def _tier(text: bytes | None, name: str) -> TierName | None:
    if text is None:
        return None
    tier = _TIERS.get(text.strip().lower())
    if tier is None:
        raise InvalidRequestError(f"{name} must be 'simple', 'medium' or 'complex'.")
    return tier


def _role(text: bytes | None, roles: Collection[str]) -> str | None:
    if text is None:
        return None
    role = text.strip().decode("utf-8", "replace")
    if role not in roles:
        known = ", ".join(sorted(roles)) or "none"
        raise InvalidRequestError(f"X-Tierway-Role must be a role that is configured here: {known}.")
    return role


def _session(text: bytes | None) -> str | None:
    if text is None:
        return None
    session = text.strip().decode("utf-8", "replace")
    if not 0 < len(session) <= MAX_SESSION:
        raise InvalidRequestError(f"X-Tierway-Session must be 1 to {MAX_SESSION} characters.")
    return session
