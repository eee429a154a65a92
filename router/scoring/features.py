"""What is counted in a text: its length, signs, numbers and lettered options."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from router.scoring.reading import Reading

SIGNS: Final[dict[str, str]] = {
    "operators": "=+*/^<>|~%",
    "commands": "\\",
    "dollars": "$",
    "brackets": "_()[]{};=#`",
    "lines": "\n",
    "foreign": "",
}
"""Groups of signs that are counted; a sign may stand in two. The last group is all bytes outside ASCII."""

_LINE_FEED: Final = 10
_LETTERS: Final = 16
_SIGNS: Final = np.array([[chr(byte) in group for group in SIGNS.values()] for byte in range(256)], float)
_SIGNS[128:, -1] = 1.0


class Features(msgspec.Struct, frozen=True, gc=False):
    """What was counted.

    Attributes:
        operators: signs of arithmetic, comparison and the like.
        notation: backslashes and dollar signs, as of formulas; dollars that may be prices are left out.
        brackets: signs that code is full of.
        foreign: bytes outside ASCII.
        characters: length of the whole text.
        read: bytes read of it.
        word_count: words and numbers read.
        numbers: numbers read.
        options: lettered lines, as of a question with answers to choose from.
        stem: characters of the text before the first option.
        repeats: 0 to 1, the share of the options' words that stood in them before.
    """

    operators: float
    notation: float
    brackets: float
    foreign: int
    characters: int
    read: int
    word_count: int
    numbers: int
    options: int
    stem: int
    repeats: float


def measure(reading: Reading) -> Features:
    """Count what a text has."""
    letters, words = reading.letters, reading.words
    operators, commands, dollars, brackets, lines, foreign = (np.bincount(letters, minlength=256) @ _SIGNS).tolist()
    options, first = _options(letters) if lines > 1.0 else (0, len(letters))
    numbers = reading.numbers
    return Features(
        operators=operators,
        notation=commands + max(0.0, dollars - numbers),
        brackets=brackets,
        foreign=int(foreign),
        characters=reading.characters,
        read=len(letters),
        word_count=len(words),
        numbers=numbers,
        options=options,
        stem=max(0, reading.characters - len(letters) + first),
        repeats=_repeats(words[int(reading.starts.searchsorted(first)) :]) if options else 0.0,
    )


def _options(letters: NDArray[np.uint8]) -> tuple[int, int]:
    """Return how many lines begin like `b. ` or `b) `, and where the first of them begins."""
    lines = (letters[:-3] == _LINE_FEED).nonzero()[0]
    mark, blank = letters[lines + 2], letters[lines + 3]
    letter = letters[lines + 1] - ord("a")
    found = lines[(letter < _LETTERS) & ((mark == ord(".")) | (mark == ord(")"))) & (blank == ord(" "))]
    return len(found), int(found[0]) if len(found) else len(letters)


def _repeats(words: NDArray[np.uint32]) -> float:
    listed = words.tolist()
    return 1.0 - len(set(listed)) / len(listed) if listed else 0.0
