"""Finds the gateway's own secrets in answers: credentials of upstreams, and keys of callers, letter for letter."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from policies.sanitise.finding import Finding

SHORTEST: Final = 12
"""Characters from which a secret is looked for; shorter ones would be found in ordinary words."""

_OWN_KEY: Final = re.compile(r"sk-tw-[A-Za-z0-9_-]{32}")
"""A caller's key as `policies.authenticate` makes it; its prefix is used by nobody else, so that no list is needed."""


class KnownSecrets:
    """Looks for secrets that are known by their letters. Made once, when the settings are loaded.

    Args:
        values: credentials of upstreams, and keys that the settings name.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = tuple(sorted({value for value in values if len(value) >= SHORTEST}, key=len, reverse=True))

    def __repr__(self) -> str:
        return f"KnownSecrets({len(self._values)} values)"

    def find(self, text: str) -> list[Finding]:
        """Return where secrets stand; takes about 50 ns for each value and kilobyte."""
        found = [_finding(at, at + len(value)) for value in self._values for at in _places(text, value)]
        if "sk-tw-" in text:
            found += [_finding(*match.span()) for match in _OWN_KEY.finditer(text)]
        return found


def _finding(start: int, end: int) -> Finding:
    return Finding("secrets", "own_secret", start, end, 1.0)


def _places(text: str, value: str) -> Iterable[int]:
    at = text.find(value)
    while at >= 0:
        yield at
        at = text.find(value, at + len(value))
