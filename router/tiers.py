"""From the name a caller asks for to the models that may answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.domain.errors import UnknownModelError
from gateway.domain.request import ModelRequest
from router.base import Choice, Decision, Strategy
from router.settings import TIERS, RouterSettings, TierName

AUTO: Final = "auto"


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

    def route(self, request: ModelRequest) -> Decision:
        """Return who may answer.

        Raises:
            UnknownModelError: the name is not configured, or is `auto` and no tier has a model.
        """
        asked = self._aliases.get(request.model, request.model)
        pinned = self._pinned.get(asked)
        if pinned is not None:
            return pinned
        kind, _, tier = asked.partition("/")
        if kind == AUTO and not tier:
            return self._decide(request)
        for known in TIERS:
            if kind == AUTO and tier == known and self._settings.tiers.get(known):
                return self._of_tier(Choice(known, 1.0, "named"))
        if self._settings.unknown_model == AUTO and kind not in (AUTO, "team"):
            return self._decide(request)
        raise unknown_model(request.model)

    def _decide(self, request: ModelRequest) -> Decision:
        try:
            choice = self._strategy.choose(request)
            TIERS.index(choice.tier)
        except Exception:  # noqa: BLE001  a broken strategy must not stop a request: counted, default tier
            self.failures += 1
            choice = Choice(self._settings.default_tier, 0.0, "fallback")
        return self._of_tier(choice)

    def _of_tier(self, choice: Choice) -> Decision:
        """Return the tier's candidates; an empty tier passes to the next one up, then down."""
        start = TIERS.index(choice.tier)
        for tier in (*TIERS[start:], *reversed(TIERS[:start])):
            candidates = self._settings.tiers.get(tier)
            if candidates:
                reason = choice.reason if tier == choice.tier else "empty-tier"
                return Decision(tier=tier, confidence=choice.confidence, reason=reason, candidates=candidates)
        raise UnknownModelError("'auto' needs at least one model in 'router.tiers'.", param="model")


def unknown_model(name: str) -> UnknownModelError:
    """Return the error for a name nobody here knows; the name itself is cut, as it may be anything."""
    return UnknownModelError(f"The model '{name[:100]}' does not exist or is not configured here.", param="model")
