from __future__ import annotations

import numpy as np
import pytest

from router.scoring.cuts import Mix, Quality, Thresholds, cuts_for_mix, cuts_for_quality
from router.scoring.sample import Scores


def rows(scores: list[float], simple: float = 0.4, medium: float = 0.2) -> Scores:
    return np.array([(score, simple, medium) for score in scores])


def shares(scores: list[float], thresholds: Thresholds) -> tuple[float, float]:
    simple = sum(score < thresholds.simple_below for score in scores) / len(scores)
    below = sum(score < thresholds.medium_below for score in scores) / len(scores)
    return simple, below - simple


@pytest.mark.parametrize("mix", [Mix(0.5, 0.3), Mix(0.2, 0.2), Mix(0.9, 0.05), Mix(1, 0), Mix(0, 1), Mix(0, 0)])
def test_a_mix_is_reached(mix: Mix) -> None:
    scores = np.random.default_rng(1).random(500).tolist()

    found = shares(scores, cuts_for_mix(rows(scores), np.ones(500), mix))

    assert found == pytest.approx((mix.simple, mix.medium), abs=0.01)


def test_a_mix_is_reached_with_ties() -> None:
    scores = np.round(np.random.default_rng(2).normal(0.5, 0.2, 500), 2).tolist()

    found = shares(scores, cuts_for_mix(rows(scores), np.ones(500), Mix(0.5, 0.3)))

    assert found == pytest.approx((0.5, 0.3), abs=0.05)


def test_a_block_of_ties_goes_where_it_misses_the_mix_least() -> None:
    scores = [0.1] * 40 + [0.2] * 30 + [0.3] * 30

    assert shares(scores, cuts_for_mix(rows(scores), np.ones(100), Mix(0.45, 0.3))) == pytest.approx((0.4, 0.3))


def test_equal_scores_share_a_tier() -> None:
    thresholds = cuts_for_mix(rows([0.5] * 10), np.ones(10), Mix(0.5, 0.3))

    assert shares([0.5] * 10, thresholds) in [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)]


def test_weights_count() -> None:
    scores = [0.1, 0.2, 0.3, 0.4]

    thresholds = cuts_for_mix(rows(scores), np.array([3.0, 1.0, 1.0, 1.0]), Mix(0.5, 0.5))

    assert 0.1 < thresholds.simple_below < 0.2


def chances(count: int) -> Scores:
    score = (np.arange(count) + 0.5) / count
    return np.stack((score, score, score / 2), axis=1)


@pytest.mark.parametrize("quality", [0.6, 0.8, 0.9, 0.99])
def test_a_quality_is_reached(quality: float) -> None:
    table = chances(1000)

    thresholds = cuts_for_quality(table, np.ones(1000), quality)

    simple = table[:, 0] < thresholds.simple_below
    medium = ~simple & (table[:, 0] < thresholds.medium_below)
    suffices = 1 - (table[simple, 1].sum() + table[medium, 2].sum()) / 1000
    assert suffices >= quality - 0.01


def test_less_quality_sends_more_to_cheap_tiers() -> None:
    high, low = (cuts_for_quality(chances(1000), np.ones(1000), quality) for quality in (0.95, 0.7))

    assert low.simple_below > high.simple_below
    assert low.medium_below >= high.medium_below


def test_the_best_quality_sends_all_to_the_complex_tier() -> None:
    thresholds = cuts_for_quality(chances(100), np.ones(100), 1.0)

    assert shares(chances(100)[:, 0].tolist(), thresholds) == (0.0, 0.0)


def test_no_quality_sends_all_to_the_simple_tier() -> None:
    assert shares(chances(100)[:, 0].tolist(), cuts_for_quality(chances(100), np.ones(100), 0.0)) == (1.0, 0.0)


@pytest.mark.parametrize(("simple", "medium"), [(-0.1, 0.5), (0.5, -0.1), (0.7, 0.4)])
def test_an_impossible_mix_is_refused(simple: float, medium: float) -> None:
    with pytest.raises(ValueError, match="shares"):
        Mix(simple, medium)


@pytest.mark.parametrize("quality", [-0.1, 1.1])
def test_an_impossible_quality_is_refused(quality: float) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        Quality(quality)
