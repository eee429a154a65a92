"""Whether a scope can hold anything like a question, told before its vector is made.

A question that shares no content word with any stored one has no near one: of the hits on the public streams 0.3 % have
none in common (measured at an error budget of 1 %). In a scope of up to some hundred questions that spares most misses
the wait for a vector; a larger one has all common words, and every question waits.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from cache.verifier.reading import Reading

BITS: Final = 4096
"""Of a scope's hints, 570 bytes at most: 100 questions of 6 words set about one in eight."""

EVERYTHING: Final = (1 << BITS) - 1
"""Hints of a scope that may hold anything."""

_START: Final = 5
"""Letters of a word that count, so that its forms look alike."""


def hints_of(reading: Reading) -> int:
    """Return a bit for each content word of a stored question; all where it has none."""
    return _bits(reading.content) or EVERYTHING


def is_plausible(reading: Reading, hints: int) -> bool:
    """Return whether a question may be like one of those whose hints were put together."""
    asked = _bits(reading.salient or reading.content)
    return not asked or bool(asked & hints)


def _bits(words: frozenset[str]) -> int:
    bits = 0
    for word in words:
        bits |= 1 << (crc32(word[:_START].encode("utf-8", "surrogatepass")) % BITS)
    return bits
