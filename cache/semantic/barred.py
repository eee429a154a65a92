"""Pairs of questions that must not share an answer, since somebody saw that they do not."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from cache.verifier.reading import Reading

_DIGEST: Final = 16


def pair_of(scope: bytes, one: Reading, other: Reading) -> bytes:
    """Return 16 bytes that stand for two questions of a scope, in either order; spacing and case do not count."""
    digest = blake2b(len(scope).to_bytes(4, "big") + scope, digest_size=_DIGEST)
    for part in sorted((_told(one), _told(other))):
        digest.update(part)
    return digest.digest()


def _told(reading: Reading) -> bytes:
    return blake2b(reading.flat.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()


class Barred:
    """Remembers pairs; the oldest go first.

    Args:
        most: how many, >= 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pairs: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, pair: object) -> bool:
        return pair in self._pairs

    def add(self, pair: bytes) -> None:
        """Remember a pair; one that is remembered becomes the youngest."""
        self._pairs.pop(pair, None)
        self._pairs[pair] = None
        if len(self._pairs) > self._most:
            del self._pairs[next(iter(self._pairs))]
