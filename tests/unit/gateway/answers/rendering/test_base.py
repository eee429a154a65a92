from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.answers.rendering.base import argument_pieces, event, named_event, pieces


@given(st.text())
def test_pieces_add_up_to_the_text(text: str) -> None:
    for how in ("natural", "at_once"):
        for cut in (pieces, argument_pieces):
            assert "".join(cut(text, how)) == text


@given(st.text())
def test_no_piece_is_empty(text: str) -> None:
    assert "" not in [*pieces(text, "natural"), *pieces(text, "at_once"), *argument_pieces(text, "natural")]


def test_long_words_and_gaps_come_in_pieces() -> None:
    assert max(len(piece) for piece in pieces("x" * 1000 + " " * 1000, "natural")) <= 48


def test_events_are_framed() -> None:
    assert event({"a": "ü\n"}) == 'data: {"a":"ü\\n"}\n\n'.encode()
    assert named_event({"type": "ping"}) == b'event: ping\ndata: {"type":"ping"}\n\n'
