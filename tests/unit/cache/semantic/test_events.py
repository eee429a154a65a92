from __future__ import annotations

import pytest

from cache.semantic.events import Deleted, Event, Judged, Stored, Written, decode, encode

EVENTS: list[Event] = [
    Stored(b"scope", 2**63 - 1, b"model", bytes(range(128)), b"\xff", b"answer", 1.5, 4e9),
    Deleted(b"", 0, is_reported=True),
    Judged(b"scope", "fäq", 0.9, is_right=True, is_report=False, pairs=(b"a", b"b")),
]


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    assert decode(encode(Written(b"origin", event))) == Written(b"origin", event)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"none",
        encode(Written(b"o", EVENTS[0]))[:-1],
        encode(Written(b"o", EVENTS[1])).replace(b"deleted1", b"deleted9"),
    ],
)
def test_what_is_no_event_of_a_known_version_is_none(broken: bytes) -> None:
    assert decode(broken) is None
