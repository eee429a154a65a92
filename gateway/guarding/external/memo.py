"""Remembers what a guard has said of texts, so that a conversation is not judged anew with each message."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from policies.sanitise.finding import Finding

MOST_TEXTS: Final = 4096
"""Remembered; the one that was asked about least recently goes first. An entry is some hundred bytes."""

_MOST_FINDINGS: Final = 64
"""Of a text that is remembered."""


class Memo:
    """Findings by the hash of their text; it holds no text."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[Finding, ...]] = OrderedDict()

    def get(self, text: str) -> tuple[Finding, ...] | None:
        """Return what was said of a text, None where nothing was."""
        key = _key(text)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def put(self, text: str, found: tuple[Finding, ...]) -> None:
        """Remember what was said of a text."""
        if len(found) > _MOST_FINDINGS:
            return
        self._known[_key(text)] = found
        if len(self._known) > MOST_TEXTS:
            self._known.popitem(last=False)


def _key(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
