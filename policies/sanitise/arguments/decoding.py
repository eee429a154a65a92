"""Undoes the encodings in which paths and addresses are disguised."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

MOST_DECODINGS: Final = 3
"""Encodings wrapped into each other that are undone; who needs more has something to hide."""

_BYTE: Final = re.compile(r"%(?:u([0-9A-Fa-f]{4})|([0-9A-Fa-f]{2}))")
_HEX: Final = re.compile(r"(?:0x|\\x)([0-9A-Fa-f]{2})")
# What servers have taken for dots and slashes: fullwidth and division signs, and the private-use characters that
# Windows code pages fold to them.
_SIGNS: Final = str.maketrans(
    {
        "\u2215": "/",
        "\u2044": "/",
        "\uff0f": "/",
        "\u2216": "\\",
        "\uff3c": "\\",
        "\uefc8": "/",
        "\uf025": "\\",
        "\uff0e": ".",
        "\u2024": ".",
    }
)
OVERLONG: Final = re.compile(
    r"%(?:25){0,3}(?:c[01]|(?:e0%(?:25)?[89]|f0%(?:25)?8|f[89a-f]%))|\\xc[01]|[\xc0\xc1][\x80-\xbf]|%u(?:00c[01]|efc8|f025|221[56]|ff0[ef]|2024)",
    re.IGNORECASE,
)
"""Bytes that begin a form of a character longer than needed, which UTF-8 forbids (RFC 3629, section 3)."""

NESTED: Final = re.compile(
    r"%25(?:25)*(?:2e|2f|5c|00|c0|c1|u)|%%(?:3[0-9]|2e|2f|5c|c0)|%[0-9a-f]%[0-9a-f]{2}", re.IGNORECASE
)
MALFORMED: Final = re.compile(
    r"%[0-9a-z]{2}%(?![0-9a-f]{2})[0-9a-z]{2}|%(?![0-9a-f]{2})[0-9a-z]{2}%[0-9a-z]{2}", re.IGNORECASE
)


def decodings(value: str) -> list[str]:
    """Return the value and what it becomes with one encoding after the other undone, at most three times."""
    forms = [value]
    for _ in range(MOST_DECODINGS):
        decoded = _decode(forms[-1])
        if decoded == forms[-1]:
            break
        forms.append(decoded)
    return forms


def _decode(value: str) -> str:
    decoded = value
    if "%" in decoded:
        decoded = _BYTE.sub(lambda match: chr(int(match[1] or match[2], 16)), decoded)
    if "&" in decoded:
        decoded = html.unescape(decoded)
    if "0x" in decoded or "\\x" in decoded:
        decoded = _HEX.sub(lambda match: chr(int(match[1], 16)), decoded)
    if not decoded.isascii():
        decoded = unicodedata.normalize("NFKC", decoded.translate(_SIGNS))
    return decoded
