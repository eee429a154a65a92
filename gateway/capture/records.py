"""What a capture keeps: who asked for it, each exchange, and how it ended."""

from __future__ import annotations

import msgspec

USE = b"capture"
"""What the key of captures is derived for; see `Sealer`."""


class Opening(msgspec.Struct, frozen=True, kw_only=True, tag="opening"):
    """The first record: what was asked for, and by whom.

    Attributes:
        id: of the capture.
        key: whose exchanges are kept, `team/name`.
        reason: as it was given.
        by: who asked for it: a part of the admin key's hash, and an address.
        started_at, ends_at: seconds since the epoch.
    """

    id: str
    key: str
    reason: str
    by: str
    started_at: float
    ends_at: float


class Captured(msgspec.Struct, frozen=True, kw_only=True, tag="exchange"):
    """One request and its answer.

    Attributes:
        at: seconds since the epoch at which the exchange ended.
        request: the body that was judged, as it was received (inflated); empty where it could not be read.
        answer: the body, or the events of a stream.
        is_cut: whether the answer was longer than is kept of one.
        code: of the error that was answered, empty for none.
    """

    at: float
    request_id: str
    route: str
    status: int
    model: str = ""
    routed_model: str = ""
    request: bytes = b""
    answer: bytes = b""
    is_cut: bool = False
    code: str = ""

    def __repr__(self) -> str:
        return f"Captured({self.request_id}, {len(self.request)} and {len(self.answer)} bytes)"


class Closing(msgspec.Struct, frozen=True, kw_only=True, tag="closing"):
    """The last record; it is missing where the process was killed.

    Attributes:
        dropped: exchanges that were not kept, as there were too many or they were too long.
        ended: `time`, `operator` or `stop`.
    """

    at: float
    kept: int
    dropped: int
    ended: str


Entry = Opening | Captured | Closing
