"""Where to cut a range of scores into three tiers."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from router.scoring.sample import Scores

_PRICES: Final = (1.0, 5.0, 25.0)
"""What a call of a tier costs beside the simple one's: the ratio that score.py of the routing data assumes."""

_STEPS: Final = 101


class Thresholds(msgspec.Struct, frozen=True, gc=False):
    """Scores below `simple_below` are simple, then those below `medium_below` medium, the rest complex."""

    simple_below: float
    medium_below: float


class Mix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of the tiers; what is left is complex."""

    simple: float = 0.5
    """0 to 1. Half of ordinary traffic asks for no more than a small model knows."""

    medium: float = 0.3
    """0 to 1; together with `simple` at most 1."""

    def __post_init__(self) -> None:
        if self.simple < 0 or self.medium < 0 or self.simple + self.medium > 1 + 1e-9:
            raise ValueError("the shares of the simple and the medium tier are at least 0 and at most 1 together")


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The expected share of requests whose tier suffices."""

    quality: float
    """0 to 1. The complex tier counts as sufficient: there is nothing better to send a request to."""

    def __post_init__(self) -> None:
        if not 0 <= self.quality <= 1:
            raise ValueError("the share of requests whose tier suffices is 0 to 1")


def cuts_for_mix(rows: Scores, weights: NDArray[np.float64], mix: Mix) -> Thresholds:
    """Return thresholds under which the shares of the tiers are nearest to a mix.

    Args:
        rows: what to cut, in any order, shape (n, 3).
        weights: how much each row counts, shape (n,).
        mix: the shares.
    """
    order = np.argsort(rows[:, 0], kind="stable")
    scores, share = rows[order, 0], np.cumsum(weights[order]) / weights.sum()
    simple = _cut(scores, share, mix.simple)
    return Thresholds(simple, max(simple, _cut(scores, share, mix.simple + mix.medium)))


def cuts_for_quality(rows: Scores, weights: NDArray[np.float64], quality: float) -> Thresholds:
    """Return the cheapest thresholds under which the expected share of sufficient answers is reached.

    Args:
        rows: as for `cuts_for_mix`.
        weights: how much each row counts.
        quality: the share, 0 to 1.
    """
    order = np.argsort(rows[:, 0], kind="stable")
    scores, weight = rows[order, 0], weights[order] / weights.sum()
    share = np.concatenate(([0.0], np.cumsum(weight)))
    lost = np.concatenate((np.zeros((1, 2)), np.cumsum(rows[order, 1:] * weight[:, None], axis=0)))
    ends = np.unique(np.append(np.searchsorted(share, np.linspace(0.0, 1.0, _STEPS), side="right") - 1, len(scores)))
    first, second = np.meshgrid(ends, ends, indexing="ij")
    failed = lost[first, 0] + np.maximum(0.0, lost[second, 1] - lost[first, 1])
    cost = share[first] * _PRICES[0] + (share[second] - share[first]) * _PRICES[1] + (1 - share[second]) * _PRICES[2]
    possible = (second >= first) & (failed <= 1.0 - quality + 1e-12)
    at = np.unravel_index(np.argmin(np.where(possible, cost, np.inf)), cost.shape)
    simple = _cut(scores, share[1:], float(share[first[at]]))
    return Thresholds(simple, max(simple, _cut(scores, share[1:], float(share[second[at]]))))


def _cut(scores: NDArray[np.float64], share: NDArray[np.float64], wanted: float) -> float:
    """Return the value between two distinct ascending scores that leaves nearest to a share below it."""
    last = np.flatnonzero(np.append(scores[1:] > scores[:-1], True))
    below = np.concatenate(([0.0], share[last]))
    best = int(np.argmin(np.abs(below - wanted)))
    if best == 0:
        return 0.0
    if best == len(last):
        return float(np.nextafter(1.0, 2.0))
    return float((scores[last[best - 1]] + scores[last[best - 1] + 1]) / 2.0)
