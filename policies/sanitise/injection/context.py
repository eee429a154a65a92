"""What a system message adds: some requests are attacks only against a model that was told to keep something."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from policies.sanitise.injection.reading import LONGEST, read

_GUARDS: Final = re.compile(rb"Q.{0,3}[RVDX].{0,8}[KISB]|[KIS].{0,12}Q.{0,3}[RVDX]", re.DOTALL)
"""A system message that says not to tell a secret or its instructions, in notions of `lexicon.WORDS`."""

_AFTER: Final = re.compile(rb"[REV].{0,6}[KI]|[KI].{0,6}[RE]|E.{0,6}[KDI]", re.DOTALL)
"""A text that wants something told, spelt or encoded."""


def presses(copy: str, system: str) -> bool:
    """Tell whether a text is after what a system message guards; both are plain copies."""
    return _guards(system) and _AFTER.search(_notions(copy)) is not None


@lru_cache(maxsize=256)
def _guards(system: str) -> bool:
    return _GUARDS.search(_notions(system)) is not None


def _notions(copy: str) -> bytes:
    raw = copy.encode("utf-8", "replace")[:LONGEST]
    return read(raw, is_ascii=copy.isascii()).notions.tobytes()
