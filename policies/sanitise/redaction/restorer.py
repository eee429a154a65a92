"""Puts back what placeholders stand for: in texts, in strings of JSON, and in streams."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Literal

from policies.sanitise.redaction.placeholder import begins_at, longest_placeholder, placeholders
from policies.sanitise.redaction.redactor import Vault

Place = Literal["text", "json"]
"""Where the answer's characters stand: in a text, or inside of a string of JSON that is not decoded."""


class Restorer:
    """Restores one answer.

    Attributes:
        restored: placeholders that were replaced by what they stand for.
        invented: placeholders with the request's suffix that stand for nothing.
        unrestored: times the suffix came back in no placeholder, changed too much to be sure.

    Args:
        vault: what was kept of the request.
        place: how a value must be written.
    """

    def __init__(self, vault: Vault, place: Place = "text") -> None:
        self._values = vault.values
        self._suffix = vault.suffix
        self._write: Callable[[str], str] = _in_json if place == "json" else str
        self.restored = 0
        self.invented = 0
        self.unrestored = 0

    def restore(self, text: str) -> str:
        """Return the text with every known placeholder replaced. What was put in is not looked at again."""
        if not self._values or "[" not in text:
            return self._count_leftovers(text)
        parts: list[str] = []
        position = 0
        for match in placeholders(text, self._suffix):
            parts += (self._count_leftovers(text[position : match.start()]), self._value(match))
            position = match.end()
        return "".join([*parts, self._count_leftovers(text[position:])])

    def _value(self, match: re.Match[str]) -> str:
        value = self._values.get(f"{match['label'].upper()}_{int(match['number'])}")
        if value is None:
            self.invented += 1
            return match.group()
        self.restored += 1
        return self._write(value)

    def _count_leftovers(self, text: str) -> str:
        if self._values and len(text) > 4:
            self.unrestored += text.casefold().count(self._suffix)
        return text


class StreamRestorer:
    """Restores an answer that arrives in pieces, cut anywhere. One for each choice and each tool call.

    It holds back only what may still become a placeholder, never more than the longest one.

    Args:
        vault: what was kept of the request.
    """

    def __init__(self, vault: Vault, place: Place = "text") -> None:
        self.restorer = Restorer(vault, place)
        self._suffix = vault.suffix
        self._longest = longest_placeholder(vault.suffix)
        self._is_idle = not vault.values
        self._held = ""

    @property
    def held(self) -> int:
        """Return how many characters are held back."""
        return len(self._held)

    def feed(self, piece: str) -> str:
        """Take a piece and return what may be sent on; empty while a placeholder is incomplete."""
        if self._is_idle or (not self._held and "[" not in piece):
            return self.restorer.restore(piece)
        text = self._held + piece
        cut = self._cut(text)
        self._held = text[cut:]
        return self.restorer.restore(text[:cut]) if cut else ""

    def flush(self) -> str:
        """Return what was held back; the answer has ended, or was broken off."""
        held, self._held = self._held, ""
        return self.restorer.restore(held) if held else ""

    def _cut(self, text: str) -> int:
        """Return where what may become a placeholder begins, the text's length if nothing may."""
        return begins_at(text, self._suffix, max(0, len(text) - self._longest))


def _in_json(value: str) -> str:
    return json.dumps(value)[1:-1]
