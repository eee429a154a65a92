"""Leases on the Redis that replicas share: which of them makes a call that others wait for."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

import msgspec

from gateway.flights.renewal import Renewal
from gateway.redis.connection import Part, RedisConnection, Script, load_script, pack
from gateway.redis.slot import slot_key

LANDED_S: Final = 5.0
"""How long it is remembered that an answer was put where others find it: longer than a request takes from its look-up
in the cache to its attempt at the lease."""

_LUA: Final = Path(__file__).parent / "lua"
_TAKE: Final = load_script(_LUA / "lease_take.lua")
_RENEW: Final = load_script(_LUA / "lease_renew.lua")
_RELEASE: Final = load_script(_LUA / "lease_release.lua")


class Lease(msgspec.Struct, frozen=True):
    """The right to make a call.

    Attributes:
        name: its key on Redis.
        token: this attempt's own.
        has_landed: another one has put its answer where it is found, a moment ago.
    """

    name: bytes
    token: bytes
    has_landed: bool = False


class Leases:
    """Takes, renews and gives back leases.

    Args:
        connection: closed by its owner. For a cluster, its slot key must be that of the organisation.
        organisation: whose requests.
        lease_s: seconds that a lease lasts without being renewed, > 0.
    """

    def __init__(self, connection: RedisConnection, organisation: str, *, lease_s: float) -> None:
        self._redis = connection
        self._redis.add_scripts((_TAKE, _RENEW, _RELEASE))
        self._prefix = f"{slot_key(organisation)}flight:".encode()
        self._lease_ms = max(1, round(lease_s * 1000))
        self.renewal: Renewal[Lease] = Renewal(self._renew, lease_s / 3)

    async def take(self, key: bytes) -> Lease | None:
        """Take the lease of a key; None when another attempt holds it. Cancelled, it holds nothing.

        Raises:
            StageUnavailableError: nobody knows.
        """
        lease = Lease(self._prefix + key.hex().encode(), secrets.token_bytes(12))
        taken = await self._redis.call(_packed(_TAKE, lease, self._lease_ms), undo=lambda: _packed(_RELEASE, lease, 0))
        if not taken:
            return None
        lease = Lease(lease.name, lease.token, has_landed=taken == 2)
        self.renewal.begin(lease)
        return lease

    def release(self, lease: Lease, *, has_landed: bool) -> None:
        """Give a lease back, at once or as soon as Redis can be reached; a second time changes nothing.

        Args:
            has_landed: the answer was put where others find it.
        """
        self.renewal.end(lease)
        _ = self._redis.keep(_packed(_RELEASE, lease, round(LANDED_S * 1000) if has_landed else 0))

    async def close(self) -> None:
        """Renew nothing any more."""
        await self.renewal.close()

    async def _renew(self, lease: Lease) -> bool:
        return bool(await self._redis.call(_packed(_RENEW, lease, self._lease_ms)))


def _packed(script: Script, lease: Lease, *arguments: Part) -> bytes:
    return pack("EVALSHA", script.sha, 1, lease.name, lease.token, *arguments)
