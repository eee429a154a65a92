from __future__ import annotations

import statistics

from gateway.experiments.chance import chance


def test_the_same_name_has_the_same_chance_in_every_process() -> None:
    assert chance("shadow", "req-1") == 0.6226438261410833


def test_chances_are_uniform() -> None:
    drawn = sorted(chance("p", str(number)) for number in range(10_000))

    furthest = max(abs(value - index / 10_000) for index, value in enumerate(drawn))

    assert furthest < 0.0163  # Kolmogorov-Smirnov, 1 %: 1.63 / sqrt(n)


def test_purposes_are_independent() -> None:
    names = [str(number) for number in range(5_000)]

    correlation = statistics.correlation([chance("a", n) for n in names], [chance("b", n) for n in names])

    assert abs(correlation) < 0.05


def test_a_purpose_does_not_run_into_a_name() -> None:
    assert chance("ab", "c") != chance("a", "bc")


def test_half_a_surrogate_pair_is_a_name_too() -> None:
    assert 0 < chance("p", "\ud83d") < 1
