"""Chances that come out the same whenever they are taken for the same name."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_BITS: Final = 52
_SPAN: Final = 1 << _BITS


def chance(purpose: str, name: str) -> float:
    """Return a number that is uniform over (0, 1), ends excluded, and depends on nothing but its arguments; 1 us.

    Args:
        purpose: keeps apart what must not come out alike for one name.
        name: may be anything.
    """
    text = f"{len(purpose)}:{purpose}{name}".encode("utf-8", "surrogatepass")
    digest = blake2b(text, digest_size=8).digest()
    # 52 bits, so that adding a half is exact and neither end is reached.
    return ((int.from_bytes(digest, "big") >> (64 - _BITS)) + 0.5) / _SPAN
