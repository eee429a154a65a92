"""Tells whether an answer gives away the system message: by how many runs of its words stand in the answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

RUN: Final = 6
"""Words of a run: shorter ones are shared by chance, as in phrases of politeness."""

FEWEST: Final = 4
"""Runs that must stand in the answer: nine words of the system message one after the other, or several pieces."""

SHARE: Final = 0.1
"""Share of the system message's runs, or of the answer's, that must be shared."""

LONGEST: Final = 1 << 16
"""Characters of either text that are looked at."""

_WORD: Final = re.compile(r"\w+")
_LAST_WORD: Final = re.compile(r"\w+\Z")
_LONGEST_WORD: Final = 64
_AT_ONCE: Final = 96
"""Characters of a stream that are read together; some 15 words, 10 us."""

_RARE: Final = 4
"""Letters from which a word counts as one that tells texts apart; a run needs two of them."""


class Leak(msgspec.Struct, frozen=True, gc=False):
    """What an answer has of a system message.

    Attributes:
        leaked: that it gives it away.
        runs: how many runs of words it has.
        share: 0 to 1, of the system message's runs.
    """

    leaked: bool
    runs: int
    share: float


class Prompt:
    """A system message, ready to be looked for in answers. It keeps hashes of runs of words, not the text.

    Args:
        system: the message.
        known: what a user said or a document had: an answer may repeat that.

    Attributes:
        runs: hashes of the message's runs of words.
        known: those of what an answer may repeat.
    """

    __slots__ = ("known", "runs")

    def __init__(self, system: str, known: str = "") -> None:
        self.runs = _runs(system)
        self.known = _runs(known) if known else frozenset()

    def within(self, answer: str) -> Leak:
        """Return what an answer has of the message."""
        said = _runs(answer)
        shared = len((self.runs & said) - self.known)
        share = shared / len(self.runs) if self.runs else 0.0
        of_answer = shared / len(said) if said else 0.0
        return Leak(shared >= FEWEST and max(share, of_answer) >= SHARE, shared, share)


class Reader:
    """Reads an answer that arrives in pieces. It keeps a few words, and which of the message's runs it has seen.

    Args:
        prompt: the system message.
    """

    __slots__ = ("_pieces", "_prompt", "_said", "_shared", "_unread", "_words")

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._pieces: list[str] = []
        self._unread = self._said = 0
        self._words: list[str] = []
        self._shared: set[int] = set()

    def feed(self, piece: str) -> bool:
        """Take a piece; tell whether the message is given away by now, whatever is still to come."""
        self._pieces.append(piece)
        self._unread += len(piece)
        if self._unread < _AT_ONCE:
            return False
        text = "".join(self._pieces)
        cut = _whole_words(text)
        self._pieces, self._unread = [text[cut:]], 0
        self._read(text[:cut])
        return len(self._shared) >= FEWEST and self._share >= SHARE

    def finish(self) -> Leak:
        """Return what the answer has, now that it is complete."""
        self._read("".join(self._pieces))
        self._pieces.clear()
        shared = len(self._shared)
        of_answer = shared / self._said if self._said else 0.0
        return Leak(shared >= FEWEST and max(self._share, of_answer) >= SHARE, shared, self._share)

    @property
    def _share(self) -> float:
        runs = self._prompt.runs
        return len(self._shared) / len(runs) if runs else 0.0

    def _read(self, text: str) -> None:
        words = self._words + _WORD.findall(text.casefold())
        said = _runs_of(words)
        self._words = words[-(RUN - 1) :]
        self._said += len(said)
        self._shared |= (said & self._prompt.runs) - self._prompt.known


def _whole_words(text: str) -> int:
    """Return where the last word begins that may go on; the text's length where it is longer than any word."""
    last = _LAST_WORD.search(text, max(0, len(text) - _LONGEST_WORD))
    return last.start() if last is not None and last.start() else len(text)


def _runs(text: str) -> frozenset[int]:
    """Return hashes of the runs of words that have at least two rarer words."""
    return _runs_of(_WORD.findall(text[:LONGEST].casefold()))


def _runs_of(words: Sequence[str]) -> frozenset[int]:
    rare = [len(word) >= _RARE or not word.isascii() for word in words]
    return frozenset(
        hash(tuple(words[at : at + RUN])) for at in range(len(words) - RUN + 1) if sum(rare[at : at + RUN]) > 1
    )
