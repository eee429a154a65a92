"""Recognises addresses of crypto-currencies by their checksums."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUES: Final = {character: value for value, character in enumerate(_BASE58)}
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_CONSTANTS: Final = (1, 0x2BC830A3)
"""BIP 173 and BIP 350."""

_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_OLD: Final = re.compile(r"(?<![0-9A-Za-z])[13TLDM][1-9A-HJ-NP-Za-km-z]{25,34}(?![0-9A-Za-z])")
_SEGWIT: Final = re.compile(r"(?<![0-9A-Za-z])(?:bc1|ltc1|tb1)[02-9ac-hj-np-z]{11,87}(?![0-9A-Za-z])", re.IGNORECASE)
_ETHER: Final = re.compile(r"(?<![0-9A-Za-z])0x[0-9a-fA-F]{40}(?![0-9A-Za-z])")


def find_old(text: str, end: int) -> tuple[int, int] | None:
    """Return a Base58Check address (Bitcoin, Litecoin, Dogecoin, Tron) that begins before `end`."""
    match = _OLD.search(text, max(0, end - 19), min(len(text), end + 20))
    return match.span() if match is not None and is_base58_checked(match.group()) else None


def find_segwit(text: str, end: int) -> tuple[int, int] | None:
    """Return a Bech32 address that begins before `end`."""
    match = _SEGWIT.search(text, max(0, end - 18), min(len(text), end + 90))
    return match.span() if match is not None and is_bech32(match.group().lower()) else None


def find_ether(text: str, end: int) -> tuple[int, int] | None:
    """Return an address of Ethereum that ends at `end`. Most are written without the checksum of EIP-55."""
    match = _ETHER.search(text, max(0, end - 43), min(len(text), end + 1))
    return match.span() if match is not None and len(set(match.group().lower())) > 8 else None


def is_base58_checked(address: str) -> bool:
    """Whether the last four of 25 bytes are the double SHA-256 of the others."""
    number = 0
    for character in address:
        number = number * 58 + _BASE58_VALUES[character]
    try:
        payload = number.to_bytes(25, "big")
    except OverflowError:
        return False
    return hashlib.sha256(hashlib.sha256(payload[:-4]).digest()).digest()[:4] == payload[-4:]


def is_bech32(address: str) -> bool:
    """Whether the checksum of BIP 173 or BIP 350 holds."""
    prefix, _, rest = address.rpartition("1")
    values = [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]
    checksum = 1
    for value in values + [_BECH32.find(character) for character in rest]:
        if value < 0:
            return False
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            checksum ^= term if top >> bit & 1 else 0
    return checksum in _BECH32_CONSTANTS
