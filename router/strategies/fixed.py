"""Always the same tier."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.money import Rate
from router.base import Choice, Question
from router.learned import Learned
from router.settings import RouterSettings


class Fixed:
    """Picks the default tier whatever is asked."""

    name = "fixed"

    def __init__(self, settings: RouterSettings, learned: Learned, rates: Mapping[str, Rate]) -> None:  # noqa: ARG002  the seam's signature
        self._choice = Choice(settings.default_tier, 1.0, "fixed")

    def choose(self, question: Question) -> Choice:  # noqa: ARG002  the seam's signature
        """Return the default tier."""
        return self._choice
