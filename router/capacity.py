"""What models can: whether one lacks something that a request needs, and what the request may cost there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.domain.money import PER_MILLION, ceil_div
from router.needs import Feature, Needs

RESERVE_TOKENS: Final = 1024
"""Room for the answer to a request that names no longest one: five times the mean answer of LMSYS-Chat-1M (arXiv
2309.11998, table 1)."""

DEFAULT_OUTPUT_TOKENS: Final = 8192
"""The longest answer of a model nobody has described, as `gateway.upstreams.base` sends it."""

LARGEST_CONTEXT: Final = 2**21
"""Tokens that no model reads at once: twice the largest context window on sale (2026-11)."""

_IN_ORDER: Final[tuple[Feature, ...]] = ("vision", "audio", "files", "tools", "structured_output")

Check = Callable[[str], str | None]
"""Given a deployment's name, why it cannot take the request; None for no reason."""


class Capacity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a deployment; None for what is not.

    Attributes:
        context_tokens: prompt and answer together.
        max_output_tokens: its longest answer.
        features: what it can. Unknown, it is taken to be able to do everything.
        input_price: micro-dollars for a million tokens of a prompt, in the dearest class.
        output_price: the same for an answer.
        image_tokens: the most that one image is billed as.
    """

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    features: frozenset[Feature] | None = None
    input_price: int | None = None
    output_price: int | None = None
    image_tokens: int = 40_000

    @property
    def is_limited(self) -> bool:
        """Whether there are requests that it is known to be unable to take."""
        return self.context_tokens is not None or self.features is not None


def shortfall(needs: Needs, capacity: Capacity) -> str | None:
    """Return what a model lacks for a request: `context` or the first feature; None where it lacks nothing.

    Sizes are estimates: near the edge of a window either error is possible, and the upstream has the last word.
    """
    window = capacity.context_tokens
    if window is not None and needs.prompt_tokens + _reserve(needs, capacity) > window:
        return "context"
    able = capacity.features
    if able is None or needs.features <= able:
        return None
    return next(feature for feature in _IN_ORDER if feature in needs.features and feature not in able)


def _reserve(needs: Needs, capacity: Capacity) -> int:
    asked = RESERVE_TOKENS if needs.output_tokens is None else needs.output_tokens
    own = capacity.max_output_tokens
    return asked if own is None else min(asked, own)


def bound_microusd(needs: Needs, capacity: Capacity) -> int | None:
    """Return the most that a request may cost at a model, in micro-dollars; None where no price is known."""
    if capacity.input_price is None or capacity.output_price is None:
        return None
    prompt = (capacity.context_tokens or LARGEST_CONTEXT) * needs.inputs
    if needs.is_whole:
        prompt = min(needs.text_bytes + needs.images * capacity.image_tokens, prompt)
    longest, asked = capacity.max_output_tokens, needs.output_tokens
    if longest is None:
        longest = DEFAULT_OUTPUT_TOKENS if asked is None else asked
    elif asked is not None:
        longest = min(asked, longest)
    output = longest * needs.choices
    return ceil_div(prompt * capacity.input_price + output * capacity.output_price, PER_MILLION)


def exceeds(needs: Needs, capacity: Capacity, max_cost_microusd: int) -> str | None:
    """Return `cost` where a request may cost more than its caller allows, `unpriced` where nobody can tell."""
    bound = bound_microusd(needs, capacity)
    if bound is None:
        return "unpriced"
    return "cost" if bound > max_cost_microusd else None


_NOTHING_KNOWN: Final = Capacity()
_NONE_DROPPED: Final[Mapping[str, str]] = MappingProxyType({})


class CapacityTable:
    """What is known of every deployment.

    Args:
        capacities: by name. Of a name that is not among them nothing is known.
    """

    def __init__(self, capacities: Mapping[str, Capacity]) -> None:
        self._capacities = dict(capacities)
        self._limited = frozenset(name for name, capacity in capacities.items() if capacity.is_limited)

    def is_limiting(self, candidates: Iterable[str]) -> bool:
        """Tell whether there are requests that one of these candidates is known to be unable to take."""
        return not self._limited.isdisjoint(candidates)

    def check(self, needs: Needs, candidates: tuple[str, ...], max_cost_microusd: int | None = None) -> Check | None:
        """Return the check of these candidates for a request, None where every one is certain to pass.

        Args:
            needs: of the request.
            candidates: names of deployments.
            max_cost_microusd: what the caller allows; None for any cost.
        """
        if max_cost_microusd is None and self._limited.isdisjoint(candidates):
            return None
        return partial(self._reason, needs, max_cost_microusd)

    def bound_microusd(self, needs: Needs, name: str) -> int | None:
        """Return the most that a request may cost at a model; see `bound_microusd`."""
        return bound_microusd(needs, self._capacities.get(name, _NOTHING_KNOWN))

    def _reason(self, needs: Needs, max_cost_microusd: int | None, name: str) -> str | None:
        capacity = self._capacities.get(name, _NOTHING_KNOWN)
        lacking = shortfall(needs, capacity)
        if lacking is None and max_cost_microusd is not None:
            return exceeds(needs, capacity, max_cost_microusd)
        return lacking


def sift(candidates: tuple[str, ...], check: Check | None) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the candidates that pass, in their order, and of each other one the reason why not.

    Args:
        candidates: names of deployments.
        check: tells the reason; None passes all.
    """
    if check is None:
        return candidates, _NONE_DROPPED
    dropped = {name: reason for name in candidates if (reason := check(name)) is not None}
    if not dropped:
        return candidates, _NONE_DROPPED
    return tuple(name for name in candidates if name not in dropped), dropped
