from __future__ import annotations

import pytest

from gateway.guarding.verdicts import Verdicts
from policies.sanitise.finding import Finding

FOUND = (Finding("personal", "email", 0, 5, 0.9),)


def test_what_was_found_in_a_text_is_remembered() -> None:
    verdicts = Verdicts()
    key = verdicts.key_of("text", b"policy user")
    assert verdicts.get(key) is None

    verdicts.put(key, FOUND)

    assert verdicts.get(verdicts.key_of("text", b"policy user")) == FOUND
    assert (verdicts.hits, verdicts.misses) == (1, 1)


def test_that_nothing_was_found_is_remembered_too() -> None:
    verdicts = Verdicts()

    verdicts.put(verdicts.key_of("text", b""), ())

    assert verdicts.get(verdicts.key_of("text", b"")) == ()


@pytest.mark.parametrize(
    "other",
    [("texs", b"policy", "sys"), ("text", b"other", "sys"), ("text", b"policy", ""), ("text", b"policysys", "")],
)
def test_another_text_or_circumstance_is_another_entry(other: tuple[str, bytes, str]) -> None:
    verdicts = Verdicts()

    assert verdicts.key_of(*other) != verdicts.key_of("text", b"policy", "sys")


def test_no_two_processes_remember_a_text_under_the_same_key() -> None:
    assert Verdicts().key_of("text", b"") != Verdicts().key_of("text", b"")


def test_half_a_surrogate_pair_has_a_key() -> None:
    assert Verdicts().key_of("\ud83d", b"", "\ud83d")


def test_what_was_used_least_recently_goes_first() -> None:
    verdicts = Verdicts(most_bytes=650)
    keys = [verdicts.key_of(text, b"") for text in "abcd"]
    for key in keys[:3]:
        verdicts.put(key, ())
    verdicts.get(keys[0])

    verdicts.put(keys[3], ())

    assert [verdicts.get(key) is not None for key in keys] == [True, False, True, True]


def test_findings_count_for_the_bound() -> None:
    verdicts = Verdicts(most_bytes=10_000)

    for index in range(100):
        verdicts.put(verdicts.key_of(str(index), b""), FOUND * 10)

    assert len(verdicts) < 10
