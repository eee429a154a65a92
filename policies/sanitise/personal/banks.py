"""Recognises bank accounts: IBAN."""

from __future__ import annotations

import re
from typing import Final

_IBAN: Final = re.compile(
    r"(?<![0-9A-Za-z])[A-Z]{2}\d{2}(?:[ -]?[0-9A-Z]{4}){2,7}(?:[ -]?[0-9A-Z]{1,4})?(?![0-9A-Za-z])", re.IGNORECASE
)
_REGISTRY: Final = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 "
    "EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 "
    "KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 "
    "PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 "
    "VA22 VG24 XK20 YE30"
)
# Lengths by country: SWIFT, IBAN registry, release 99 (2024).
_LENGTHS: Final = {entry[:2]: int(entry[2:]) for entry in _REGISTRY.split()}


def find_iban(text: str, end: int) -> tuple[int, int] | None:
    """Return where the account stands that an anchor ended in; the words after it may look like its last groups."""
    match = _IBAN.search(text, max(0, end - 12), min(len(text), end + 48))
    if match is None:
        return None
    length = _LENGTHS.get(match.group()[:2].upper())
    stop = None if length is None else _after(text, match.start(), match.end(), length)
    return (match.start(), stop) if stop is not None and is_iban(text[match.start() : stop]) else None


def is_iban(written: str) -> bool:
    """Whether the check digits of ISO 13616 hold: the rearranged number is 1 modulo 97."""
    compact = "".join(character for character in written.upper() if character.isalnum())
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def _after(text: str, start: int, end: int, length: int) -> int | None:
    """Return where `length` letters and digits end."""
    seen = 0
    for position in range(start, end):
        seen += text[position].isalnum()
        if seen == length:
            return position + 1 if not text[position + 1 : position + 2].isalnum() else None
    return None
