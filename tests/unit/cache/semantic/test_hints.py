from __future__ import annotations

from itertools import pairwise

import pytest

from cache.semantic.hints import COMMON, SCOPE_BYTES, Hints, clues_of
from cache.verifier.reader import read

EGG = "How do I boil an egg?"
KING = "Who was king of Spain?"


def hints_of(*texts: str) -> Hints:
    hints = Hints()
    for number, text in enumerate(texts):
        hints.add(number, clues_of(read(text)))
    return hints


def is_plausible(asked: str, hints: Hints) -> bool:
    return hints.is_plausible(clues_of(read(asked)))


@pytest.mark.parametrize(
    ("stored", "asked", "plausible"),
    [
        (EGG, "What is the best way of boiling eggs?", True),
        (EGG, KING, False),
        ("Is legalizing marijuana good?", "What would the legalization of marijuana bring?", True),
        (EGG, "Is it?", True),
        ("Is it?", KING, False),
        ("智利的首都是什么", "智利的首都是哪里", True),
    ],
)
def test_what_shares_rare_words_is_plausible(stored: str, asked: str, *, plausible: bool) -> None:
    assert is_plausible(asked, hints_of(stored)) is plausible


@pytest.mark.parametrize(
    "asked",
    [
        "Who won the cup of 2019 in Spain?",
        "Who won the cup in Spain?",
        "Who won the second cup of 2018 in Spain?",
        "Who won the cup of May 2018 in Spain?",
        "Who has not won the cup of 2018 in Spain?",
    ],
)
def test_an_entry_of_other_numbers_dates_or_denials_is_none(asked: str) -> None:
    hints = hints_of("Who won the cup of 2018 in Spain?")

    assert is_plausible("Who was it that won the 2018 cup in Spain?", hints)
    assert not is_plausible(asked, hints)


def test_the_words_must_be_those_of_one_entry() -> None:
    apart = hints_of("Do penguins swim?", "Where is a glacier?", "Who sells boots?", "What is a kettle?")
    asked = "Do penguins on a glacier wear boots and own a kettle?"

    assert not is_plausible(asked, apart)
    assert is_plausible(asked, hints_of("Do penguins on a glacier swim?", "Who sells boots?", "What is a kettle?"))


def test_a_common_word_alone_is_not_enough_where_rarer_ones_are_asked_about() -> None:
    texts = [f"Where do I download word{chr(97 + at % 26)}{chr(97 + at // 26)}?" for at in range(COMMON + 10)]
    hints = hints_of(*texts)

    assert not is_plausible("Can I download a penguin?", hints)
    assert is_plausible("Is it a download?", hints)


def test_without_entries_nothing_is_plausible() -> None:
    assert not is_plausible(KING, Hints())
    assert not is_plausible("Is it?", Hints())


def test_a_removed_entry_is_forgotten_and_the_others_are_not() -> None:
    hints = hints_of(EGG, "Who boils an egg?", KING)

    hints.remove(0, clues_of(read(EGG)))
    hints.remove(2, clues_of(read(KING)))

    assert is_plausible(EGG, hints)
    assert not is_plausible(KING, hints)


@pytest.mark.parametrize("count", [1, 2, 3, COMMON, COMMON + 1, COMMON + 40])
def test_size_grows_with_entries_and_goes_back_with_them(count: int) -> None:
    hints, clues, sizes = Hints(), clues_of(read(EGG)), [SCOPE_BYTES]
    for number in range(count):
        hints.add(number, clues)
        sizes.append(hints.size)
    for number in range(count):
        hints.remove(number, clues)

    assert all(later > before for before, later in pairwise(sizes[: COMMON + 1]))
    assert hints.size == SCOPE_BYTES


def test_a_common_word_takes_as_much_however_many_have_it() -> None:
    hints, clues = Hints(), clues_of(read(EGG))
    for number in range(COMMON + 1):
        hints.add(number, clues)
    size = hints.size

    for number in range(COMMON + 1, COMMON * 9):
        hints.add(number, clues)

    assert hints.size == size < SCOPE_BYTES + 1000


def test_clearing_goes_on_until_nothing_is_left() -> None:
    hints = hints_of(*[EGG] * (COMMON + 1), *[KING] * 3, "Do penguins on a glacier swim?")

    assert not hints.clear(1)
    assert hints.clear(100)
    assert hints.clear(1)
