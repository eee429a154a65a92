from __future__ import annotations

import pytest

from gateway.answers.record import Record, pack, unpack, why_not

WHOLE = (b"{}",)


def test_what_is_packed_is_unpacked_whole() -> None:
    record = Record(
        shape="chat",
        whole=(b'{"id":', b"achatcmpl-", b"}"),
        is_rendered=True,
        events=(b"data: {}\n\n",),
        usage_event=(b"x",),
        dropped=("seed",),
        calls_tools=True,
    )

    assert unpack(pack(record)) == record


@pytest.mark.parametrize("packed", [b"", b"\xff", b'{"choices":[]}', pack(Record(shape="chat"))[:-3]])
def test_what_is_no_record_is_none(packed: bytes) -> None:
    assert unpack(packed) is None


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Record(shape="chat", whole=WHOLE), None),
        (Record(shape="chat", events=WHOLE), None),
        (Record(shape="chat", whole=WHOLE, flaw="truncated"), "truncated"),
        (Record(shape="chat"), "unreadable"),
        (Record(shape="chat", whole=WHOLE, calls_tools=True), None),
    ],
)
def test_a_record_says_why_not(record: Record, reason: str | None) -> None:
    assert why_not(record) == reason


def test_calls_of_tools_are_kept_as_the_settings_say() -> None:
    record = Record(shape="chat", whole=WHOLE, calls_tools=True)

    assert why_not(record, tool_calls=False) == "tools"
    assert why_not(Record(shape="chat", whole=WHOLE), tool_calls=False) is None


@pytest.mark.parametrize(
    ("record", "plain", "stream"),
    [
        (Record(shape="chat", whole=WHOLE, is_rendered=True), True, True),
        (Record(shape="chat", whole=WHOLE), True, False),
        (Record(shape="chat", events=WHOLE), False, True),
        (Record(shape="chat", whole=WHOLE, events=WHOLE), True, True),
    ],
)
def test_a_record_serves_the_forms_it_can(record: Record, *, plain: bool, stream: bool) -> None:
    assert (record.serves(stream=False), record.serves(stream=True)) == (plain, stream)
