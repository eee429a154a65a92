from __future__ import annotations

import pytest

from cache.verifier.base import Rule
from cache.verifier.reader import read
from cache.verifier.rules.polarity import Antonyms, Negation


@pytest.mark.parametrize(
    ("rule", "one", "other"),
    [
        (Negation(), "foods that contain gluten", "foods that do not contain gluten"),
        (Negation(), "I can swim", "I can't swim"),
        (Negation(), "tea with milk and no sugar", "tea with milk and sugar"),
        (Antonyms(), "enable dark mode", "disable dark mode"),
        (Antonyms(), "turn the lamp on", "turn the lamp off"),
        (Antonyms(), "uploading a photo", "download a photo"),
        (Antonyms(), "set the option", "unset the option"),
        (Antonyms(), "a happy ending", "an unhappy ending"),
        (Antonyms(), "a careful driver", "a careless driver"),
        (Antonyms(), "a certain answer", "an uncertain answer"),
        (Antonyms(), "the oldest bridge", "the youngest bridge"),
    ],
)
def test_a_turned_meaning_is_refused(rule: Rule, one: str, other: str) -> None:
    assert rule.refuses(read(one), read(other))
    assert rule.refuses(read(other), read(one))


@pytest.mark.parametrize(
    ("rule", "one", "other"),
    [
        (Negation(), "it is not true", "it isn't true"),
        (Negation(), "is it true or not?", "is it true?"),
        (Antonyms(), "enable dark mode", "enabling the dark mode"),
        (Antonyms(), "pros and cons of tea", "cons and pros of tea"),
        (Antonyms(), "open the gate", "open that gate"),
        (Antonyms(), "the understanding of art", "the art of standing"),
    ],
)
def test_an_unturned_meaning_passes(rule: Rule, one: str, other: str) -> None:
    assert not rule.refuses(read(one), read(other))
