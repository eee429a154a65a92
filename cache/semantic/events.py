"""What a log of entries holds: one event for each entry stored or deleted, and for each hit that was judged."""

from __future__ import annotations

from typing import Final

import msgspec


class Stored(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="stored1"):
    """An entry.

    Attributes:
        scope: the exact key inside which it may be found.
        entry_id: of its answer among the payloads, 0 to 2**63 - 1, unique over all scopes; one question in one
            scope has the same whenever it is stored.
        model: stands for the embedder's identity, `identity_digest`; rows of another model are of no use.
        row: the vector of its question, as `cache.index.rows.pack` made it: d bytes.
        reading: of its question, as `cache.semantic.readings.shrink` made it.
        answer: a digest of its answer.
        stored_at, expires_at: seconds since the epoch.
    """

    scope: bytes
    entry_id: int
    model: bytes
    row: bytes
    reading: bytes
    answer: bytes
    stored_at: float
    expires_at: float


class Deleted(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="deleted1"):
    """An entry that is to be forgotten.

    Attributes:
        scope: where it is; empty where the one who deleted it did not know.
        is_reported: whether somebody called an answer from it wrong.
    """

    scope: bytes
    entry_id: int
    is_reported: bool = False


class Judged(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="judged1"):
    """A hit that was checked, by an audit or by who reported it.

    Attributes:
        similarity: as `BudgetKeeper.audit` takes it.
        is_report: whether somebody reported it, so that it is no fair sample.
        pairs: which must not match again; see `cache.semantic.barred`.
    """

    scope: bytes
    category: str
    similarity: float
    is_right: bool
    is_report: bool
    pairs: tuple[bytes, ...] = ()


Event = Stored | Deleted | Judged


class Written(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An event as it stands in a log.

    Attributes:
        origin: of the process that wrote it, which has no need to read it again.
    """

    origin: bytes
    event: Event


def encode(written: Written) -> bytes:
    """Return an event in few bytes: about 0.7 kB for an entry of 384 dimensions and 20 words."""
    return _ENCODER.encode(written)


def decode(encoded: bytes) -> Written | None:
    """Return what was encoded, in about 1 us; None where no version of this module that is known here wrote it."""
    try:
        return _DECODER.decode(encoded)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Written)
