from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.verifier.catalogue import DOUBTS, RULES
from cache.verifier.doubts import Addition, Instruction
from cache.verifier.reader import read
from cache.verifier.reading import Reading
from cache.verifier.verifier import Verifier

WORDS = st.lists(
    st.sampled_from("who when not no 3 three first on off Paris peru `x` /etc best worst the dog cat is how".split()),  # noqa: SIM905
    max_size=8,
).map(" ".join)


class Refusing:
    name = "refusing"

    def refuses(self, a: Reading, b: Reading) -> bool:
        return True


class Passing:
    name = "passing"

    def refuses(self, a: Reading, b: Reading) -> bool:
        return False


def test_the_first_rule_that_refuses_is_the_reason_and_is_counted() -> None:
    verifier = Verifier([Passing(), Refusing()], [])

    assert verifier.judge(read("a"), read("b")) == "refusing"
    assert verifier.refusals == {"passing": 0, "refusing": 1}
    assert verifier.judged == 1


def test_nothing_refuses_without_a_reason() -> None:
    verifier = Verifier([Passing()], [])

    assert verifier.judge(read("a"), read("b")) is None
    assert verifier.refusals == {"passing": 0}


def test_doubts_add_up() -> None:
    verifier = Verifier()

    assert verifier.asks_more(read("delete rows"), read("delete underwater rows")) == pytest.approx(
        Instruction.asks_more + Addition.asks_more
    )
    assert verifier.asks_more(read("what is a volcano"), read("what is the volcano")) == 0


def test_an_addition_is_one_word_on_one_side() -> None:
    assert Addition().holds(read("underwater volcano"), read("volcano"))
    assert not Addition().holds(read("underwater volcano"), read("frozen volcano"))
    assert not Addition().holds(read("volcano"), read("volcano"))


def test_names_of_rules_and_doubts_are_all_different() -> None:
    names = [rule.name for rule in RULES] + [doubt.name for doubt in DOUBTS]

    assert len(set(names)) == len(names)


@given(WORDS, WORDS)
def test_judgements_are_symmetric(one: str, other: str) -> None:
    a, b = read(one), read(other)

    for rule in RULES:
        assert rule.refuses(a, b) == rule.refuses(b, a), rule.name
    for doubt in DOUBTS:
        assert doubt.holds(a, b) == doubt.holds(b, a), doubt.name


@given(st.one_of(WORDS, st.text(max_size=100)))
def test_no_rule_refuses_a_text_itself(text: str) -> None:
    reading = read(text)

    assert Verifier().judge(reading, reading) is None
