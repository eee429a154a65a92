# ruff: noqa: RUF001  signs that look like others are meant
"""The copy of a text that is judged: one form for letters that look alike, nothing that nobody sees.

Offsets of spans are of this copy. A stage that makes a better one hands that to the detector in its place.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import normalize

_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]+"
)
_MARKS: Final = re.compile("[\u0300-\u036f]+")
_SAME: Final = str.maketrans("ıłøđðħŀ’‘“”„«»。、「」『』【】・؟،।…–—", 'ilodhhl\'\'""""".' + ',"""""" ?,..--')


def plain(text: str) -> str:
    """Return the copy that is judged; ASCII text is returned as it is."""
    if text.isascii():
        return text
    found = normalize("NFKD", text).casefold()
    found = _MARKS.sub("", _UNSEEN.sub("", found))
    return normalize("NFC", found).translate(_SAME)
