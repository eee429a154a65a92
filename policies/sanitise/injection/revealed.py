"""The copies of a text that are judged for injections: without disguises, and what it hides.

Hidden are texts in Base64, in URL and HTML encoding, in letters written apart or backwards, in digits for letters, and
in characters that show nothing (tags, variation selectors).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Generator, Iterable, Iterator
from functools import cache
from typing import Final

import msgspec

from policies.sanitise.copies.detection_copy import DetectionCopy, copy_in_steps
from policies.sanitise.copies.segments import ANCHORS, RUN_ANCHOR, read_segments
from policies.sanitise.injection.plain import plain
from policies.sanitise.passes.catalogue import compile_patterns
from policies.sanitise.passes.pattern import MultiPattern
from policies.sanitise.steps import finish
from policies.sanitise.unicode.spelling import LEET_ANCHOR, find_leet, without_leet

_CHUNK: Final = 1_024
"""Characters of a changed text that are made plain at once: one may become 18, and places are told to the chunk."""

_MOST_HITS: Final = 2_048
_LEET: Final = len(ANCHORS)
_TAGS: Final = re.compile("[\U000e0020-\U000e007e]{4,4096}")
_SELECTORS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,4096}")
_BACKWARDS: Final = re.compile("\u202e([^\u202c\n]{4,4096})")
_TAG_BASE: Final = 0xE0000
_SELECTOR_BASES: Final = ((0xE0100, 0xE0100 - 16), (0xFE00, 0xFE00))
"""From which character on, and what is taken away: selectors stand for the bytes 0 to 255."""

Piece = tuple[str, int, int]
"""A text, and where in the original it stands."""


class Revealed(msgspec.Struct, frozen=True, gc=False):
    """A copy that is judged.

    Attributes:
        text: what it says.
        same: characters from the beginning that stand at the same place in the original.
        starts: where the pieces of the rest begin.
        places: where in the original each of them stands.
    """

    text: str
    same: int
    starts: list[int]
    places: list[tuple[int, int]]

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """Return where `text[start:end]` stands in the original.

        To the character where a piece is as long as what it was made of, else to the pieces that it is part of.
        """
        if end <= self.same:
            return start, end
        pieces = range(bisect_right(self.starts, start) - 1, bisect_right(self.starts, end - 1))
        places = [self._part(piece, start, end) for piece in pieces]
        return min(first for first, _ in places), max(last for _, last in places)

    def _part(self, piece: int, start: int, end: int) -> tuple[int, int]:
        first, last = self.places[piece]
        begin = self.starts[piece]
        after = self.starts[piece + 1] if piece + 1 < len(self.starts) else len(self.text)
        if after - begin != last - first:
            return first, last
        return first + max(0, start - begin), min(last, first + end - begin)


def reveal(text: str) -> list[Revealed]:
    """Return the plain copy of a text and, if it hides something, that. Time is linear in the text."""
    return finish(reveal_in_steps(text))


def reveal_in_steps(text: str) -> Generator[None, None, list[Revealed]]:
    """Do the same with pauses."""
    copy = yield from copy_in_steps(text)
    seen = {index for index, _ in _anchors().hits(copy.encoded, _MOST_HITS)}
    if copy.is_same and copy.text.isascii():
        found = [Revealed(copy.text, len(text), [], [])]
    else:
        found = [(yield from _joined(_plain_chunks(copy), ""))]
    if seen or copy.unusual:
        hidden = yield from _joined(_hidden(copy, seen), "\n")
        if hidden.text:
            found.append(hidden)
    return found


def _joined(parts: Iterable[Piece | None], joint: str) -> Generator[None, None, Revealed]:
    """Return pieces as one text, each followed by the joint."""
    texts: list[str] = []
    starts: list[int] = []
    places: list[tuple[int, int]] = []
    length = 0
    for part in parts:
        yield
        if part is not None:
            texts.append(part[0] + joint)
            starts.append(length)
            places.append(part[1:])
            length += len(texts[-1])
    return Revealed("".join(texts), 0, starts, places)


@cache
def _anchors() -> MultiPattern:
    return compile_patterns([*ANCHORS, LEET_ANCHOR])


@cache
def _runs() -> MultiPattern:
    return compile_patterns([RUN_ANCHOR])


def _plain_chunks(copy: DetectionCopy) -> Iterator[Piece]:
    for start in range(0, len(copy.text), _CHUNK):
        end = min(start + _CHUNK, len(copy.text))
        yield plain(copy.text[start:end]), *copy.locate(start, end)


def _hidden(copy: DetectionCopy, seen: set[int]) -> Iterator[Piece | None]:
    """Yield what a text hides, and None where there was work for nothing."""
    if not seen.isdisjoint(range(len(ANCHORS))):
        ends = [end for _, end in _runs().hits(copy.encoded, len(copy.text))] if 0 in seen else []
        yield None
        for segment in read_segments(copy.text, seen - {_LEET}, ends):
            yield segment and (plain(segment.text), *copy.locate(segment.start, segment.end))
    if _LEET in seen and find_leet(copy.text):
        yield plain(without_leet(copy.text)), 0, len(copy.original)
    if copy.unusual:
        yield from _unseen(copy)


def _unseen(copy: DetectionCopy) -> Iterator[Piece | None]:
    """Yield what is written in characters that show nothing, or backwards."""
    highest = max(copy.unusual)
    if highest >= "\U000e0000":
        for match in _TAGS.finditer(copy.original):
            yield plain("".join(chr(ord(sign) - _TAG_BASE) for sign in match.group())), *match.span()
        yield None
    if highest >= "\ufe00":
        for match in _SELECTORS.finditer(copy.original):
            yield plain(bytes(map(_byte, match.group())).decode("utf-8", "replace")), *match.span()
        yield None
    if "\u202e" in copy.unusual:
        for match in _BACKWARDS.finditer(copy.original):
            yield plain(match[1][::-1]), *match.span()


def _byte(selector: str) -> int:
    first, base = _SELECTOR_BASES[0] if ord(selector) >= _TAG_BASE else _SELECTOR_BASES[1]
    return min(255, ord(selector) - base) if ord(selector) >= first else 0
