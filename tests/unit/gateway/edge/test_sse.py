from __future__ import annotations

import json

from gateway.domain.errors import UpstreamRefusedError
from gateway.edge.sse import HEADERS, error_event


def test_an_error_in_a_stream_is_one_plain_data_line() -> None:
    event = error_event(UpstreamRefusedError("two\nlines", status=503, code="c"), "req-1")

    assert event.startswith(b"data: {")
    assert event.endswith(b"}\n\n")
    assert event.count(b"\n") == 2
    assert json.loads(event.removeprefix(b"data: "))["error"]["code"] == "c"


def test_streams_are_not_to_be_held_back() -> None:
    headers = dict(HEADERS)

    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-cache"
    assert headers[b"x-accel-buffering"] == b"no"
