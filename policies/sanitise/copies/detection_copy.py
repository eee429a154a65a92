"""The copy of a text that detectors read: what can be hidden is shown, and every place leads back to the original."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Generator
from functools import cache, cached_property
from typing import Final

from policies.sanitise.copies.mixtures import fold_mixtures
from policies.sanitise.steps import finish

# What shows nothing: controls, soft hyphen, joiners, fillers, marks of direction, variation selectors, tags (of Unicode
# 15 Default_Ignorable_Code_Point, and the zero-width space).
_INVISIBLE: Final = (
    (0xAD, 0xAD),
    (0x34F, 0x34F),
    (0x61C, 0x61C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF9, 0xFFFB),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
    (0, 8),
    (0xB, 0xB),
    (0xE, 0x1F),
    (0x7F, 0x84),
    (0x86, 0x9F),
)
_COMPATIBLE: Final = (
    (0xA0, 0x250),
    (0x2B0, 0x300),
    (0x1D2C, 0x1DC0),
    (0x2000, 0x2190),
    (0x2200, 0x2400),
    (0x2460, 0x2500),
    (0x3000, 0x3001),
    (0x3200, 0x3400),
    (0xFB00, 0xFB07),
    (0xFE10, 0xFE70),
    (0xFF00, 0xFFF0),
    (0x1D400, 0x1D800),
    (0x1F100, 0x1F1AF),
)
"""Blocks with characters that NFKC replaces by letters, digits and signs of ASCII."""

_CURIOUS: Final = ((0x250, 0x2AF), (0x300, 0x36F), (0x483, 0x489), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF))
"""Marks and turned letters: they stay, and are told of."""

_WHOLE_BLOCKS: Final = ((0x1D400, 0x1D7FF), (0x1F100, 0x1F1AE), (0xE0000, 0xE0FFF))
"""Beyond the first plane whole blocks are looked at: `re` walks through ranges there one after the other."""

_LONGEST_REPLACEMENT: Final = 6
_REPLACEMENTS: Final = 1024
"""Between two pauses; one takes half a microsecond to two."""

_ORDINARY: Final = bytes(byte for byte in range(128) if byte in b"\t\n\r\x0c" or 32 <= byte < 127)


class DetectionCopy:
    """A text as detectors read it.

    Attributes:
        original: what was given.
        text: the same without invisible characters, in NFKC as far as single characters go, mixed words in Latin.
        unusual: the characters that were removed, replaced, or are seldom in any text.
    """

    def __init__(
        self,
        original: str,
        text: str,
        starts: list[int] | None = None,
        origins: list[int] | None = None,
        unusual: frozenset[str] = frozenset(),
    ) -> None:
        self.original = original
        self.text = text
        self.unusual = unusual
        self._starts = starts
        self._origins = origins

    @property
    def is_same(self) -> bool:
        """Whether offsets in `text` are offsets in the original."""
        return self._starts is None

    @cached_property
    def encoded(self) -> bytes:
        """Return `text` with one byte a character, `?` for what is not ASCII: an offset in it is one in `text`."""
        return self.text.encode("ascii", "replace")

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """Return where `text[start:end]` stands in the original, with what was removed inside of it."""
        if self._starts is None:
            return start, end
        return self._origin(start), self._origin(end - 1) + 1 if end > start else self._origin(start)

    def _origin(self, position: int) -> int:
        starts, origins = self._starts, self._origins
        assert starts is not None  # noqa: S101 # `locate` returned otherwise
        assert origins is not None  # noqa: S101 # given with `starts`
        piece = bisect_right(starts, position) - 1
        origin = origins[piece]
        # A negative origin marks the characters, not one in number, that one was replaced by.
        return origin + position - starts[piece] if origin >= 0 else -origin - 1


def make_copy(text: str) -> DetectionCopy:
    """Return the copy that detectors read. ASCII without controls is its own copy.

    Time is linear in the text.
    """
    return finish(copy_in_steps(text))


def copy_in_steps(text: str) -> Generator[None, None, DetectionCopy]:
    """Make the copy with pauses, for texts that consist of what is replaced."""
    if plain_bytes(text) is not None:
        return DetectionCopy(text, text)
    return (yield from _changed(text))


def plain_bytes(text: str) -> bytes | None:
    """Return the bytes of ASCII without controls, which is its own copy; None for other texts."""
    if not text.isascii():
        return None
    encoded = text.encode()
    return None if encoded.translate(None, _ORDINARY) else encoded


def _changed(text: str) -> Generator[None, None, DetectionCopy]:
    replacements = _replacements()
    parts: list[str] = []
    starts, origins, position, length = [0], [0], 0, 0
    unusual: set[str] = set()
    for number, match in enumerate(_changing().finditer(text), start=1):
        if number % _REPLACEMENTS == 0:
            yield
        at, character = match.start(), match.group()
        unusual.add(character)
        replacement = replacements.get(character)
        if replacement is None:
            continue
        parts += (text[position:at], replacement)
        length += at - position
        if len(replacement) != 1:
            starts.append(length)
            origins.append(-at - 1)
            length += len(replacement)
            starts.append(length)
            origins.append(at + 1)
        else:
            length += 1
        position = at + 1
    if not parts:
        return DetectionCopy(text, (yield from fold_mixtures(text)), unusual=frozenset(unusual))
    parts.append(text[position:])
    is_shifted = len(starts) > 1
    folded = yield from fold_mixtures("".join(parts))
    return DetectionCopy(
        text, folded, starts if is_shifted else None, origins if is_shifted else None, frozenset(unusual)
    )


@cache
def _replacements() -> dict[str, str]:
    """Return what NFKC makes of single characters, where that is short and different; of invisible ones, nothing."""
    table = {chr(point): "" for first, last in _INVISIBLE for point in range(first, last + 1)}
    for first, last in _COMPATIBLE:
        for point in range(first, last):
            character = chr(point)
            normal = unicodedata.normalize("NFKC", character)
            if character not in table and normal != character and len(normal) <= _LONGEST_REPLACEMENT:
                table[character] = normal.lstrip() or " "
    return table


@cache
def _changing() -> re.Pattern[str]:
    points = {ord(character) for character in _replacements()}
    points.update(point for first, last in _CURIOUS for point in range(first, last + 1))
    ranges = [run for run in _runs(sorted(points)) if run[0] < 0x10000] + [*_WHOLE_BLOCKS, (0x1D173, 0x1D17A)]
    return re.compile("[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges) + "]")


def _runs(points: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for point in points:
        if runs and runs[-1][1] == point - 1:
            runs[-1] = (runs[-1][0], point)
        else:
            runs.append((point, point))
    return runs
