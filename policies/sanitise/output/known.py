"""Keeps the gateway's own secrets out of answers: credentials of upstreams, and keys of callers, letter for letter."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from typing import Final

from policies.sanitise.finding import BY_PLACE, Finding
from policies.sanitise.output.sighting import BlockedError, Sighting, Tell
from policies.sanitise.settings import Action

SHORTEST: Final = 12
"""Characters from which a secret is looked for; shorter ones would be found in ordinary words."""

_OWN_KEY: Final = re.compile(r"sk-tw-[A-Za-z0-9_-]{32}")
"""A caller's key as `policies.authenticate` makes it; its prefix is used by nobody else, so that no list is needed."""

_OWN_KEY_BEGINS: Final = re.compile(r"s(?:k(?:-(?:t(?:w(?:-[A-Za-z0-9_-]{0,31})?)?)?)?)?\Z")
_LONGEST_OWN_KEY: Final = 38
_OWN_LETTERS: Final = string.ascii_letters + string.digits + "_-"
_MARK: Final = "[REDACTED_SECRET]"


class KnownSecrets:
    """Knows secrets by their letters. Made once, when the settings are loaded.

    Args:
        values: credentials of upstreams, and keys that the settings name.
    """

    __slots__ = ("_by_first", "_letters", "_longest", "_values")

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = tuple(sorted({value for value in values if len(value) >= SHORTEST}, key=len, reverse=True))
        self._by_first: dict[str, list[str]] = {}
        for value in self._values:
            self._by_first.setdefault(value[0], []).append(value)
        self._letters = "".join({*_OWN_LETTERS, *"".join(self._values)})
        self._longest = max((len(value) - 1 for value in self._values), default=0)

    def __repr__(self) -> str:
        return f"KnownSecrets({len(self._values)} values)"

    def find(self, text: str) -> list[Finding]:
        """Return where secrets stand, by start; takes about 50 ns for each value and kilobyte."""
        if len(text) < SHORTEST:
            return []
        present = [value for value in self._values if value in text]
        found = [_finding(at, at + len(value)) for value in present for at in _places(text, value)]
        if "sk-tw-" in text:
            found += [_finding(*match.span()) for match in _OWN_KEY.finditer(text)]
        return sorted(found, key=BY_PLACE)

    def begins_at(self, text: str) -> int:
        """Return where something begins that ends the text and may become a secret; its length if nothing may."""
        tail = text[-max(self._longest, _LONGEST_OWN_KEY) :]
        run = len(tail) - len(tail.rstrip(self._letters))
        if not run:
            return len(text)
        own = _OWN_KEY_BEGINS.search(text, len(text) - min(run, _LONGEST_OWN_KEY))
        begins = len(text) if own is None else own.start()
        for at in range(len(text) - min(run, self._longest), begins):
            alike = self._by_first.get(text[at])
            if alike is not None and any(value.startswith(text[at:]) for value in alike):
                return at
        return begins


class KnownScreen:
    """Takes secrets out of one text that arrives in pieces; no more is held back than what may become one.

    Args:
        known: the secrets.
        action: `redact` or `block`.
        tell: is told of each; see `Screen`.
    """

    __slots__ = ("_action", "_before", "_held", "_known", "_tell")

    def __init__(self, known: KnownSecrets, action: Action, tell: Tell) -> None:
        self._known, self._action, self._tell = known, action, tell
        self._held = ""
        self._before = 0

    @property
    def held(self) -> int:
        """Return how many characters are held back."""
        return len(self._held)

    def feed(self, piece: str) -> str:
        """Take a piece and return what may pass.

        Raises:
            BlockedError: it is a secret.
        """
        text = self._held + piece
        found = self._known.find(text)
        begins = self._known.begins_at(text)
        cut = max([begins, *(one.end for one in found)])
        self._held = text[cut:]
        passed = self._without(text[:cut], found) if found else text[:cut]
        self._before += cut
        return passed

    def flush(self) -> str:
        """Return what was held back; the text pauses, has ended, or was broken off."""
        held, self._held = self._held, ""
        self._before += len(held)
        return held

    def whole(self, text: str) -> str:
        """Return a complete text as it may pass. Raises what `feed` does."""
        found = self._known.find(text)
        return self._without(text, found) if found else text

    def _without(self, text: str, found: Iterable[Finding]) -> str:
        parts: list[str] = []
        position = 0
        for one in found:
            if one.start < position:
                continue
            self._tell(Sighting(one, self._action), self._before)
            parts.append(text[position : one.start])
            if self._action == "block":
                raise BlockedError(one, "".join(parts))
            parts.append(_MARK)
            position = one.end
        return "".join([*parts, text[position:]])


def _finding(start: int, end: int) -> Finding:
    return Finding("secrets", "own_secret", start, end, 1.0)


def _places(text: str, value: str) -> Iterable[int]:
    at = text.find(value)
    while at >= 0:
        yield at
        at = text.find(value, at + len(value))
