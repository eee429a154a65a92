from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.verifier.reader import MOST_CHARACTERS, read


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("buy 3 of them", ("3",)),
        ("buy three of them", ("3",)),
        ("12,500 people", ("12500",)),
        ("a 20k run", ("20000",)),
        ("twenty two sheep", ("22",)),
        ("two hundred sheep", ("200",)),
        ("3.50 and 3.5", ("3.5", "3.5")),
        ("007", ("7",)),
        ("half of it", ("0.5",)),
        ("Rocky III", ("3",)),
        ("one of them", ()),
        ("on 2019-05-07", ("2019", "7")),
    ],
)
def test_numbers_are_read_alike_however_they_are_written(text: str, numbers: tuple[str, ...]) -> None:
    assert read(text).numbers == numbers


@pytest.mark.parametrize(
    ("text", "ordinals"),
    [("the 2nd try", ("2",)), ("the second try", ("2",)), ("first and third", ("1", "3")), ("the last try", ())],
)
def test_ordinals_are_read_apart_from_numbers(text: str, ordinals: tuple[str, ...]) -> None:
    reading = read(text)

    assert reading.ordinals == ordinals
    assert reading.numbers == ()


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("on 4 March 2020", ("m3",)),
        ("the band should march on", ()),
        ("you may go", ()),
        ("since May 2020", ("m5",)),
        ("in 2020-03-04", ("m3",)),
        ("on Mondays", ("d1",)),
        ("what about tomorrow", ("tomorrow",)),
    ],
)
def test_dates_are_read_and_other_words_are_not_mistaken_for_them(text: str, dates: tuple[str, ...]) -> None:
    assert read(text).dates == dates


def test_a_number_and_its_unit_belong_together() -> None:
    reading = read("run 5 km at 12km/h for $30 and 20%")

    assert reading.measures >= {"5 km", "12 km", "20 percent"}
    assert "dollar" in reading.units


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("Who won?", "who"),
        ("What year did they win?", "when"),
        ("In which place is it?", "where"),
        ("What is it?", "what"),
        ("How many are there?", "how much"),
        ("How old is it?", "how old"),
        ("How does it work?", "how"),
        ("Is it new?", "whether"),
        ("it is new?", "whether"),
        ("It is new.", "state"),
        ("Delete all rows", "do"),
        ("Please recursively delete all rows", "do"),
        ("", "state"),
    ],
)
def test_what_is_asked_for_is_read(text: str, asks: str) -> None:
    assert read(text).asks == asks


@pytest.mark.parametrize(
    ("text", "negations"),
    [
        ("It is not new", 1),
        ("It isn't new", 1),
        ("It is not unknown that nobody came", 2),
        ("No, it is new", 0),
        ("Is it new or not?", 0),
        ("It is new, isn't it?", 0),
        ("No salt", 1),
        ("guilty or not guilty", 1),
    ],
)
def test_denials_are_counted_and_particles_are_not(text: str, negations: int) -> None:
    assert read(text).negations == negations


def test_names_are_capitals_inside_a_sentence() -> None:
    reading = read("Can Marie fly from Lima? Then we wait.")

    assert reading.names == {"mari", "lima"}


def test_a_nationality_is_the_place() -> None:
    assert read("the indian economy").members == read("the economy of India").members


def test_words_after_a_preposition_are_places() -> None:
    assert read("the mayor of springfield in may").places >= {"springfield"}


def test_light_words_are_content_but_not_salient() -> None:
    reading = read("a popular volcano")

    assert reading.content >= {"volcano"}
    assert reading.salient == {"volcano"}


def test_synonyms_have_one_sense() -> None:
    assert read("a large folder").content == read("a big directory").content


def test_digits_glued_to_a_word_are_its_name() -> None:
    reading = read("convert mp3 files")

    assert "mp3" in reading.content
    assert reading.numbers == ()


def test_words_of_other_scripts_are_content() -> None:
    assert "погода" in read("погода в городе").content


def test_a_text_is_read_up_to_a_bound() -> None:
    assert read("a" * MOST_CHARACTERS + " 7").numbers == ()


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    reading = read(text)

    assert reading.content == set(reading.order)
    assert reading.salient <= reading.content
    assert reading == read(text)


@given(st.text(alphabet="aA1 2.,'\"`/-?%$thk", max_size=120))
def test_texts_full_of_signs_can_be_read(text: str) -> None:
    assert read(text) == read(text)
