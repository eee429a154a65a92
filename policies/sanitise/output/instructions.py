"""Judges an answer's text for instructions to whoever reads it, stretch by stretch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Judge = Callable[[str], float | None]
"""Returns how sure it is that a text gives instructions, 0 to 1; None where it is no finding."""

STRETCH: Final = 1_024
"""Characters that are judged together; about 1 ms."""

_OVERLAP: Final = 256
"""Characters of the stretch before that are judged again."""


class InstructionReader:
    """Reads one text that arrives in pieces.

    Args:
        judge: judges a stretch.
    """

    __slots__ = ("_judge", "_text", "_unread")

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._text = ""
        self._unread = 0

    def feed(self, piece: str) -> float | None:
        """Take a piece, and return the score of a stretch that gives instructions, if there is one by now."""
        self._text += piece
        self._unread += len(piece)
        return self._read() if self._unread >= STRETCH else None

    def finish(self) -> float | None:
        """Return the score of what is left; see `feed`."""
        return self._read() if self._unread else None

    def _read(self) -> float | None:
        score = self._judge(self._text)
        self._text, self._unread = self._text[-_OVERLAP:], 0
        return score
