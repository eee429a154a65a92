from __future__ import annotations

import pytest

from policies.sanitise.copies.confusables import folding
from policies.sanitise.copies.mixtures import fold_mixtures, is_disguise, is_half_disguise, mixed_words
from policies.sanitise.steps import finish


def folded(text: str) -> str:
    return finish(fold_mixtures(text))


def test_words_of_two_scripts_are_found() -> None:
    text = "a p\u0430ssw\u043erd, \u0441\u043b\u043e\u0432\u043e"

    assert [text[start:end] for start, end in mixed_words(text)] == ["p\u0430ssw\u043erd"]


def test_in_a_latin_text_words_of_look_alikes_are_folded_too() -> None:
    assert folded("the p\u0430ss \u0441\u043e\u0440\u0435 here") == "the pass cope here"


def test_in_a_cyrillic_text_only_mixed_words_are_folded() -> None:
    text = "\u0441\u043b\u043e\u0432\u043e \u0434\u043b\u044f p\u0430ss"

    assert folded(text) == "\u0441\u043b\u043e\u0432\u043e \u0434\u043b\u044f pass"


@pytest.mark.parametrize(
    ("word", "expected"), [("p\u0430ss", True), ("SMS\u043a\u0438", False), ("\u0430b\u0430", False)]
)
def test_a_disguise_changes_the_script_to_and_fro(word: str, expected: bool) -> None:  # noqa: FBT001 # a case of the table
    assert is_disguise(word) is expected


def test_half_a_disguise_consists_of_look_alikes() -> None:
    assert (is_half_disguise("pa\u0441\u0441"), is_half_disguise("pa\u0436\u0434")) == (True, False)


def test_folding_keeps_the_length() -> None:
    assert all(len(letter) == 1 and letter.isascii() for letter in folding().values())
