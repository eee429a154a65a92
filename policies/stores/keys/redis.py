"""Keys on the Redis that replicas share: what one process changes, all see within their next look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.redis.address import RedisAddress
from gateway.redis.blocking import BlockingRedis
from gateway.redis.connection import Script, load_script
from gateway.redis.slot import slot_key
from policies.stores.keys.base import KeyExistsError, KeyRecord

_LUA: Final = Path(__file__).parent.parent / "lua"
_ADD: Final = load_script(_LUA / "key.lua", _LUA / "key_add.lua")
_REVOKE: Final = load_script(_LUA / "key.lua", _LUA / "key_revoke.lua")

# Both hashes belong to one moment, and so does the number to theirs.
_LOAD: Final = Script(b"return {redis.call('HVALS', KEYS[1]), redis.call('HGETALL', KEYS[2])}", "")

_encode: Final = msgspec.json.encode  # what the scripts read: their other format knows no bytes
_decode: Final = msgspec.json.Decoder(KeyRecord).decode


class RedisKeyStore:
    """Keeps keys on Redis, each change one script. Every verb may raise `StageUnavailableError`: Redis is lost.

    Redis must keep what it is given (`appendonly yes`): one that starts empty knows no key, and every caller with a
    key of the store is then refused.

    Args:
        address: where.
        organisation: whose keys.
        timeout_s: for a connection and for each answer, seconds, > 0.
    """

    def __init__(self, address: RedisAddress, organisation: str = "default", *, timeout_s: float = 2.0) -> None:
        prefix = slot_key(organisation).encode()
        self._keys, self._names = prefix + b"keys", prefix + b"keys:names"
        self._version, self._revoked = prefix + b"keys:version", prefix + b"keys:revoked"
        self._redis = BlockingRedis(address, timeout_s=timeout_s)

    def load(self) -> Sequence[KeyRecord]:
        """Return every key; see `KeyStore.load`."""
        packed, revoked = self._redis.run(_LOAD, (self._keys, self._revoked))
        moments = {key_id.decode(): float(at) for key_id, at in zip(revoked[::2], revoked[1::2], strict=True)}
        records = [_decode(one) for one in packed]
        known = [msgspec.structs.replace(one, revoked_at=moments.get(one.id, one.revoked_at)) for one in records]
        return sorted(known, key=lambda one: (one.created_at, one.id))

    def add(self, record: KeyRecord) -> None:
        """Keep a key; see `KeyStore.add`. After a failure it may be kept; adding the same record again is harmless."""
        keys = (self._keys, self._names, self._version)
        if self._redis.run(_ADD, keys, record.id, _encode(record)) != 1:
            raise KeyExistsError(f"{record.team}/{record.name}")

    def revoke(self, key_id: str, at: float) -> bool:
        """Mark a key as revoked; see `KeyStore.revoke`."""
        keys = (self._keys, self._names, self._version, self._revoked)
        return bool(self._redis.run(_REVOKE, keys, key_id, repr(at)) == 1)

    def version(self) -> int:
        """Return a number that no two states of the keys share; 0 while there is none."""
        return int(self._redis.call("GET", self._version) or 0)

    def close(self) -> None:
        """Disconnect."""
        self._redis.close()
