from __future__ import annotations

import numpy as np
import pytest

from router.training.corpus import Corpus
from router.training.measures import POOLED, apgr, table, tier_quality


def corpus() -> Corpus:
    rng = np.random.default_rng(4)
    weak, strong = (rng.random(300) < 0.4).astype(float), (rng.random(300) < 0.8).astype(float)
    names = np.array(["mmlu"] * 200 + ["gsm8k"] * 100)
    return Corpus(
        prompts=[""] * 300,
        datasets=names,
        families=np.zeros(300, np.int64),
        groups=np.arange(300),
        weak=weak,
        mid=np.where(names == "mmlu", (weak + strong) / 2, np.nan),
        strong=strong,
    )


def test_the_gain_itself_is_the_best_order_and_its_opposite_the_worst() -> None:
    gain = corpus().gain

    assert apgr(gain, gain) > 0.8
    assert apgr(gain, gain) + apgr(-gain, gain) == pytest.approx(1)


def test_a_constant_is_no_better_than_chance() -> None:
    assert apgr(np.zeros(300), corpus().gain) == pytest.approx(0.5)


def test_only_the_order_counts() -> None:
    gain, score = corpus().gain, np.random.default_rng(1).random(300)

    assert apgr(np.exp(9 * score), gain) == pytest.approx(apgr(score, gain))


def test_a_worked_example() -> None:
    # Gain 1 first, then 0: all of the gap is recovered after half of the calls.
    assert apgr(np.array([2.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(0.75)


def test_every_dataset_and_the_pool_are_in_the_table() -> None:
    found = table(corpus(), corpus().gain, 20)

    assert list(found) == ["mmlu", "gsm8k", POOLED]
    assert all(low <= area <= high for area, low, high in found.values())


def test_datasets_count_the_same_in_the_pool() -> None:
    score = np.where(corpus().datasets == "gsm8k", 1.0, 0.0)
    doubled = corpus()
    twice = Corpus(
        prompts=doubled.prompts * 1 + [""] * 200,
        datasets=np.append(doubled.datasets, doubled.datasets[:200]),
        families=np.zeros(500, np.int64),
        groups=np.arange(500),
        weak=np.append(doubled.weak, doubled.weak[:200]),
        mid=np.append(doubled.mid, doubled.mid[:200]),
        strong=np.append(doubled.strong, doubled.strong[:200]),
    )

    once = table(doubled, score, 0)[POOLED][0]

    assert table(twice, np.append(score, score[:200]), 0)[POOLED][0] == pytest.approx(once)


def test_tiers_by_gain_are_better_than_the_same_mix_at_random() -> None:
    ours, random = tier_quality(corpus(), corpus().gain, "mmlu", (0.5, 0.3, 0.2))

    assert ours > random + 0.05
