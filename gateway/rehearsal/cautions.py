"""What a settings file asks for in vain: budgets smaller than a request may cost, what is not installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from gateway.caching.opening import why_not_semantic
from gateway.ceilings import CeilingTable
from gateway.domain.caller import Caller
from gateway.domain.chat import ChatRequest, read_chat
from gateway.domain.errors import GatewayError
from gateway.domain.money import PER_MILLION, format_usd
from gateway.pricing import PriceTable
from gateway.routing import build_router
from gateway.settings import Settings, prices_of
from policies.effective import Policy, resolve
from policies.review import Place, cautions, places
from policies.settings import KeySettings


def all_cautions(settings: Settings) -> Iterator[str]:
    """Yield everything that is served but can never take effect, each with the path of its field."""
    yield from cautions(settings.organisation)
    yield from _DearestRequest(settings).cautions()
    why_not = why_not_semantic(settings.cache) if settings.cache.semantic is True else None
    if why_not is not None:
        yield f"cache.semantic: a gateway on this machine would not start: {why_not}"


class _DearestRequest:
    """Knows the most that one short request of a caller may cost."""

    def __init__(self, settings: Settings) -> None:
        self._organisation = settings.organisation
        self._models = settings.models
        prices = PriceTable(prices_of(settings))
        self._ceilings = CeilingTable(settings.models, prices)
        self._router = build_router(settings, prices)
        self._dearest: dict[object, tuple[int, str]] = {}

    def cautions(self) -> Iterator[str]:
        """Yield the budgets that are smaller than that."""
        for chain in places(self._organisation):
            place = chain[-1]
            budgets = [(f"budgets[{i}]", budget) for i, budget in enumerate(place.settings.budgets)]
            budgets += [(f"users.budgets[{i}]", budget) for i, budget in enumerate(place.settings.users.budgets)]
            if not budgets:
                continue
            cost, model = self._of(self._policy(chain))
            for name, budget in budgets:
                if round(budget.usd * PER_MILLION) < cost:
                    usd = format_usd(cost).decode()
                    yield (
                        f"{place.path}.{name}.usd: {budget.usd:g} is less than a short request to '{model}' may cost "
                        f"({usd}), which it will never let through"
                    )

    def _policy(self, chain: tuple[Place, ...]) -> Policy:
        """Return what holds for the keys below a level that say nothing of their own."""
        own = chain[-1].settings
        team = chain[1].path.removeprefix("organisation.teams.") if len(chain) > 1 else ""
        return resolve(self._organisation, team, "", own if isinstance(own, KeySettings) else None)

    def _of(self, policy: Policy) -> tuple[int, str]:
        most = min((meter.cap for meter in policy.meters if meter.unit == "output_tokens"), default=None)
        key = policy.models, policy.tiers, policy.max_output_tokens, policy.unbounded_output, policy.unpriced, most
        known = self._dearest.get(key)
        if known is None:
            # Names that the router resolves count only for callers who may ask for no model by its own.
            known = self._most(self._models, policy)
            known = self._dearest[key] = known if known[0] else self._most(self._router.names(), policy)
        return known

    def _most(self, names: Iterable[str], policy: Policy) -> tuple[int, str]:
        return max(((self._cost(name, policy), name) for name in names), default=(0, ""))

    def _cost(self, name: str, policy: Policy) -> int:
        """Return the most that a short request to a model may cost in micro-dollars, 0 where it is not allowed."""
        try:
            request = _short_request(name)
            if not _caller(policy).may_use(name):
                return 0
            options = self._router.options(request, policy.tiers, may_degrade=False)
            return max(demand.microusd for demand in self._ceilings.of(request, policy, policy.meters, options).demands)
        except GatewayError:  # refused before it costs anything
            return 0


def _caller(policy: Policy) -> Caller:
    return Caller(
        organisation=policy.organisation, team=policy.team, key=policy.key, key_id=policy.path, models=policy.models
    )


def _short_request(model: str) -> ChatRequest:
    return read_chat(msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": "Hi"}]}))
