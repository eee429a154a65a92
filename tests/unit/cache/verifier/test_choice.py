from __future__ import annotations

import pytest

from cache.verifier.choice import CROWDING, LOOKED_AT, ROOM, Choice, Neighbour, choose
from cache.verifier.doubts import Addition
from cache.verifier.reader import read
from cache.verifier.verifier import Verifier

QUERY = read("What is a volcano?")


def near(entry: int, similarity: float, text: str = "What is the volcano?", answer: object = None) -> Neighbour:
    return Neighbour(entry, similarity, read(text), entry if answer is None else answer)


def chosen(*neighbours: Neighbour, threshold: float = 0.8) -> Choice:
    return choose(QUERY, neighbours, threshold, Verifier())


def test_an_entry_alike_enough_answers() -> None:
    choice = chosen(near(7, 0.9))

    assert choice == Choice(7, 0.9, 0.8, "")


def test_an_empty_store_answers_nothing() -> None:
    assert chosen() == Choice(None, -1.0, 1.0, "empty")


def test_an_entry_below_the_threshold_is_far() -> None:
    assert chosen(near(7, 0.79)) == Choice(None, 0.79, 0.8, "far")


def test_a_refusal_names_its_rule() -> None:
    assert chosen(near(7, 0.95, "What is not a volcano?")).reason == "negation"


def test_a_farther_entry_may_pass_when_the_nearest_is_refused() -> None:
    choice = chosen(near(1, 0.95, "What is not a volcano?"), near(2, 0.94))

    assert choice.entry == 2


def test_a_doubt_asks_for_more() -> None:
    text = "What is an underwater volcano?"

    assert chosen(near(1, 0.8 + Addition.asks_more - 0.001, text)).entry is None
    assert chosen(near(1, 0.8 + Addition.asks_more + 0.001, text)).entry == 1


def test_a_near_entry_of_another_answer_asks_for_more() -> None:
    choice = chosen(near(1, 0.9), near(2, 0.88))

    assert choice.entry == 1
    assert choice.required == pytest.approx(0.8 + CROWDING * (ROOM - 0.02))
    assert chosen(near(1, 0.83), near(2, 0.829)).entry is None


def test_entries_of_one_answer_do_not_crowd_each_other() -> None:
    assert chosen(near(1, 0.83, answer="x"), near(2, 0.829, answer="x")).entry == 1


def test_only_the_nearest_entries_are_judged() -> None:
    refused = [near(at, 0.95, "What is not a volcano?") for at in range(LOOKED_AT)]

    assert chosen(*refused, near(9, 0.95)).entry is None


def test_of_several_the_one_that_exceeds_what_is_asked_by_most_is_taken() -> None:
    choice = chosen(near(1, 0.93, "What is an underwater volcano?", "x"), near(2, 0.92, answer="x"))

    assert choice.entry == 2
