"""Where a request would go, and why, without calling anyone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from gateway.domain.money import format_usd
from gateway.domain.request import ModelRequest
from gateway.domain.tier import TierName
from gateway.domain.usage import Usage
from gateway.pricing import PriceTable
from gateway.upstreams.settings import Model
from router.base import Decision, Grounds, Option
from router.needs import Needs, needs_of
from router.tiers import Router
from router.wishes import NO_WISHES, Wishes

EXPECTED_OUTPUT_TOKENS = 400
"""The length of answer that prices are compared for where the request names none: a page of text."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is tried.

    Attributes:
        options: the tiers that may answer; none for all there are.
        target: what the requested name stands for; looked up where it is empty.
    """

    request: ModelRequest
    options: Sequence[Option] = ()
    target: str = ""
    wishes: Wishes = NO_WISHES
    caller_id: str = ""


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """One model that could be asked.

    Attributes:
        position: 1 for the one that is asked first, None for one that is not asked.
        lacks: why it is not asked: `context`, `vision`, `cost`, ...; None where it lacks nothing.
        resting: whether it has been failing and is left alone.
        cost_usd: what the request is estimated to cost there, None where the price is not known.
    """

    model: str
    tier: TierName | None
    upstream: str
    position: int | None
    lacks: str | None
    resting: bool
    cost_usd: str | None


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request would go.

    Attributes:
        target: what the requested name stands for.
        grounds: what the tier was chosen by, None where nothing was scored.
        needs: what the request demands of a model.
        considered: those that are asked, in order, then the others.
        saved_usd: what the first one is estimated to cost less than the dearest, None where prices are not known.
        saved_share: the same as a share of what the dearest costs.
    """

    requested_model: str
    target: str
    tier: TierName | None
    confidence: float
    reason: str
    grounds: Grounds | None
    needs: dict[str, object]
    considered: list[Considered]
    saved_usd: str | None
    saved_share: float | None


def preview(
    router: Router,
    prices: PriceTable,
    models: Mapping[str, Model],
    asked: Asked,
    is_resting: Callable[[str], bool] = lambda _: False,
) -> Preview:
    """Return where a request would go.

    Args:
        router: decides.
        prices: of the models.
        models: by name.
        asked: what is tried.
        is_resting: tells whether a model has been failing and is left alone.

    Raises:
        CallerError: nobody may answer it.
    """
    request = asked.request
    target = asked.target or router.target(request.model)
    decision = router.route(request, asked.options, target=target, wishes=asked.wishes, caller_id=asked.caller_id)
    needs = needs_of(request)
    tiers = _tiers(router, decision)
    costs = {name: _cost(prices, needs, name) for name in tiers}
    queue = [*decision.candidates, *(name for option in decision.spare for name in option.candidates)]
    names = dict.fromkeys([*queue, *tiers])
    saved, share = _saving(costs, queue[0])
    return Preview(
        requested_model=request.model,
        target=target,
        tier=decision.tier,
        confidence=round(decision.confidence, 4),
        reason=decision.reason,
        grounds=decision.grounds,
        needs={
            "prompt_tokens": needs.prompt_tokens,
            "output_tokens": needs.output_tokens,
            "features": sorted(needs.features),
        },
        considered=[
            Considered(
                model=name,
                tier=tiers[name],
                upstream=models[name].upstream,
                position=queue.index(name) + 1 if name in queue else None,
                lacks=decision.lacking.get(name),
                resting=is_resting(name),
                cost_usd=_usd(costs[name]),
            )
            for name in names
        ],
        saved_usd=_usd(saved),
        saved_share=share,
    )


def _tiers(router: Router, decision: Decision) -> dict[str, TierName | None]:
    """Return every model of the tiers, and those that are asked, with their tiers."""
    found: dict[str, TierName | None] = {}
    for tier, names in router.settings.tiers.items():
        for name in names:
            found.setdefault(name, tier)
    for name in decision.candidates:
        found.setdefault(name, decision.tier)
    return found


def _cost(prices: PriceTable, needs: Needs, name: str) -> int | None:
    output = EXPECTED_OUTPUT_TOKENS if needs.output_tokens is None else needs.output_tokens
    return prices.cost(name, Usage(input_tokens=needs.prompt_tokens, output_tokens=output))


def _saving(costs: Mapping[str, int | None], name: str) -> tuple[int | None, float | None]:
    """Return what a model costs less than the dearest one, in micro-dollars and as a share."""
    known = [cost for cost in costs.values() if cost is not None]
    cost = costs[name]
    if cost is None or not known:
        return None, None
    dearest = max(known)
    return dearest - cost, round((dearest - cost) / dearest, 4) if dearest else 0.0


def _usd(amount: int | None) -> str | None:
    return None if amount is None else format_usd(amount).decode()
