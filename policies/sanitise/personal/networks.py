"""Recognises addresses of machines that lead to a person: IP and MAC."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_V4: Final = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
_V6: Final = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{4,39}(?:\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])")
_VERSION: Final = re.compile(r"(?:version|ver|release|build|v|==|>=|<=|~=|\^)[\s:=\"']{0,3}\Z", re.IGNORECASE)
_WORDS: Final = re.compile(r"\bIP\b|ip[ _-]?addr|remote[ _-]?addr|client[ _-]?ip|user[ _-]?ip", re.IGNORECASE)
_WORD_REACH: Final = 32
_REACH: Final = 12
_SIX: Final = 41


def find_v4(text: str, end: int) -> tuple[int, int] | None:
    """Return where the address stands that an anchor ended in; None for versions and for addresses that name nobody."""
    match = _V4.search(text, max(0, end - 16), min(len(text), end + 4))
    if match is None or _VERSION.search(text, max(0, match.start() - _REACH), match.start()) is not None:
        return None
    is_told = _WORDS.search(text, max(0, match.start() - _WORD_REACH), match.start()) is not None
    return match.span() if _names_somebody(match.group(), is_told=is_told) else None


def find_v6(text: str, end: int) -> tuple[int, int] | None:
    """Return where the address stands that an anchor ended in, None if it is none."""
    match = _V6.search(text, max(0, end - _SIX), min(len(text), end + _SIX))
    if match is None or match.group().count(":") < 2 or not _names_somebody(match.group(), is_told=False):
        return None
    return match.span()


def _names_somebody(written: str, *, is_told: bool) -> bool:
    """Whether it is an address of the public internet, or of a private network and called somebody's address.

    Loopback, private and reserved addresses stand in every manual.
    """
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        # What is not assigned yet counts: a test's address or tomorrow's. `::` and short forms stand in code.
        return not (address.is_loopback or address.is_unspecified or address.is_link_local or written.count(":") < 4)
    if is_told:
        return not (address.is_loopback or address.is_unspecified or address.is_multicast)
    return address.is_global and not address.is_multicast
