"""Reads the notation of `formats.json`: `ghp_{a:36}` is a literal and 36 letters or digits.

`{c:n}`, `{c:n-m}` and `{c:n-}` stand for n characters, n to m, and at least n of class c; `{uuid}` for a UUID. Outside
of braces `(a|b)`, `x?` and `[ab]` mean what they mean in regular expressions, a backslash takes a character literally,
and all else is literal.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

CLASSES: Final = {
    "d": "0-9",
    "x": "0-9a-f",
    "h": "0-9a-fA-F",
    "l": "0-9a-z",
    "u": "0-9A-Z",
    "a": "0-9A-Za-z",
    "w": "0-9A-Za-z_-",
    "b": "0-9A-Za-z+/",
    "s": "0-9A-Za-z+/=_-",
    "t": "0-9A-Za-z._-",
    "g": "0-9A-Za-z._~+/=-",
    "q": "0-9A-Za-z%",
    "y": "0-9A-Za-z./",
    "z": "a-z",
    "A": "A-Z",
}
"""Letter of the notation to the class's contents."""

_UUID: Final = "[0-9a-zA-Z]{8}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{4}-[0-9a-zA-Z]{12}"
_PIECE: Final = re.compile(r"\{(?:(uuid)|(\w):(\d+)(-?)(\d*))\}|(\\.)|([()|?\[\]])|(.)", re.DOTALL)
_LONGEST: Final = 2048
"""Characters that an open class may take. Tokens that carry a document (JWT) seldom reach half of it."""


class Shape(msgspec.Struct, frozen=True):
    """What one line of the notation says.

    Attributes:
        anchor: expression that matches the least of it; its end is where the engine reports.
        full: expression that matches all of it, for `re`.
        anchor_length: most characters the anchor can cover.
    """

    anchor: str
    full: str
    anchor_length: int


def read_shape(notation: str) -> Shape:
    """Translate a line of the notation.

    Raises:
        KeyError: it names a class that does not exist.
    """
    full, anchor, length, last = "", "", 0, ""
    pieces = list(_PIECE.finditer(notation))
    for position, piece in enumerate(pieces):
        uuid, letter, least, dash, most, *_ = piece.groups()
        if letter is None:
            full += (text := _UUID if uuid else _literal(piece))
            anchor += text
            length += 36 if uuid else 1
            continue
        low = int(least)
        high = int(most) if most else (_LONGEST if dash else low)
        is_last = position == len(pieces) - 1
        full += f"[{CLASSES[letter]}]{{{low},{high}}}"
        anchor += f"[{CLASSES[letter]}]" + _least(low, high, is_last=is_last)
        length += low if is_last else high
        last = CLASSES[letter] if is_last else ""
    first = notation[0]
    starts_word = first.isalnum() or first in "([{"
    before, guard = ("(?:^|[^0-9A-Za-z])", "(?<![0-9A-Za-z])") if starts_word else ("", "")
    return Shape(before + anchor, guard + full + (f"(?![{last}])" if last else ""), length + 1)


def _least(low: int, high: int, *, is_last: bool) -> str:
    """Return the repetition an anchor needs. RE2 counts to 1,000 at most, so that an open class has no upper bound."""
    if is_last or low == high:
        return f"{{{low}}}"
    return f"{{{low},}}" if high == _LONGEST else f"{{{low},{high}}}"


def _literal(piece: re.Match[str]) -> str:
    escaped, operator, character = piece.group(6), piece.group(7), piece.group(8)
    return escaped or operator or re.escape(character)
