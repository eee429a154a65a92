from __future__ import annotations

import pytest

from cache.verifier.base import Rule
from cache.verifier.reader import read
from cache.verifier.rules.form import Degrees, Kind, Quantifiers, WhWords, WordOrder


@pytest.mark.parametrize(
    ("rule", "one", "other"),
    [
        (WhWords(), "When was radar invented?", "Where was radar invented?"),
        (WhWords(), "How does radar work?", "Why does radar work?"),
        (WhWords(), "How much does radar cost?", "How does radar cost lives?"),
        (WhWords(), "What year was radar invented?", "Who invented radar?"),
        (Kind(), "Is the moon made of rock?", "The moon is made of rock."),
        (Quantifiers(), "Do all birds fly?", "Do birds fly?"),
        (Degrees(), "the least expensive car", "the expensive car"),
        (Degrees(), "the worst film ever", "the film"),
        (WordOrder(), "can a dog chase a cat", "can a cat chase a dog"),
        (WordOrder(), "convert litres to gallons quickly", "convert gallons to litres quickly"),
        (WordOrder(), "a train from Lima to Quito", "a train from Quito to Lima"),
    ],
)
def test_another_question_is_refused(rule: Rule, one: str, other: str) -> None:
    assert rule.refuses(read(one), read(other))
    assert rule.refuses(read(other), read(one))


@pytest.mark.parametrize(
    ("rule", "one", "other"),
    [
        (WhWords(), "What is radar?", "How would you explain radar?"),
        (WhWords(), "When was radar invented?", "What year was radar invented?"),
        (Kind(), "What is the moon made of?", "Is the moon made of rock?"),
        (Quantifiers(), "What do all birds eat?", "What do birds eat?"),
        (Degrees(), "the best car", "a good car"),
        (WordOrder(), "apples or pears", "pears or apples"),
        (WordOrder(), "to boil eggs, you need a pan", "you need a pan to boil eggs"),
        (WordOrder(), "why is the sea salty", "why is sea salty"),
        (WordOrder(), "a dog chases cats", "what makes horses jump over fences"),
        (WordOrder(), "", ""),
    ],
)
def test_the_same_question_passes(rule: Rule, one: str, other: str) -> None:
    assert not rule.refuses(read(one), read(other))
