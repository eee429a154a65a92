from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.sanitise.copies.detection_copy import make_copy


def test_ascii_is_its_own_copy() -> None:
    text = "plain text\n"

    assert make_copy(text).text is text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s\u200be\xadcret", "secret"),
        ("\uff53\uff45\uff43", "sec"),
        ("\u2460\u2026", "1..."),
        ("p\u0430ssword", "password"),
        ("a\x00b", "ab"),
        ("\u041f\u0440\u0438\u0432\u0435\u0442", "\u041f\u0440\u0438\u0432\u0435\u0442"),
        ("caf\u00e9", "caf\u00e9"),
    ],
)
def test_a_copy_shows_what_was_hidden(text: str, expected: str) -> None:
    assert make_copy(text).text == expected


def test_a_place_in_the_copy_leads_to_the_place_in_the_original() -> None:
    copy = make_copy("\u2026 s\u200be\u200bc \u2025")
    start = copy.text.index("sec")

    place = copy.locate(start, start + 3)

    assert copy.original[slice(*place)] == "s\u200be\u200bc"


@given(st.text(alphabet="ab1\u200b\xad\uff41\u2026\u0430\U0001d41a\x00é", max_size=40))
def test_every_place_lies_in_the_original_and_keeps_its_order(text: str) -> None:
    copy = make_copy(text)
    places = [copy.locate(start, start + 1) for start in range(len(copy.text))]

    assert all(0 <= start < end <= len(text) for start, end in places)
    assert places == sorted(places)
    assert len(copy.encoded) == len(copy.text)
