"""Entries as they stand outside this process: packed, and sealed for the place where they stand."""

from __future__ import annotations

from typing import Final

import msgspec

from cache.base import Entry
from gateway.sealing import Sealer

ANSWERS: Final = b"cached-answers"
EVENTS: Final = b"cache-events"
"""What a `Sealer` is told that it seals: answers under one key, what a log holds under another."""

_encode: Final = msgspec.msgpack.encode
_decode: Final = msgspec.msgpack.Decoder(Entry).decode


class UnreadableEntryError(Exception):
    """What was kept is no entry of this number: sealed with another key, damaged, or of another version."""


def seal_entry(sealer: Sealer, entry: Entry, *, place: bytes) -> bytes:
    """Return an entry that opens in its place only; about 2 us for 1 KiB and 0.7 ms for 64 KiB.

    Args:
        place: tells it from every other of the same store.
    """
    return sealer.seal(_encode(entry), about=place)


def open_entry(sealer: Sealer, sealed: bytes, *, place: bytes) -> Entry:
    """Return an entry that was sealed for this place; about 3 us a KiB.

    Raises:
        UnreadableEntryError: there is none.
    """
    packed = sealer.open(sealed, about=place)
    if packed is None:
        raise UnreadableEntryError
    try:
        return _decode(packed)
    except msgspec.DecodeError as error:  # written by another version of the gateway
        raise UnreadableEntryError from error
