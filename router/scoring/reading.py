"""What the scorer sees of a text: its bytes in lower case and its words as hashes, made without a loop over words.

A word is a run of letters and digits (bytes from 128 on count as letters); of a number only how many digits it has is
kept. Hashes are polynomials in 32-bit arithmetic that wraps around: with an odd base every power has an inverse, so the
hash of any run is one difference of prefix sums.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

HEAD: Final = 3000
"""How many characters of a long text's beginning are read."""

TAIL: Final = 1000
"""How many of its end: what is asked often stands there."""

_LONGEST: Final = 4 * (HEAD + TAIL) + 3
_MASK: Final = (1 << 32) - 1
_BASE: Final = 0x9E3779B1
_INVERSE: Final = pow(_BASE, -1, 1 << 32)
_MIX: Final = np.uint32(0x85EBCA77)
_DIGIT: Final = ord("0")
_BLANK: Final = ord(" ")
_LINE_FEED: Final = ord("\n")
_NOT_ASCII: Final = np.uint8(0x80)


def _powers(base: int) -> NDArray[np.uint32]:
    found, value = [], 1
    for _ in range(_LONGEST):
        found.append(value)
        value = value * base & _MASK
    return np.array(found, dtype=np.uint32)


def _folded() -> bytes:
    """Return what each byte reads as: lower case, one kind of blank besides the line feed, one digit."""
    table = bytearray(range(256))
    table[ord("A") : ord("Z") + 1] = range(ord("a"), ord("z") + 1)
    table[ord("0") : ord("9") + 1] = b"0" * 10
    for blank in (*range(10), *range(11, 32), 127):
        table[blank] = ord(" ")
    return bytes(table)


def _of_words() -> NDArray[np.bool_]:
    found = np.zeros(256, np.bool_)
    found[ord("a") : ord("z") + 1] = found[128:] = found[_DIGIT] = True
    return found


_POWERS: Final = _powers(_BASE)
_INVERSES: Final = _powers(_INVERSE) * _MIX
_FOLDED: Final = _folded()
_OF_WORDS: Final = _of_words()


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One text, read.

    Attributes:
        letters: the bytes, shape (n,) uint8, folded; runs of blanks are one blank, and one stands at either end.
            Half surrogate pairs read as question marks.
        words: the hash of each word, shape (w,) uint32.
        starts: the place before each word in `letters`, shape (w,).
        characters: of the whole text, also where only its ends were read, less the blanks that were left out.
    """

    letters: NDArray[np.uint8]
    words: NDArray[np.uint32]
    starts: NDArray[np.int64]
    characters: int

    @property
    def foreign(self) -> int:
        """Return how many bytes are outside ASCII."""
        return int(np.count_nonzero(self.letters & _NOT_ASCII))

    @property
    def numbers(self) -> int:
        """Return how many words begin with a digit."""
        return int(np.count_nonzero(self.letters[self.starts + 1] == _DIGIT))


def clip(text: str) -> str:
    """Return a text's head and tail, or all of a short one."""
    if len(text) <= HEAD + TAIL:
        return text
    return f"{text[:HEAD]}\n{text[-TAIL:]}"


def read(text: str, characters: int) -> Reading:
    """Read a text that `clip` has cut.

    Args:
        text: what is read, in lower case where it is not ASCII.
        characters: how long the whole text is.
    """
    raw = b" %b " % text.encode("utf-8", "replace")[: _LONGEST - 2].translate(_FOLDED)
    letters = _without_runs(raw)
    of_words = _OF_WORDS[letters]
    # Blanks at both ends make beginnings and ends of words alternate.
    edges = (of_words[1:] != of_words[:-1]).nonzero()[0]
    starts = edges[::2]
    sums = np.add.accumulate(np.multiply(letters, _POWERS[: len(letters)]), dtype=np.uint32)[edges]
    words = (sums[1::2] - sums[::2]) * _INVERSES[starts]
    return Reading(letters, words, starts, max(0, characters - (len(raw) - len(letters))))


def _without_runs(raw: bytes) -> NDArray[np.uint8]:
    """Return bytes with one blank for each run of blanks: a line feed where there is one in the run."""
    letters = np.frombuffer(raw, np.uint8)
    if b"  " not in raw and b" \n" not in raw and b"\n " not in raw and b"\n\n" not in raw:
        return letters
    blank = letters <= _BLANK
    keep = np.empty(len(letters), np.bool_)
    keep[0] = True
    np.logical_and(blank[1:], blank[:-1], out=keep[1:])
    np.logical_not(keep[1:], out=keep[1:])
    kept = letters[keep]
    if b" \n" in raw:
        has_line_feed = np.add.reduceat(letters == _LINE_FEED, keep.nonzero()[0], dtype=np.int64) > 0
        kept[has_line_feed & (kept == _BLANK)] = _LINE_FEED
    return kept
