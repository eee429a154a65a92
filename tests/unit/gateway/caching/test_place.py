from __future__ import annotations

from typing import Any

import pytest

from gateway.caching.place import flight_key
from gateway.domain.chat import read_chat
from tests.support.build import chat_body

KEY = bytes(32)


def key_of(limit: int | None = None, **fields: Any) -> bytes:
    return flight_key(KEY, read_chat(chat_body(**fields)), limit)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {}, True),
        ({}, {"stream": False}, True),
        ({}, {"stream": True}, False),
        ({"stream": True}, {"stream": True}, True),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}, False),
        ({}, {"limit": 10}, False),
        ({"limit": 10}, {"limit": 10}, True),
        ({"limit": 10}, {"limit": 11}, False),
    ],
)
def test_requests_share_a_call_where_its_answer_fits_both(
    one: dict[str, Any], other: dict[str, Any], *, same: bool
) -> None:
    assert (key_of(**one) == key_of(**other)) is same
