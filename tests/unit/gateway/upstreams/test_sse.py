from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.errors import UpstreamGarbledError
from gateway.upstreams import sse
from gateway.upstreams.sse import DONE, EventSplitter, frame


def read(*pieces: bytes) -> list[bytes]:
    reader = EventSplitter()
    return [payload for piece in pieces for payload in reader.feed(piece)] + reader.finish()


def split(text: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(text) + 1) for cut in cuts})
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


@pytest.mark.parametrize(
    ("text", "payloads"),
    [
        (b"", []),
        (b"\n\n\n", []),
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a \n\n", [b" a "]),
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\n\n\n\n\ndata: b\n\n", [b"a", b"b"]),
        (b"\n\ndata: a\n\n", [b"a"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\n\r\ndata: b\r\n\ndata: c\n\r", [b"a", b"b", b"c"]),
        (b": comment\n\ndata: a\n\n: another\n\n", [b"a"]),
        (b": comment\ndata: a\n\n", [b"a"]),
        (b"id: 1\nevent: x\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"data: a\nid: 1\n\n", [b"a"]),
        (b"event: ping\n\ndata: a\n\n", [b"a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\ndata:b\ndata: c\n\n", [b"a\nb\nc"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"data: a\r", [b"a"]),
        (b"data: a\n\ndata: b", [b"a", b"b"]),
        (b"data: [DONE]\n\n", [DONE]),
        (b"database: no\n\ndata: a\n\n", [b"a"]),
        (b"data: data: a\n\n", [b"data: a"]),
    ],
)
def test_events_are_understood_as_servers_send_them(text: bytes, payloads: list[bytes]) -> None:
    assert read(text) == payloads


def test_an_event_is_given_as_soon_as_it_is_complete() -> None:
    reader = EventSplitter()

    assert reader.feed(b"data: a") == []
    assert reader.feed(b"\n") == []
    assert reader.feed(b"\ndata: b") == [b"a"]
    assert reader.feed(b"\n\n") == [b"b"]
    assert reader.finish() == []


def test_an_event_with_crlf_is_given_as_soon_as_it_is_complete() -> None:
    reader = EventSplitter()

    assert reader.feed(b"data: a\r\n\r") == []
    assert reader.feed(b"\n") == [b"a"]


def test_a_split_inside_a_character_is_mended() -> None:
    text = "data: grüße 😀\n\n".encode()

    for place in range(len(text)):
        assert read(text[:place], text[place:]) == ["grüße 😀".encode()]


PAYLOADS = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1, max_size=8).map(str.encode)
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Draw streams of events with comments and other fields, each line with an end of its own."""
    lines = st.one_of(
        PAYLOADS.map(lambda payload: b"data: " + payload),
        PAYLOADS.map(lambda payload: b"data:" + payload),
        PAYLOADS.map(lambda payload: b": " + payload),
        st.sampled_from([b"id: 1", b"event: x", b"", b"data", b"data:", b":"]),
    )
    return b"".join(line + draw(LINE_ENDS) for line in draw(st.lists(lines, max_size=12)))


@given(streams(), st.lists(st.integers(min_value=0), max_size=8))
@example(b"data: a\r\n\r\ndata: b\r\n\r\n", [8, 9, 10])
@example(b"data: a\r\rdata: b\r\r", [8, 9])
def test_any_split_gives_the_same_payloads(text: bytes, cuts: list[int]) -> None:
    assert read(*split(text, cuts)) == read(text)


@given(streams())
def test_one_byte_at_a_time_gives_the_same_payloads(text: bytes) -> None:
    assert read(*(text[place : place + 1] for place in range(len(text)))) == read(text)


@given(streams())
def test_all_line_ends_mean_the_same(text: bytes) -> None:
    folded = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    assert read(text) == read(folded) == read(folded.replace(b"\n", b"\r\n")) == read(folded.replace(b"\n", b"\r"))


@given(st.lists(PAYLOADS, max_size=6), st.lists(st.integers(min_value=0), max_size=8))
def test_what_is_framed_is_read_again(payloads: list[bytes], cuts: list[int]) -> None:
    text = b"".join(map(frame, payloads))

    assert read(*split(text, cuts)) == payloads


@given(st.lists(PAYLOADS, min_size=2, max_size=4))
def test_a_payload_of_several_lines_is_framed_as_such(lines: list[bytes]) -> None:
    payload = b"\n".join(lines)

    assert read(frame(payload)) == [payload]


def test_an_event_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    reader = EventSplitter()
    reader.feed(b"data: " + b"x" * 90)

    with pytest.raises(UpstreamGarbledError):
        reader.feed(b"x" * 10)


def test_many_events_may_be_longer_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)

    assert len(read(*[b"data: " + b"x" * 80 + b"\n\n"] * 10)) == 10
