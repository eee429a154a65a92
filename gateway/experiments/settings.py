"""What the settings file says about experiments."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec

Sticky = Literal["key", "user", "conversation"]
"""What keeps its arm of a split: all requests of a key, of an end user, or of a conversation."""

_Weight = Annotated[float, msgspec.Meta(gt=0)]


class Split(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alias that stands for several models, each for a part of the callers."""

    split: dict[str, _Weight]
    """Arm to its weight: names of `models`, `auto` or `auto/<tier>`. Weights count in proportion to their sum, so
    `{gpt-4o: 0.95, gpt-5: 0.05}` and `{gpt-4o: 95, gpt-5: 5}` are the same. Raising one moves callers into that arm
    and no other."""
    sticky: Sticky = "key"
    """Who stays with an arm. `user` is the end user that a request names, its key where it names none; `conversation`
    the conversation a request continues, its key where that cannot be told."""

    def __post_init__(self) -> None:
        if not self.split:
            raise ValueError("'split' must name at least one arm with its weight")
        if not math.isfinite(sum(self.split.values())):
            raise ValueError("the weights of 'split' must be finite numbers")


class ShadowSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that is asked too, off the path of the request, so that its answers can be compared.

    Only requests of callers who may use the model, and its judge, are taken, and none that is stored or runs in the
    background.
    """

    model: str
    """The entry of `models` that is asked."""
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.01
    """The part of the requests that it is asked about."""
    usd_per_day: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 5.0
    """US dollars that it and its judge may cost in a day (UTC), for each process of the gateway. No budget of a caller
    is touched. Five dollars bound a forgotten experiment to 150 a month."""
    judge: str | None = None
    """The entry of `models` that says which of the two answers is better, without knowing whose they are. Absent:
    only cost, time and failures are compared."""
    judge_both_orders: bool = False
    """Ask the judge twice, with the answers in either order, and count a tie where it contradicts itself. It costs
    twice as much; asking once with a random order has no bias on average either, only more noise."""
    models: tuple[str, ...] = ("*",)
    """Shell patterns of the routed models whose requests it is asked about."""
    keep: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1000
    """The newest comparisons that the report looks at. A thousand tell 53 wins of 100 from 50."""


class ExperimentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Comparing models on the traffic there is. Splits stand under `aliases`."""

    shadows: tuple[ShadowSettings, ...] = ()
    """Models that are asked too, off the path of requests."""
