"""From the name a caller asks for to the models that may answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from gateway.domain.errors import InvalidRequestError, NotPermittedError, UnknownModelError
from gateway.domain.request import ModelRequest
from gateway.domain.tier import TIERS, TierName
from router.balancing.base import Balancer
from router.base import Choice, Decision, Option, Question, Strategy
from router.capacity import CapacityTable, Check, sift
from router.conversation import conversation_key
from router.needs import needs_of
from router.settings import RouterSettings
from router.wishes import NO_WISHES, Wishes

AUTO: Final = "auto"

DEGRADED: Final = "degraded"
"""The reason of a decision for a lower tier than was chosen."""

_EMPTY: Final = "empty-tier"
"""The reason of a decision for another tier than was chosen, as nothing of that one may answer."""

MOST_MICROUSD: Final = 10**15
"""More than anything costs: a thousand million dollars."""

_MOST_OPTIONS: Final = 10_000
"""How many answers of `options` are remembered; names of unknown models may be anything."""

_NOTHING_LACKS: Final[Mapping[str, str]] = MappingProxyType({})
_ASKED_FOR: Final = frozenset({"named", "pinned"})
"""Reasons of decisions that the caller has made: no other tier may answer."""

_COSTS: Final = frozenset({"cost", "unpriced"})
"""What a model lacks for the bound on cost of a caller, who can only raise it."""


class Router:
    """Resolves model names: concrete ones are pinned, `auto` is decided, `auto/<tier>` is a tier by name.

    Args:
        settings: tiers and what becomes of unknown names.
        strategy: decides `auto`.
        models: the configured names.
        aliases: other names for models, `auto` or `auto/<tier>`.
        capacities: what is known of the models.
        balancer: the order of a tier's candidates; as they are listed where absent.
    """

    def __init__(
        self,
        settings: RouterSettings,
        strategy: Strategy,
        models: Iterable[str],
        aliases: Mapping[str, str],
        *,
        capacities: CapacityTable | None = None,
        balancer: Balancer | None = None,
    ) -> None:
        self.settings = settings
        self.strategy = strategy
        self._aliases = aliases
        self._capacities = capacities or CapacityTable({})
        self._balancer = balancer
        self._has_tiers = any(settings.tiers.values())
        self.failures = 0
        self._options: dict[tuple[str, tuple[TierName, ...], bool], tuple[Option, ...]] = {}
        tier_of: dict[str, TierName] = {}
        for tier in TIERS:
            for name in settings.tiers.get(tier, ()):
                tier_of.setdefault(name, tier)
        self._pinned = {
            name: Decision(tier=tier_of.get(name), confidence=1.0, reason="pinned", candidates=(name,))
            for name in models
        }

    def names(self) -> list[str]:
        """Return every name a caller may ask for."""
        virtual = [AUTO, *(f"{AUTO}/{tier}" for tier in TIERS if self.settings.tiers.get(tier))]
        return [*self._pinned, *self._aliases, *(virtual if self._has_tiers else ())]

    def target(self, requested: str, *, routes_all: bool = False) -> str:
        """Return the model, `auto` or `auto/<tier>` that a requested name stands for.

        Args:
            requested: as the caller wrote it.
            routes_all: whether policy has models that are asked for by their own names treated as `auto`.
        """
        asked = self._aliases.get(requested, requested)
        return AUTO if routes_all and self._has_tiers and asked in self._pinned else asked

    def options(
        self,
        request: ModelRequest,
        allowed: Sequence[TierName],
        *,
        may_degrade: bool,
        target: str = "",
        wishes: Wishes = NO_WISHES,
    ) -> tuple[Option, ...]:
        """Return every tier that may answer, best first; at least one.

        Args:
            request: what is asked.
            allowed: the tiers that policy leaves the caller.
            may_degrade: whether a model or tier that is asked for by name may be replaced by one of a lower tier.
            target: what the requested name stands for, where that is known already.
            wishes: the caller's own bounds, which hold where the router decides.

        Raises:
            UnknownModelError: the name is not configured, or is `auto` and no tier has a model.
            NotPermittedError: no tier that could answer is allowed.
        """
        asked = target or self.target(request.model)
        if wishes is not NO_WISHES and self._is_decided(asked):
            allowed = [tier for tier in allowed if wishes.admits(tier)]
        key = (asked, tuple(allowed), may_degrade)
        known = self._options.get(key)
        if known is None:
            known = self._find_options(asked, request.model, allowed, may_degrade=may_degrade)
            if len(self._options) < _MOST_OPTIONS:
                self._options[key] = known
        return known

    def route(
        self,
        request: ModelRequest,
        options: Sequence[Option] = (),
        *,
        target: str = "",
        wishes: Wishes = NO_WISHES,
        caller_id: str = "",
    ) -> Decision:
        """Return who may answer.

        Args:
            request: what is asked.
            options: the tiers that may answer and that capacity was held for, best first; none for all there are.
            target: what the requested name stands for, where that is known already.
            wishes: the caller's own bounds.
            caller_id: stands for the caller, whose conversations are told apart from others'.

        Raises:
            UnknownModelError: as `options`.
            InvalidRequestError: every model may cost more than the caller allows.
        """
        asked = target or self.target(request.model)
        pinned = self._pinned.get(asked)
        if pinned is not None and (not options or pinned.tier is None or options[0].tier == pinned.tier):
            if wishes.max_cost_microusd is not None:
                self._check_cost(request, wishes, pinned)
            return pinned
        question = Question(request, wishes, options or self._of_all_tiers(), caller_id)
        choice = self._decide(question) if asked == AUTO else self._choose(asked, question)
        best = question.options[0].tier if question.options else None
        if best is not None and _rank(choice.tier) > _rank(best):
            reason = DEGRADED if self.settings.tiers.get(choice.tier) else _EMPTY
            choice = Choice(best, choice.confidence, reason, choice.grounds)
        return self._select(choice, question)

    def ceiling_microusd(self, request: ModelRequest, name: str) -> int:
        """Return the most that a request may cost at a model; more than anything where its price is not known."""
        bound = self._capacities.bound_microusd(needs_of(request), name)
        return MOST_MICROUSD if bound is None else bound

    def _is_decided(self, asked: str) -> bool:
        """Tell whether the router picks the tier, rather than the caller."""
        return asked == AUTO or (asked not in self._pinned and self._is_unknown_as_auto(asked))

    def _choose(self, asked: str, question: Question) -> Choice:
        pinned = self._pinned.get(asked)
        if pinned is not None and pinned.tier is not None:
            return Choice(pinned.tier, 1.0, pinned.reason)
        named = self._tier_named(asked)
        if named is not None:
            return Choice(named, 1.0, "named")
        if self._is_unknown_as_auto(asked):
            return self._decide(question)
        raise unknown_model(question.request.model)

    def _find_options(
        self, asked: str, shown: str, allowed: Sequence[TierName], *, may_degrade: bool
    ) -> tuple[Option, ...]:
        pinned, named = self._pinned.get(asked), self._tier_named(asked)
        best: TierName | None = TIERS[-1]
        if pinned is not None:
            best = pinned.tier
        elif named is not None:
            best = named
        elif asked != AUTO and not self._is_unknown_as_auto(asked):
            raise unknown_model(shown)
        if best is not None and best not in allowed and (pinned is not None or named is not None):
            raise _tier_not_allowed(shown)
        if pinned is not None and (best is None or not may_degrade):
            tiers = [Option(best, pinned.candidates)]
        else:
            tiers = [option for option in self._of_all_tiers() if _rank(option.tier) <= _rank(best)]
            if pinned is not None:
                tiers = [Option(best, pinned.candidates), *(o for o in tiers if o.tier != best)]
            if named is not None and not may_degrade:
                tiers = tiers[:1]
        if not tiers:
            raise UnknownModelError("'auto' needs at least one model in 'router.tiers'.", param="model")
        found = tuple(option for option in tiers if option.tier is None or option.tier in allowed)
        if not found:
            raise _tier_not_allowed(shown)
        return found

    def _of_all_tiers(self) -> list[Option]:
        """Return the tiers that have candidates, best first."""
        configured = self.settings.tiers
        return [Option(tier, configured[tier]) for tier in reversed(TIERS) if configured.get(tier)]

    def _tier_named(self, asked: str) -> TierName | None:
        """Return the tier that `auto/<tier>` names, where it has candidates."""
        kind, _, tier = asked.partition("/")
        return next(
            (known for known in TIERS if kind == AUTO and tier == known and self.settings.tiers.get(known)), None
        )

    def _is_unknown_as_auto(self, asked: str) -> bool:
        return self.settings.unknown_model == AUTO and asked.partition("/")[0] not in (AUTO, "team")

    def _decide(self, question: Question) -> Choice:
        """Choose a tier by the request's role, else by its strategy, within the bounds of its caller."""
        role = self.settings.roles.get(question.wishes.role or "")
        choice = (
            self._choose_by_strategy(question) if role is None else Choice(role, 1.0, f"role={question.wishes.role}")
        )
        tier = question.wishes.clamped(choice.tier)
        if tier == choice.tier:
            return choice
        reason = "min-tier" if _rank(tier) > _rank(choice.tier) else "max-tier"
        return Choice(tier, choice.confidence, reason, choice.grounds)

    def _choose_by_strategy(self, question: Question) -> Choice:
        try:
            choice = self.strategy.choose(question)
            _rank(choice.tier)
        except Exception:  # noqa: BLE001  a broken strategy must not stop a request: counted, default tier
            self.failures += 1
            return Choice(self.settings.default_tier, 0.0, "fallback")
        return choice

    def _select(self, choice: Choice, question: Question) -> Decision:
        """Return the candidates of the chosen tier; where none may answer, of the next one up, then down."""
        if not question.options:
            raise UnknownModelError("'auto' needs at least one model in 'router.tiers'.", param="model")
        start = _rank(choice.tier)
        above = [option for option in reversed(question.options) if _rank(option.tier) >= start]
        ranked = [*above, *(option for option in question.options if _rank(option.tier) < start)]
        check = self._check(question, ranked)
        lacking: Mapping[str, str] = _NOTHING_LACKS
        able: list[Option] = []
        for option in ranked:
            kept, left_out = sift(option.candidates, check)
            if left_out:
                lacking = {**lacking, **left_out}
            if kept:
                able.append(self._ordered(option, kept, question))
        if not able:
            self._refuse_cost(question.request, lacking)
            able = ranked  # sizes are estimates: the provider has the last word
        first = able[0]
        reason = choice.reason
        if first.tier != choice.tier:
            reason = next(
                (lacking[name] for name in self.settings.tiers.get(choice.tier, ()) if name in lacking), _EMPTY
            )
        may_go_on = self.settings.next_tier and choice.reason not in _ASKED_FOR
        return Decision(
            tier=first.tier,
            confidence=choice.confidence,
            reason=reason,
            candidates=first.candidates,
            spare=_spare(first, able) if may_go_on else (),
            lacking=lacking,
            grounds=choice.grounds,
        )

    def _check(self, question: Question, options: Sequence[Option]) -> Check | None:
        """Return what tells the models that cannot take a request, None where all can."""
        most = question.wishes.max_cost_microusd
        names = [name for option in options for name in option.candidates]
        if most is None and not self._capacities.is_limiting(names):
            return None
        return self._capacities.check(needs_of(question.request), tuple(names), most)

    def _ordered(self, option: Option, kept: tuple[str, ...], question: Question) -> Option:
        """Return an option with the candidates it has left, in the order they are to be tried."""
        if len(kept) > 1 and self._balancer is not None:
            key = b""
            if self._balancer.is_keyed:
                key = conversation_key(question.request, question.caller_id, question.wishes.session)
            kept = self._balancer.order(kept, key)
        return option if kept is option.candidates else Option(option.tier, kept)

    def _check_cost(self, request: ModelRequest, wishes: Wishes, pinned: Decision) -> None:
        """Refuse a request for one model that may cost more there than its caller allows."""
        check = self._capacities.check(needs_of(request), pinned.candidates, wishes.max_cost_microusd)
        self._refuse_cost(request, sift(pinned.candidates, check)[1])

    def _refuse_cost(self, request: ModelRequest, lacking: Mapping[str, str]) -> None:
        if _COSTS.isdisjoint(lacking.values()):
            return
        message = (
            "No model that could answer is certain to cost no more than X-Tierway-Max-Cost-Usd. A smaller "
            f"'{request.limits[0]}' lowers what an answer may cost."
        )
        raise InvalidRequestError(message, code="max_cost_exceeded", param=request.limits[0])


def _spare(first: Option, able: Sequence[Option]) -> tuple[Option, ...]:
    """Return the tiers above the first one, each without the models that were tried before it."""
    tried = set(first.candidates)
    spare = []
    for option in able:
        if _rank(option.tier) <= _rank(first.tier):
            continue
        fresh = option.candidates
        if not tried.isdisjoint(fresh):
            fresh = tuple(name for name in fresh if name not in tried)
            option = Option(option.tier, fresh)  # noqa: PLW2901  the same tier, with what is left of it
        if fresh:
            spare.append(option)
            tried.update(fresh)
    return tuple(spare)


def _tier_not_allowed(name: str) -> NotPermittedError:
    message = f"This key may not use the tier of the model '{name[:100]}'."
    return NotPermittedError(message, code="model_not_allowed", param="model")


def _rank(tier: TierName | None) -> int:
    return -1 if tier is None else TIERS.index(tier)


def unknown_model(name: str) -> UnknownModelError:
    """Return the error for a name nobody here knows; the name itself is cut, as it may be anything."""
    return UnknownModelError(f"The model '{name[:100]}' does not exist or is not configured here.", param="model")
