"""Always the same tier."""

from __future__ import annotations

from gateway.domain.request import ModelRequest
from router.base import Choice
from router.settings import RouterSettings


class Fixed:
    """Picks the default tier whatever is asked."""

    name = "fixed"

    def __init__(self, settings: RouterSettings) -> None:
        self._choice = Choice(settings.default_tier, 1.0, "fixed")

    def choose(self, request: ModelRequest) -> Choice:  # noqa: ARG002  the seam's signature
        """Return the default tier."""
        return self._choice
