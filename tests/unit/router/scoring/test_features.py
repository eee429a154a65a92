from __future__ import annotations

import pytest

from router.scoring.features import Features, measure
from router.scoring.reading import read

QUESTION = "Which is a gas?\nA. Iron\nB. Neon\nC. Iron\nD. Neon and iron\nAnswer:"


def features(text: str) -> Features:
    return measure(read(text, len(text)))


def test_lettered_lines_are_options() -> None:
    found = features(QUESTION)

    assert found.options == 4
    assert found.stem < 20


@pytest.mark.parametrize("text", ["a.lock\nb.lock\nc.lock", "A. Smith wrote it. B. Jones too.", "one\ntwo\nthree"])
def test_other_lines_are_no_options(text: str) -> None:
    assert features(text).options == 0


def test_words_that_options_repeat_are_told() -> None:
    assert features(QUESTION).repeats > features("Which?\nA. Iron\nB. Neon\nC. Argon\nD. Zinc").repeats


def test_prices_are_no_notation() -> None:
    assert features("Bags cost $4 each and she sells them for $8.").notation == 0


def test_formulas_are_notation() -> None:
    assert features(r"Find $x$ where $\frac{a}{b} = x^2$.").notation > 2


def test_numbers_are_counted() -> None:
    assert features("8 packs of 12 bags for 4 dollars").numbers == 3


def test_bytes_outside_ascii_are_counted() -> None:
    assert features("naïve").foreign == 2


def test_a_text_without_words_has_none() -> None:
    found = features("?!")

    assert (found.word_count, found.numbers, found.options) == (0, 0, 0)


def test_a_text_that_begins_with_options_has_no_stem() -> None:
    assert features("\nA. one\nB. two").stem == 0
