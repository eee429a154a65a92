from __future__ import annotations

import pytest

from policies.sanitise.randomness import digit_changes, entropy, has_drawn_letters, is_drawn, is_dummy


def test_entropy_is_that_of_the_characters() -> None:
    assert (entropy("aaaa"), entropy("abab"), entropy("abcd"), entropy("")) == (0.0, 1.0, 2.0, 0.0)


@pytest.mark.parametrize("value", ["x7k2m9q4w8", "qzxkvjwpbnmtrgf", "9f86d081884c7d65"])
def test_what_a_machine_drew_looks_drawn(value: str) -> None:
    assert is_drawn(value)


@pytest.mark.parametrize(
    "value", ["internationalization", "gpt-4o-2024-05-13", "user_api_key_auth", "Donaudampfschiff"]
)
def test_names_and_words_do_not_look_drawn(value: str) -> None:
    assert not is_drawn(value)


@pytest.mark.parametrize(
    "value",
    [
        "YOUR_API_KEY_HERE",
        "sk-xxxxxxxxxxxx",
        "<token>",
        "${TOKEN}",
        "abcdefghijklmnop",
        "a1b2c3d4e5f6g7h8",
        "0000000000",
        "AKIAIOSFODNN7EXAMPLE",
        "q7RABCDEFGHIJKLMzT94",
        "q7RmlkjihgfedcbzT94x",
        "d4c3b2a1-f6e5-h8g7-j1i8",
    ],
)
def test_what_stands_for_a_secret_is_a_dummy(value: str) -> None:
    assert is_dummy(value)


@pytest.mark.parametrize("value", ["x7k2m9q4w8v3n6", "Tr0ub4dor", "c8a1f0e7d2b9"])
def test_a_drawn_value_is_no_dummy(value: str) -> None:
    assert not is_dummy(value)


def test_few_letters_are_not_judged() -> None:
    assert not has_drawn_letters("xq", 4)


def test_digit_changes_counts_both_ways() -> None:
    assert digit_changes("a1b-22c") == 3
