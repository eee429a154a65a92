"""Remembers what was found in texts, so that the old messages of a conversation are not looked through again."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from policies.sanitise.finding import Finding

Found = tuple[Finding, ...]

MOST_BYTES: Final = 8 << 20
"""For all that is remembered: about 40,000 texts in which nothing was found."""

_ENTRY_BYTES: Final = 200
"""Of an entry without findings: its key, two links and their places in a table (measured, CPython 3.11)."""

_FINDING_BYTES: Final = 160
_DIGEST_BYTES: Final = 16
_SECRET_BYTES: Final = 32


class Verdicts:
    """What was found in texts, by a keyed hash of text and circumstances; what was used least recently goes first.

    Nobody can tell from what is remembered which texts were seen: the key of the hash is drawn by this process, and
    never leaves it. Findings are offsets.

    Args:
        most_bytes: for all entries, estimated.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._hash = blake2b(digest_size=_DIGEST_BYTES, key=secrets.token_bytes(_SECRET_BYTES))
        self._entries: OrderedDict[bytes, Found] = OrderedDict()
        self._most_bytes = most_bytes
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def key_of(self, text: str, circumstances: bytes, beside: str = "") -> bytes:
        """Return what a text is remembered under.

        Args:
            circumstances: what else decides on findings, such as the policy's id; of a bounded number of kinds.
            beside: another text that does.
        """
        digest = self._hash.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(b"\0%d\0%b" % (len(text), circumstances))
        if beside:
            digest.update(b"\0" + beside.encode("utf-8", "surrogatepass"))
        return digest.digest()

    def get(self, key: bytes) -> Found | None:
        """Return what was found, None where the text is new."""
        found = self._entries.get(key)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return found

    def put(self, key: bytes, found: Found) -> None:
        """Remember what was found."""
        if key in self._entries:
            return
        self._entries[key] = found
        self._bytes += _size(found)
        while self._bytes > self._most_bytes:
            _, old = self._entries.popitem(last=False)
            self._bytes -= _size(old)


def _size(found: Found) -> int:
    return _ENTRY_BYTES + _FINDING_BYTES * len(found)
