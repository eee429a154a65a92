from __future__ import annotations

import pytest

from router.health.latency import DECAY_S, FEWEST, FRESH, MEMORY, FirstBytes, PeakEwma


def first_bytes(*seconds: float) -> FirstBytes:
    seen = FirstBytes()
    for one in seconds:
        seen.add(one)
    return seen


def test_a_peak_counts_at_once() -> None:
    mean = PeakEwma()
    mean.observe(0.2, 0.0)

    mean.observe(5.0, 1.0)

    assert mean.read(1.0) == 5.0


def test_faster_answers_pull_slowly() -> None:
    mean = PeakEwma()
    mean.observe(5.0, 0.0)

    mean.observe(1.0, DECAY_S)

    assert mean.read(DECAY_S) == pytest.approx(1.0 + 4.0 * 0.36788, abs=1e-4)


def test_a_peak_fades_without_answers() -> None:
    mean = PeakEwma()
    mean.observe(5.0, 0.0)

    assert mean.read(DECAY_S) == pytest.approx(5.0 * 0.36788, abs=1e-4)
    assert mean.read(100 * DECAY_S) < 1e-9


def test_nothing_is_known_before_the_first_answer() -> None:
    assert PeakEwma().read(1.0) == 0.0


def test_two_answers_at_one_moment_count_as_the_slower() -> None:
    mean = PeakEwma()
    mean.observe(2.0, 1.0)

    mean.observe(1.0, 1.0)

    assert mean.read(1.0) == 2.0


def test_there_is_no_quantile_of_few_answers() -> None:
    assert first_bytes(*[1.0] * (FEWEST - 1)).quantile(0.95) is None
    assert first_bytes(*[1.0] * FEWEST).quantile(0.95) == 1.0


@pytest.mark.parametrize(("q", "seconds"), [(0.01, 1.0), (0.5, 50.0), (0.95, 95.0), (1.0, 100.0)])
def test_a_quantile_is_the_nearest_rank(q: float, seconds: float) -> None:
    seen = first_bytes(*[float(number) for number in range(100, 0, -1)])

    assert seen.quantile(q) == seconds


def test_only_the_last_answers_count() -> None:
    seen = first_bytes(*[9.0] * 1000, *[1.0] * MEMORY)

    assert seen.quantile(1.0) == 1.0


def test_quantiles_follow_after_some_answers() -> None:
    seen = first_bytes(*[1.0] * 100)
    before = seen.quantile(1.0)
    for _ in range(FRESH - 1):
        seen.add(9.0)
    cached = seen.quantile(1.0)
    seen.add(9.0)

    assert (before, cached, seen.quantile(1.0)) == (1.0, 1.0, 9.0)
