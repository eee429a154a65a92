from __future__ import annotations

import pytest

from policies.sanitise.output.canaries import CanaryFinder

CANARY = "blue-heron-4711"


@pytest.mark.parametrize(
    "written", [CANARY, "Blue Heron 4711", "b-l-u-e h.e.r.o.n 4 7 1 1", "1174 noreh eulb", "BLUEHERON4711"]
)
def test_a_canary_is_found_where_it_stands(written: str) -> None:
    text = f"Überall: {written}, ja."

    found = CanaryFinder([CANARY]).find(text)

    assert [text[one.start : one.end] for one in found] == [written]


def test_letters_that_grow_in_lower_case_move_no_place() -> None:
    text = f"İİ ß {CANARY}"

    found = CanaryFinder([CANARY]).find(text)

    assert [text[one.start : one.end] for one in found] == [CANARY]


def test_every_canary_is_found_each_time() -> None:
    found = CanaryFinder([CANARY, "second-word-9"]).find(f"{CANARY} second-word-9 {CANARY}")

    assert len(found) == 3


@pytest.mark.parametrize("text", ["", "blue heron", "A blue bird, no heron of 4,711 kinds."])
def test_other_words_are_no_canaries(text: str) -> None:
    assert CanaryFinder([CANARY]).find(text) == []


def test_canaries_are_not_shown() -> None:
    assert "heron" not in repr(CanaryFinder([CANARY]))
