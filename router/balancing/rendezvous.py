"""Ranks by chance in proportion to weights, the same way each time where a key says so.

Weighted rendezvous hashing (D. Thaler, C. Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM
Transactions on Networking 6(1), 1998; weights by J. Resch, "New hashing algorithms for data storage", SNIA 2015): each
candidate draws an exponential waiting time whose rate is its weight, and the shortest is first. A key decides the draw,
so that a candidate that comes or goes moves only the keys it wins or had won.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable, Sequence
from typing import Final

from router.balancing.base import Landscape

_WORD: Final = 0xFFFF_FFFF_FFFF_FFFF
_LAST: Final = math.inf
_UNIT: Final = 2.0**-53


class Rendezvous:
    """Draws for candidates. Replicas and restarts agree on a key.

    Args:
        landscape: for the weights.
        random: returns 0 to below 1; draws where there is no key.
    """

    __slots__ = ("_landscape", "_random", "_seeds")

    def __init__(self, landscape: Landscape, random: Callable[[], float]) -> None:
        self._landscape, self._random = landscape, random
        self._seeds: dict[str, int] = {}  # bounded by the names in the settings

    def rank(self, candidates: Sequence[str], key: bytes) -> list[str]:
        """Return the candidates by their draws, shortest first; those of weight 0 last, as they came."""
        weight = self._landscape.weight
        if key:
            point = zlib.crc32(key)  # spread by `_mix`; a collision of two keys only sends them the same way
            draws = [_wait(self._share(point, name), weight(name)) for name in candidates]
        else:
            draws = [_wait(1.0 - self._random(), weight(name)) for name in candidates]
        if len(draws) == 2:
            return list(candidates) if draws[0] <= draws[1] else [candidates[1], candidates[0]]
        return [candidates[place] for place in sorted(range(len(draws)), key=draws.__getitem__)]

    def _share(self, point: int, name: str) -> float:
        """Return what a key and a name say: above 0, up to 1, evenly spread."""
        seed = self._seeds.get(name)
        if seed is None:
            digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
            seed = self._seeds[name] = int.from_bytes(digest, "big")
        return ((_mix(point ^ seed) >> 11) + 1) * _UNIT


def _wait(share: float, weight: float) -> float:
    return -math.log(share) / weight if weight > 0.0 else _LAST


def _mix(word: int) -> int:
    """Spread 64 bits so that each of them depends on all (S. Vigna's splitmix64, prng.di.unimi.it)."""
    word = ((word ^ (word >> 30)) * 0xBF58_476D_1CE4_E5B9) & _WORD
    word = ((word ^ (word >> 27)) * 0x94D0_49BB_1331_11EB) & _WORD
    return word ^ (word >> 31)
