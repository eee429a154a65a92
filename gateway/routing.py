"""Builds the router of a settings file."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.money import Rate
from gateway.pricing import PriceTable
from gateway.settings import Settings, plain_aliases
from gateway.upstreams.settings import Model
from router.balancing.base import Balancer, BalancerName
from router.balancing.catalogue import build_balancer
from router.balancing.landscape import MeasuredLandscape
from router.capacity import Capacity, CapacityTable
from router.catalogue import build_strategy
from router.learned import Learned
from router.tiers import Router


def build_router(settings: Settings, prices: PriceTable, learned: Learned | None = None) -> Router:
    """Build a router.

    Args:
        settings: the file.
        prices: of its models.
        learned: what is known of models and traffic; nothing yet where absent.
    """
    routing, models = settings.router, settings.models
    learned = learned or Learned(routing, models)
    rates = {name: rate for name in models if (rate := prices.rate(name)) is not None}
    capacities = {name: _capacity(model, rates.get(name)) for name, model in models.items()}
    return Router(
        routing,
        build_strategy(routing, learned, rates),
        models,
        plain_aliases(settings),
        capacities=CapacityTable(capacities),
        balancer=_balancer(settings, rates, learned),
    )


def _balancer(settings: Settings, rates: Mapping[str, Rate], learned: Learned) -> Balancer | None:
    default: BalancerName = "cheapest" if settings.router.strategy == "cheapest_healthy" else "ordered"
    name = settings.router.balance or default
    if name == "ordered":
        return None
    weights = {model: entry.weight for model, entry in settings.models.items()}
    prices = {model: float(rate.input + rate.output) for model, rate in rates.items()}
    return build_balancer(name, MeasuredLandscape(learned.health, weights, prices))


def _capacity(model: Model, rate: Rate | None) -> Capacity:
    return Capacity(
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        features=None if model.supports is None else frozenset(model.supports),
        input_price=None if rate is None else rate.dearest_input,
        output_price=None if rate is None else rate.output,
        image_tokens=model.image_tokens,
    )
