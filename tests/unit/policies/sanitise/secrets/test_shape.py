from __future__ import annotations

import re

import pytest

from policies.sanitise.secrets.shape import read_shape


@pytest.mark.parametrize(
    ("notation", "text", "expected"),
    [
        ("ab_{d:3}", "x ab_123 y", "ab_123"),
        ("ab_{d:3-}", "ab_12345", "ab_12345"),
        ("(a|b)-{x:2}", "b-ff", "b-ff"),
        ("a.{z:2}", "a.bc", "a.bc"),
        ("\\$1\\${d:2}", "$1$22", "$1$22"),
        ("{uuid}!", "3f2b8c1e-77aa-4c1d-9e2f-0a1b2c3d4e5f!", "3f2b8c1e-77aa-4c1d-9e2f-0a1b2c3d4e5f!"),
    ],
)
def test_the_full_expression_matches_what_the_notation_says(notation: str, text: str, expected: str) -> None:
    match = re.search(read_shape(notation).full, text)

    assert match is not None
    assert match.group() == expected


@pytest.mark.parametrize(("notation", "text"), [("ab_{d:3}", "ab_1234"), ("ab_{d:3}", "xab_123"), ("a.{z:2}", "axbc")])
def test_a_token_must_stand_apart_and_have_its_length(notation: str, text: str) -> None:
    assert re.search(read_shape(notation).full, text) is None


def test_an_anchor_is_satisfied_by_the_least_and_never_longer_than_it_says() -> None:
    shape = read_shape("k-{d:2-4}.{a:3-}")
    match = re.search(shape.anchor, " k-1234.abcdef")

    assert match is not None
    assert match.group() == " k-1234.abc"
    assert len(match.group()) <= shape.anchor_length


def test_a_class_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        read_shape("{Z:3}")
