"""Slows down whoever guesses keys: failed logins are counted per client address."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from limits import RateLimitItem
    from slowapi import Limiter

FAILED_LOGINS: Final = "20/minute"
"""What an address may get wrong. A key has 192 random bits; this is for short keys in settings files, and for logs."""

_NAMESPACE: Final = "failed-login"


class LoginThrottle:
    """Counts failed logins in memory, with slowapi's limiter.

    Args:
        limit: how many, in `limits` notation.
    """

    def __init__(self, limit: str = FAILED_LOGINS) -> None:
        self._limit = limit
        self._ready: tuple[Limiter, RateLimitItem] | None = None

    def prepare(self) -> None:
        """Import the limiter. It takes 0.2 s, so the lifespan does it in a thread, before anyone fails to log in."""
        if self._ready is None:
            from limits import parse  # noqa: PLC0415
            from slowapi import Limiter  # noqa: PLC0415

            self._ready = Limiter(key_func=str), parse(self._limit)

    def __call__(self, address: str) -> float | None:
        """Count a failed login.

        Returns:
            None while the address may go on, else the seconds until it may.
        """
        self.prepare()
        assert self._ready is not None  # noqa: S101  prepare() just made it
        limiter, item = self._ready
        network = _network(address)
        if limiter.limiter.hit(item, _NAMESPACE, network):
            return None
        reset_at, _ = limiter.limiter.get_window_stats(item, _NAMESPACE, network)
        return max(reset_at - time.time(), 1.0)


def _network(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or an IPv6 /64, which one host may have to itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
