from __future__ import annotations

import pytest

from cache.verifier.alignment import additions, are_alike, unmatched
from cache.verifier.reader import read


@pytest.mark.parametrize(
    ("one", "other"),
    [("invest", "investor"), ("caribean", "caribbean"), ("recieve", "receive"), ("definition", "definitions")],
)
def test_forms_and_misspellings_are_alike(one: str, other: str) -> None:
    assert are_alike(one, other)
    assert are_alike(other, one)


@pytest.mark.parametrize(("one", "other"), [("cat", "car"), ("texas", "kansas"), ("plane", "planetarium"), ("", "a")])
def test_different_words_are_not_alike(one: str, other: str) -> None:
    assert not are_alike(one, other)
    assert not are_alike(other, one)


def test_words_without_a_counterpart_are_told_by_side() -> None:
    assert unmatched(read("red apples in baskets"), read("baskets of red pears")) == (["appl"], ["pear"])


def test_equal_content_leaves_nothing() -> None:
    assert unmatched(read("the volcano"), read("a volcano")) == ([], [])


def test_light_words_add_nothing() -> None:
    assert additions(read("popular volcanoes"), read("volcanoes")) == ([], [])
    assert additions(read("underwater volcanoes"), read("volcanoes")) == (["underwater"], [])
