from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.health.allowance import Allowance


def taken(allowance: Allowance, tries: int) -> int:
    return sum(allowance.take() for _ in range(tries))


def test_it_starts_full() -> None:
    assert taken(Allowance(0.1, 3), 10) == 3


def test_requests_earn_their_share_exactly() -> None:
    allowance = Allowance(0.1, 10)
    taken(allowance, 10)

    for _ in range(50):
        allowance.earn()

    assert taken(allowance, 10) == 5


def test_what_is_not_taken_is_kept_up_to_the_burst() -> None:
    allowance = Allowance(0.1, 3)

    for _ in range(1000):
        allowance.earn()

    assert taken(allowance, 10) == 3


@pytest.mark.parametrize(("share", "burst"), [(0.0, 0), (0.0, 2), (1.0, 0)])
def test_nothing_more_is_taken_than_there_is(share: float, burst: int) -> None:
    allowance = Allowance(share, burst)
    for _ in range(10):
        allowance.earn()

    assert taken(allowance, 10) == burst


def test_it_counts_what_it_did() -> None:
    allowance = Allowance(0.1, 1)
    allowance.earn()

    taken(allowance, 3)

    assert (allowance.earned, allowance.taken, allowance.denied) == (1, 1, 2)


@given(st.floats(0.0, 2.0), st.integers(0, 20), st.lists(st.booleans(), max_size=400))
def test_no_more_is_taken_than_its_share_of_any_stretch_of_traffic(share: float, burst: int, steps: list[bool]) -> None:
    allowance = Allowance(share, burst)
    least = Fraction(0)  # of taken - share x earned, over all moments so far
    for is_request in steps:
        if is_request:
            allowance.earn()
        else:
            allowance.take()
        balance = allowance.taken - Fraction(share) * allowance.earned
        least = min(least, balance)

        assert balance - least <= burst
