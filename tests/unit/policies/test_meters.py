from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.meters import MAX_PER_CALL, NOTHING, UNITS, Demand, Meter, Standing
from policies.windows import SlidingWindow

MINUTE = SlidingWindow(60)
amounts = st.integers(min_value=0, max_value=MAX_PER_CALL)
demands = st.builds(Demand, amounts, amounts, amounts, amounts)


def test_a_demand_has_a_part_for_every_unit() -> None:
    assert [Demand(1, 2, 3, 4).of(unit) for unit in UNITS] == [1, 2, 3, 4, 1]


@pytest.mark.parametrize("parts", [(-1, 0, 0, 0), (1, -1, 0, 0), (1, 0, -5, 0), (1, 0, 0, MAX_PER_CALL + 1)])
def test_a_demand_out_of_range_is_refused(parts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="0 to"):
        Demand(*parts)


def test_what_somebody_else_measured_is_moved_into_the_range() -> None:
    assert Demand.measured(-1, 10**400, 5, -(10**400)) == Demand(0, MAX_PER_CALL, 5, 0)


@given(demands, demands)
def test_what_is_beyond_a_hold_is_never_negative(actual: Demand, held: Demand) -> None:
    beyond = actual.beyond(held)

    for unit in UNITS[:4]:
        assert beyond.of(unit) == max(0, actual.of(unit) - held.of(unit))


def test_nothing_is_beyond_what_was_held_exactly() -> None:
    assert Demand(1, 2, 3, 4).beyond(Demand(1, 2, 3, 4)) is NOTHING


@pytest.mark.parametrize(("cap", "soft"), [(-1, None), (2**53, None), (5, -1)])
def test_a_cap_out_of_range_is_refused(cap: int, soft: int | None) -> None:
    with pytest.raises(ValueError, match="0 to"):
        Meter("k", "organisation", "requests", cap, MINUTE, soft)


def test_a_meter_needs_a_window() -> None:
    with pytest.raises(ValueError, match="window is needed"):
        Meter("k", "organisation", "requests", 5, None)


def test_concurrency_has_no_window() -> None:
    with pytest.raises(ValueError, match="not for concurrency"):
        Meter("k", "organisation", "concurrency", 5, MINUTE)


@pytest.mark.parametrize(("used", "remaining"), [(0, 10), (10, 0), (15, 0)])
def test_what_remains_is_never_negative(used: int, remaining: int) -> None:
    meter = Meter("k", "organisation", "requests", 10, MINUTE)

    assert Standing(meter, used, 10, None).remaining == remaining
