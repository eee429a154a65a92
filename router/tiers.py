"""From the name a caller asks for to the models that may answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway.domain.errors import NotPermittedError, UnknownModelError
from gateway.domain.request import ModelRequest
from gateway.domain.tier import TIERS, TierName
from router.base import Choice, Decision, Option, Strategy
from router.settings import RouterSettings

AUTO: Final = "auto"

DEGRADED: Final = "degraded"
"""The reason of a decision for a lower tier than was chosen."""

_MOST_OPTIONS: Final = 10_000
"""How many answers of `options` are remembered; names of unknown models may be anything."""


class Router:
    """Resolves model names: concrete ones are pinned, `auto` is decided, `auto/<tier>` is a tier by name.

    Args:
        settings: tiers and what becomes of unknown names.
        strategy: decides `auto`.
        models: the configured names.
        aliases: other names for models, `auto` or `auto/<tier>`.
    """

    def __init__(
        self, settings: RouterSettings, strategy: Strategy, models: Iterable[str], aliases: Mapping[str, str]
    ) -> None:
        self._settings = settings
        self._strategy = strategy
        self._aliases = aliases
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
        virtual = [AUTO, *(f"{AUTO}/{tier}" for tier in TIERS if self._settings.tiers.get(tier))]
        return [*self._pinned, *self._aliases, *(virtual if any(self._settings.tiers.values()) else ())]

    def options(self, request: ModelRequest, allowed: Sequence[TierName], *, may_degrade: bool) -> tuple[Option, ...]:
        """Return every tier that may answer, best first; at least one.

        Args:
            request: what is asked.
            allowed: the tiers that policy leaves the caller.
            may_degrade: whether a model or tier that is asked for by name may be replaced by one of a lower tier.

        Raises:
            UnknownModelError: the name is not configured, or is `auto` and no tier has a model.
            NotPermittedError: no tier that could answer is allowed.
        """
        asked = self._aliases.get(request.model, request.model)
        key = (asked, tuple(allowed), may_degrade)
        known = self._options.get(key)
        if known is None:
            known = self._find_options(asked, request.model, allowed, may_degrade=may_degrade)
            if len(self._options) < _MOST_OPTIONS:
                self._options[key] = known
        return known

    def route(self, request: ModelRequest, options: Sequence[Option] = ()) -> Decision:
        """Return who may answer.

        Args:
            request: what is asked.
            options: the tiers that may answer and that capacity was held for, best first; none for all there are.

        Raises:
            UnknownModelError: as `options`.
        """
        asked = self._aliases.get(request.model, request.model)
        pinned = self._pinned.get(asked)
        if pinned is not None and (not options or pinned.tier is None or options[0].tier == pinned.tier):
            return pinned
        choice = self._decide(request) if asked == AUTO else self._choose(asked, request)
        found = options or self._of_all_tiers()
        best = found[0].tier if found else None
        if best is not None and _rank(choice.tier) > _rank(best):
            reason = DEGRADED if self._settings.tiers.get(choice.tier) else "empty-tier"
            choice = Choice(best, choice.confidence, reason)
        return self._of_tier(choice, found)

    def _choose(self, asked: str, request: ModelRequest) -> Choice:
        pinned = self._pinned.get(asked)
        if pinned is not None and pinned.tier is not None:
            return Choice(pinned.tier, 1.0, pinned.reason)
        named = self._tier_named(asked)
        if named is not None:
            return Choice(named, 1.0, "named")
        if asked == AUTO or self._is_unknown_as_auto(asked):
            return self._decide(request)
        raise unknown_model(request.model)

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
        configured = self._settings.tiers
        return [Option(tier, configured[tier]) for tier in reversed(TIERS) if configured.get(tier)]

    def _tier_named(self, asked: str) -> TierName | None:
        """Return the tier that `auto/<tier>` names, where it has candidates."""
        kind, _, tier = asked.partition("/")
        return next(
            (known for known in TIERS if kind == AUTO and tier == known and self._settings.tiers.get(known)), None
        )

    def _is_unknown_as_auto(self, asked: str) -> bool:
        return self._settings.unknown_model == AUTO and asked.partition("/")[0] not in (AUTO, "team")

    def _decide(self, request: ModelRequest) -> Choice:
        try:
            choice = self._strategy.choose(request)
            _rank(choice.tier)
        except Exception:  # noqa: BLE001  a broken strategy must not stop a request: counted, default tier
            self.failures += 1
            choice = Choice(self._settings.default_tier, 0.0, "fallback")
        return choice

    def _of_tier(self, choice: Choice, options: Sequence[Option]) -> Decision:
        """Return a tier's candidates; one that is not among the options passes to the next one up, then down."""
        for option in options:
            if option.tier == choice.tier:
                tier, confidence, reason = choice.tier, choice.confidence, choice.reason
                return Decision(tier=tier, confidence=confidence, reason=reason, candidates=option.candidates)
        by_tier = {option.tier: option.candidates for option in options}
        start = _rank(choice.tier)
        for tier in (*TIERS[start:], *reversed(TIERS[:start])):
            candidates = by_tier.get(tier)
            if candidates:
                return Decision(tier=tier, confidence=choice.confidence, reason="empty-tier", candidates=candidates)
        raise UnknownModelError("'auto' needs at least one model in 'router.tiers'.", param="model")


def _tier_not_allowed(name: str) -> NotPermittedError:
    message = f"This key may not use the tier of the model '{name[:100]}'."
    return NotPermittedError(message, code="model_not_allowed", param="model")


def _rank(tier: TierName | None) -> int:
    return -1 if tier is None else TIERS.index(tier)


def unknown_model(name: str) -> UnknownModelError:
    """Return the error for a name nobody here knows; the name itself is cut, as it may be anything."""
    return UnknownModelError(f"The model '{name[:100]}' does not exist or is not configured here.", param="model")
