"""What the detector sees of a text: its words as hashes and as notions, made without a loop over words.

A word is a run of letters and digits (bytes from 128 on count as letters, as does the underscore); all digits read
alike. Hashes are polynomials in 32-bit arithmetic that wraps around: with an odd base every power has an inverse, so
the hash of any run of bytes is one difference of prefix sums.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.sanitise.injection.lexicon import WORDS
from policies.sanitise.injection.plain import plain

LONGEST: Final = 1 << 16
"""Bytes that are read at once; longer texts are read in pieces."""

NOTION_BITS: Final = 20
"""A word that is in no list reads as one of a list with a chance of about 1 in 500: lists have about 2,000 words."""

_MASK: Final = (1 << 32) - 1
_BASE: Final = 0x9E3779B1
_INVERSE: Final = pow(_BASE, -1, 1 << 32)
_MIX: Final = np.uint32(0x85EBCA77)
_NOTION_SHIFT: Final = np.uint32(32 - NOTION_BITS)
_NONE: Final = ord(".")
_FIRST_LEAD: Final = 0xE3
_LAST_LEAD: Final = 0xE9
_INDIC_LEAD: Final = 0xE0
"""First bytes of Han characters and kana in UTF-8 (U+3000 to U+9FFF)."""


def _powers(base: int, mix: int) -> NDArray[np.uint32]:
    found, value = [], mix
    for _ in range(LONGEST + 8):
        found.append(value)
        value = value * base & _MASK
    return np.array(found, dtype=np.uint32)


def _folded() -> bytes:
    table = bytearray(range(256))
    table[ord("A") : ord("Z") + 1] = range(ord("a"), ord("z") + 1)
    table[ord("0") : ord("9") + 1] = b"0" * 10
    for blank in (*range(10), *range(11, 32), 127):
        table[blank] = ord(" ")
    return bytes(table)


def _marks(members: bytes) -> bytes:
    """Return a table that turns bytes of a group into 1 and all others into 0."""
    return bytes(byte in members for byte in range(256))


_POWERS: Final = _powers(_BASE, 1)
_INVERSES: Final = _powers(_INVERSE, int(_MIX))
_FOLDED: Final = _folded()
_OF_WORDS: Final = _marks(bytes((*range(ord("a"), ord("z") + 1), ord("0"), ord("_"), *range(128, 256))))
_ENDS: Final = _marks(b'.!?:;"')
"""What ends a sentence where a blank follows."""

_ALONE: Final = _marks(b"\n|")
"""What ends a line or a cell of a table."""

_BLANKS: Final = _marks(bytes(range(33)))


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One text, or a piece of a long one, read.

    Attributes:
        words: the hash of each word, shape (w,) uint32.
        starts: where each word begins, in bytes of the plain copy, shape (w,).
        ends: where each ends.
        opens: which words are the first of a sentence, a line or a quotation, shape (w,) bool.
        notions: the letter of `lexicon.WORDS` that each word stands for, or a dot, shape (w,) uint8.
    """

    words: NDArray[np.uint32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    opens: NDArray[np.bool_]
    notions: NDArray[np.uint8]


def read(raw: bytes, *, is_ascii: bool) -> Reading:
    """Read a text.

    Args:
        raw: the plain copy as UTF-8, at most `LONGEST` bytes.
        is_ascii: that it is nothing else.
    """
    folded = b"\n" + raw.translate(_FOLDED) + b"\n"
    letters = np.frombuffer(folded, np.uint8)
    of_words = np.frombuffer(folded.translate(_OF_WORDS), np.bool_)
    edges = (of_words[1:] != of_words[:-1]).nonzero()[0]
    if not is_ascii:
        edges = _split(letters, edges)
    edges += 1
    starts, ends = edges[::2], edges[1::2]
    sums = np.empty(len(letters) + 1, np.uint32)
    sums[0] = 0
    np.add.accumulate(np.multiply(letters, _POWERS[: len(letters)]), dtype=np.uint32, out=sums[1:])
    inverses = _INVERSES[starts]
    words = (sums[ends] - sums[starts]) * inverses
    breaks = (
        np.frombuffer(folded.translate(_ENDS), np.bool_)[:-1] & np.frombuffer(folded.translate(_BLANKS), np.bool_)[1:]
    )
    breaks |= np.frombuffer(folded.translate(_ALONE), np.bool_)[:-1]
    breaks = np.add.accumulate(breaks, dtype=np.int32)[starts]
    opens = np.empty(len(starts), np.bool_)
    opens[:1] = True
    np.not_equal(breaks[1:], breaks[:-1], out=opens[1:])
    notions = _WHOLE[words >> _NOTION_SHIFT]
    if is_ascii:
        return Reading(words, starts - 1, ends - 1, opens, notions)
    _add_stems(notions, letters, sums, inverses, edges)
    return _thinned(Reading(words, starts - 1, ends - 1, opens, notions), letters)


def _split(letters: NDArray[np.uint8], edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return edges of words with every Han character and kana a word of its own, as nothing stands between them."""
    leads = ((letters >= _FIRST_LEAD) & (letters <= _LAST_LEAD)).nonzero()[0] - 1
    if not len(leads):
        return edges
    leads = leads[leads < len(letters) - 4]  # a character that a cut went through is part of no word
    places = np.unique(np.concatenate((edges, leads, leads + 3)))
    # Where two words touch, one ends and one begins. At an edge they do not touch.
    return np.repeat(places, np.where(np.isin(places, edges), 1, 2))


def _add_stems(
    notions: NDArray[np.uint8],
    letters: NDArray[np.uint8],
    sums: NDArray[np.uint32],
    inverses: NDArray[np.uint32],
    edges: NDArray[np.int64],
) -> None:
    """Set the notions of words outside ASCII by their beginnings, the longest that is listed."""
    starts, ends = edges[::2], edges[1::2]
    lead = letters[starts]
    mine = (lead >= 128).nonzero()[0]
    begin, lead = starts[mine], lead[mine]
    # A word of Chinese or Japanese is looked up across the characters that it was split into.
    last = np.where((lead >= _FIRST_LEAD) & (lead <= _LAST_LEAD), len(letters), ends[mine])
    stops = begin + _LENGTHS[:, None]
    fits = stops <= last
    hashes = (sums.take(stops, mode="clip") - sums[begin]) * inverses[mine]
    found = _STEMS.take(hashes >> _NOTION_SHIFT)
    listed = fits & (found != _NONE)
    longest = len(_LENGTHS) - 1 - listed[::-1].argmax(axis=0)
    is_listed = listed.any(axis=0)
    notions[mine[is_listed]] = found[longest[is_listed], is_listed.nonzero()[0]]


def _thinned(reading: Reading, letters: NDArray[np.uint8]) -> Reading:
    """Return a reading with a third of the Han characters and kana that stand for nothing: three are about a word."""
    lead = letters[reading.starts + 1]
    filler = (lead >= _FIRST_LEAD) & (lead <= _LAST_LEAD) & (reading.notions == _NONE)
    keep = ~filler | reading.opens | (np.add.accumulate(filler, dtype=np.int64) % 3 == 0)
    return Reading(
        reading.words[keep], reading.starts[keep], reading.ends[keep], reading.opens[keep], reading.notions[keep]
    )


def hash_of(raw: bytes) -> int:
    """Return the hash of a word that is already plain and folded."""
    total, power = 0, 1
    for byte in raw:
        total = (total + byte * power) & _MASK
        power = power * _BASE & _MASK
    return total * int(_MIX) & _MASK


def _tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """Return the notions of whole words and of beginnings by hash, and the lengths that beginnings have."""
    whole = np.full(1 << NOTION_BITS, _NONE, np.uint8)
    stems = whole.copy()
    lengths: set[int] = set()
    for letter, words in reversed(WORDS.items()):
        for word in plain(words).split():
            raw = word.rstrip("*").encode().translate(_FOLDED)
            is_stem = word.endswith("*") or _is_beginning(raw)
            raw = _cut(raw) if is_stem else raw
            (stems if is_stem else whole)[hash_of(raw) >> (32 - NOTION_BITS)] = ord(letter)
            if is_stem:
                lengths.add(len(raw))
    return whole, stems, np.array(sorted(lengths))


def _is_beginning(raw: bytes) -> bool:
    """Tell whether words are found by a listed one that they begin with, as where endings are joined on."""
    lead = raw[0]
    if lead < 0xCE:
        return False
    if _FIRST_LEAD <= lead <= _LAST_LEAD:
        return True
    return len(raw) >= (9 if lead == _INDIC_LEAD else 6 if lead > _LAST_LEAD else 8)


def _cut(raw: bytes) -> bytes:
    """Return a beginning no longer than needed to tell it from others: every length costs a look at every word."""
    return raw[:15] if raw[0] >= _INDIC_LEAD else raw[:12]


_WHOLE, _STEMS, _LENGTHS = _tables()
