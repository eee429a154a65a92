from __future__ import annotations

import pytest

from cache.verifier.base import Rule
from cache.verifier.reader import read
from cache.verifier.rules.reference import Contrasts, Literals, Names, Places, Remarks


@pytest.mark.parametrize(
    ("rule", "one", "other"),
    [
        (Contrasts(), "the capital of peru", "the capital of chile"),
        (Contrasts(), "learn the piano", "learn the violin"),
        (Contrasts(), "sort a list in python", "sort a list in ruby"),
        (Names(), "a poem about Ada Lovelace", "a poem about Alan Turing"),
        (Places(), "who is the mayor of springfield", "who is the mayor of shelbyville"),
        (Remarks(), "He is calm.", "He is gloomy."),
        (Literals(), "remove `a.log`", "remove `b.log`"),
        (Literals(), "list files under /var/log", "list files under /etc"),
        (Literals(), "run it with --dry-run", "run it with --force"),
        (Literals(), "list *.csv files", "list files"),
    ],
)
def test_another_thing_is_refused(rule: Rule, one: str, other: str) -> None:
    assert rule.refuses(read(one), read(other))
    assert rule.refuses(read(other), read(one))


@pytest.mark.parametrize(
    ("rule", "one", "other"),
    [
        (Contrasts(), "the economy of India", "the Indian economy"),
        (Contrasts(), "red or blue", "blue or red"),
        (Contrasts(), "learn the piano", "learn to play"),
        (Names(), "a poem about Ada", "a poem about ada"),
        (Names(), "a poem about Ada", "a poem"),
        (Places(), "the mayor of springfield", "springfield and its mayor"),
        (Remarks(), "Is he calm?", "Is he gloomy?"),
        (Remarks(), "The method returns the schema of a table and its columns.", "It gives the layout and the fields."),
        (Literals(), 'a file named "notes"', "a file named notes"),
        (Literals(), "list files under /var/log/", "list files under '/var/log'"),
        (Literals(), "plain words", "other words"),
    ],
)
def test_the_same_thing_passes(rule: Rule, one: str, other: str) -> None:
    assert not rule.refuses(read(one), read(other))


def test_places_are_not_compared_between_texts_phrased_too_differently() -> None:
    one = read("prices of apples, pears, plums and grapes at the market")
    other = read("cost for keeping horses, cows, sheep and goats in stables")

    assert not Places().refuses(one, other)
