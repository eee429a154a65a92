from __future__ import annotations

from cache.semantic.barred import Barred, pair_of
from cache.verifier.reader import read

EGG, KING = read("How do I boil an egg?"), read("Who was king of Spain?")


def test_a_pair_is_the_same_in_either_order() -> None:
    assert pair_of(b"a", EGG, KING) == pair_of(b"a", KING, EGG)


def test_spacing_and_case_do_not_count() -> None:
    assert pair_of(b"a", read("how do I  boil an EGG?"), KING) == pair_of(b"a", EGG, KING)


def test_another_question_or_scope_is_another_pair() -> None:
    pairs = {
        pair_of(b"a", EGG, KING),
        pair_of(b"b", EGG, KING),
        pair_of(b"a", EGG, read("Who was king of France?")),
        pair_of(b"a", EGG, EGG),
    }

    assert len(pairs) == 4


def test_the_oldest_pairs_are_forgotten_beyond_the_bound() -> None:
    barred = Barred(2)
    for pair in (b"1", b"2", b"1", b"3"):
        barred.add(pair)

    assert [pair in barred for pair in (b"1", b"2", b"3")] == [True, False, True]
    assert len(barred) == 2
