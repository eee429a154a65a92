"""How well scores order questions: the area under the share of the gap recovered, and the quality of three tiers.

APGR as in RouteLLM (arXiv 2406.18665): questions sorted by score, the top share answered by the strong model; the share
of the gap between the models that is recovered, averaged over all shares. Random is 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from router.training.corpus import Corpus

POOLED = "POOLED"
_Floats = NDArray[np.float64]


def apgr(score: _Floats, gain: _Floats, weight: _Floats | None = None) -> float:
    """Return the area; ties count as the mean over their orders."""
    weights = np.ones(len(score)) if weight is None else weight
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    share = np.concatenate(([0.0], np.cumsum(np.add.reduceat(weights[order], starts)) / weights.sum()))
    won = np.add.reduceat((weights * gain)[order], starts)
    recovered = np.concatenate(([0.0], np.cumsum(won) / won.sum()))
    return float(np.sum(np.diff(share) * (recovered[1:] + recovered[:-1]) / 2.0))


def table(corpus: Corpus, score: _Floats, rounds: int, seed: int = 0) -> dict[str, tuple[float, float, float]]:
    """Return for every dataset, and all of them with equal weight, the area and its 95 % bootstrap interval."""
    names = list(dict.fromkeys(corpus.datasets.tolist()))
    parts = {name: np.flatnonzero(corpus.datasets == name) for name in names}
    rng = np.random.default_rng(seed)
    found = {}
    for name in (*names, POOLED):
        mine = [parts[name]] if name in parts else list(parts.values())
        areas = [_area_of(corpus, score, [rng.choice(part, len(part)) for part in mine]) for _ in range(rounds)]
        low, high = np.percentile(areas, [2.5, 97.5]) if areas else (np.nan, np.nan)
        found[name] = (_area_of(corpus, score, mine), float(low), float(high))
    return found


def tier_quality(corpus: Corpus, score: _Floats, dataset: str, mix: Sequence[float]) -> tuple[float, float]:
    """Return the quality of three tiers with a mix by score, and that of the same mix at random."""
    mine = (corpus.datasets == dataset) & ~np.isnan(corpus.mid)
    quality = np.stack((corpus.weak[mine], corpus.mid[mine], corpus.strong[mine]), axis=1)
    rank = np.argsort(np.argsort(score[mine], kind="stable"), kind="stable") / mine.sum()
    tier = np.digitize(rank, np.cumsum(mix)[:2])
    share = np.bincount(tier, minlength=3) / len(tier)
    return float(quality[np.arange(len(tier)), tier].mean()), float(quality.mean(axis=0) @ share)


def _area_of(corpus: Corpus, score: _Floats, parts: Sequence[NDArray[np.int64]]) -> float:
    weight = np.concatenate([np.full(len(part), 1.0 / len(part)) for part in parts])
    rows = np.concatenate(parts)
    return apgr(score[rows], corpus.gain[rows], weight)
