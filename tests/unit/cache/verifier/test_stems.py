from __future__ import annotations

import pytest

from cache.verifier.stems import IRREGULAR, stem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("movie", "movies"),
        ("city", "cities"),
        ("box", "boxes"),
        ("enable", "enabling"),
        ("enable", "enabled"),
        ("run", "running"),
        ("apply", "applied"),
        ("quick", "quickly"),
        ("dog", "dog's"),
        ("class", "classes"),
    ],
)
def test_forms_of_a_word_have_one_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(
    ("one", "other"), [("university", "universal"), ("new", "news"), ("policy", "police"), ("sing", "sin")]
)
def test_different_words_keep_different_stems(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_short_words_stay_as_they_are() -> None:
    assert [stem(word) for word in ("is", "as", "red", "")] == ["is", "as", "red", ""]


def test_irregular_forms_lead_to_their_word() -> None:
    assert IRREGULAR["went"] == "go"
    assert IRREGULAR["children"] == "child"
