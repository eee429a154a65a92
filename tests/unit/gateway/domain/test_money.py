from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.money import ceil_div, format_usd


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, b"0.000000"), (75, b"0.000075"), (1_000_000, b"1.000000"), (12_345_678, b"12.345678")],
)
def test_money_is_written_in_dollars(amount: int, shown: bytes) -> None:
    assert format_usd(amount) == shown


@given(st.integers(min_value=0, max_value=10**20))
def test_no_micro_dollar_is_lost_in_writing(amount: int) -> None:
    assert Decimal(format_usd(amount).decode()) * 1_000_000 == amount


@given(st.integers(min_value=0), st.integers(min_value=1))
def test_division_rounds_up_and_never_by_a_whole(numerator: int, denominator: int) -> None:
    quotient = ceil_div(numerator, denominator)

    assert 0 <= quotient * denominator - numerator < denominator
