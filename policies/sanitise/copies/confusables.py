"""Letters of other scripts that look like Latin ones.

The table was written for this project from the shapes in the Unicode charts. Only letters that replace one character by
one are listed, so that folding moves no offsets. Latin letters of phonetic alphabets are added by their Unicode names;
letters with the accents of languages are left alone, and fullwidth, mathematical and circled ones to NFKC.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

_LOOK_ALIKES: Final = Path(__file__).parent / "look_alikes.json"
"""Latin letter to the letters that are read as it."""

_MARKED: Final = re.compile(r"LATIN (?P<case>SMALL|CAPITAL) LETTER (?P<letter>[A-Z])(?: WITH .+)?")
_SMALL_CAPITAL: Final = re.compile(r"LATIN LETTER SMALL CAPITAL (?P<letter>[A-Z])")
_LATIN_BLOCKS: Final = ((0x250, 0x2B0), (0x1D00, 0x1DC0), (0x2C60, 0x2C80), (0xA720, 0xA800), (0xAB30, 0xAB70))

OTHER_SCRIPTS: Final = (
    "\u0370-\u03ff\u0400-\u058f\u13a0-\u13ff\u1400-\u167f\u1c80-\u1c8f\u1d00-\u1d2f\u2160-\u217f\u2373-\u237a\u2c80-\u2cff\u2d30-\u2d7f"
    "\ua4d0-\ua4ff\ua640-\ua69f\uab70-\uabbf"
)
"""Ranges of the scripts whose letters do not belong into a Latin word, as the inside of a character class."""


@cache
def folding() -> dict[int, str]:
    """Return what each look-alike is read as, for `str.translate`."""
    alike = msgspec.json.decode(_LOOK_ALIKES.read_bytes(), type=dict[str, str])
    table = {ord(character): letter for letter, others in alike.items() for character in others}
    for first, last in _LATIN_BLOCKS:
        for point in range(first, last):
            letter = _latin(unicodedata.name(chr(point), ""))
            if letter:
                table.setdefault(point, letter)
    return table


def _latin(name: str) -> str:
    if (match := _MARKED.fullmatch(name)) is not None:
        return match["letter"] if match["case"] == "CAPITAL" else match["letter"].lower()
    match = _SMALL_CAPITAL.fullmatch(name)
    return match["letter"].lower() if match is not None else ""
