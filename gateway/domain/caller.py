"""Who asks: the caller a key stands for."""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The organisation, team and key behind a request, with what they may use.

    `models` are shell patterns over requested model names (`auto/*`), `endpoints` over families of paths that are
    relayed (`files`); every tuple must admit a name, so that a lower level can only narrow what a higher one allows.
    """

    organisation: str
    team: str
    key: str
    key_id: str
    models: tuple[tuple[str, ...], ...] = ()
    endpoints: tuple[tuple[str, ...], ...] = ()
    metadata: dict[str, str] = {}

    @property
    def path(self) -> str:
        """The key's place in the organisation: `team/key`."""
        return f"{self.team}/{self.key}"

    def may_use(self, model: str) -> bool:
        """Tell whether every level above this key admits `model`."""
        return all(any(p == "*" or fnmatchcase(model, p) for p in patterns) for patterns in self.models)

    def may_call(self, endpoint: str) -> bool:
        """Tell whether every level above this key admits an endpoint that is relayed; without levels none does."""
        return bool(self.endpoints) and all(
            any(p == "*" or fnmatchcase(endpoint, p) for p in patterns) for patterns in self.endpoints
        )
