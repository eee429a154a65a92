"""Which questions an entry answered of late: a report names the entry, and the wrong pair is looked up here."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from cache.semantic.base import Found

LAST: Final = 4
"""Hits of one entry that are remembered. A report bars all of them: which one was meant is not known."""


class Served:
    """Remembers the last hits of entries; the least recently used entries are forgotten first.

    Args:
        most: entries, >= 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._hits: OrderedDict[int, list[Found]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._hits)

    def note(self, found: Found) -> None:
        """Remember a hit, without the answer."""
        kept = self._hits.setdefault(found.entry_id, [])
        kept[:] = [hit for hit in kept if hit.pair != found.pair][-LAST + 1 :]
        kept.append(msgspec.structs.replace(found, payload=None))
        self._hits.move_to_end(found.entry_id)
        if len(self._hits) > self._most:
            self._hits.popitem(last=False)

    def take(self, entry_id: int) -> list[Found]:
        """Return the last hits of an entry, oldest first, and forget them."""
        return self._hits.pop(entry_id, [])
