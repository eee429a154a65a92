from __future__ import annotations

import pytest

from cache.semantic.hints import EVERYTHING, hints_of, is_plausible
from cache.verifier.reader import read


@pytest.mark.parametrize(
    ("stored", "asked", "plausible"),
    [
        ("How do I boil an egg?", "What is the best way of boiling eggs?", True),
        ("How do I boil an egg?", "Who was king of Spain?", False),
        ("Is it?", "Who was king of Spain?", True),
        ("How do I boil an egg?", "Is it?", True),
    ],
)
def test_a_common_content_word_makes_a_question_plausible(stored: str, asked: str, *, plausible: bool) -> None:
    assert is_plausible(read(asked), hints_of(read(stored))) is plausible


def test_hints_are_put_together() -> None:
    hints = hints_of(read("How do I boil an egg?")) | hints_of(read("Who was king of Spain?"))

    assert is_plausible(read("Which kings lived in Spain?"), hints)


def test_everything_is_plausible_where_the_hints_say_so() -> None:
    assert is_plausible(read("Who was king of Spain?"), EVERYTHING)
    assert not is_plausible(read("Who was king of Spain?"), 0)
