# ruff: noqa: RUF001  signs that look like others are meant
"""The form in which words are compared: small letters without accents, one sign for those that mean the same."""

from __future__ import annotations

import re
from typing import Final
from unicodedata import is_normalized, normalize

_LEFT_OUT: Final = re.compile(
    "[\u00ad\u0300-\u036f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]+"
)
"""What nobody sees, and accents once they are apart from their letters."""

_SAME: Final = dict(zip("ıłøđðħŀ’‘“”„«»。、「」『』【】・؟،।…–—", 'ilodhhl\'\'""""".' + ',"""""" ?,..--', strict=True))
_ALIKE: Final = re.compile(f"[{''.join(_SAME)}]")


def plain(text: str) -> str:
    """Return a text in that form; ASCII text is returned as it is, as its letters are folded when it is read."""
    if text.isascii():
        return text
    found = _LEFT_OUT.sub("", normalize("NFKD", text).casefold())
    if not is_normalized("NFC", found):
        found = normalize("NFC", found)
    return _ALIKE.sub(_same, found)


def _same(match: re.Match[str]) -> str:
    return _SAME[match[0]]
