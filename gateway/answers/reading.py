"""Reading of answers that others made: any member may be missing or of any type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.domain.document import without_lone_surrogates

Document = dict[str, Any]
"""A decoded JSON object."""


def decoded(text: bytes) -> tuple[Document | None, bool]:
    """Return a JSON object, None for what is none, and whether it says all that the text does.

    Half a surrogate pair, which JSON allows, reads as U+FFFD.
    """
    try:
        try:
            document, is_exact = msgspec.json.decode(text), True
        except msgspec.DecodeError:
            document, is_exact = msgspec.json.decode(without_lone_surrogates(text)), False
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, False
    return (document if isinstance(document, dict) else None), is_exact


def objects(value: Any) -> list[Document]:
    """Return the objects of a list, none for what is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def an_object(value: Any) -> Document:
    """Return an object, an empty one for what is none."""
    return value if isinstance(value, dict) else {}


def a_text(value: Any) -> str:
    """Return a text, an empty one for what is none."""
    return value if isinstance(value, str) else ""


def texts(items: Iterable[Mapping[str, Any]], name: str) -> list[str]:
    """Return the texts that some members are."""
    return [value for item in items if isinstance(value := item.get(name), str) and value]


def has_more_than(document: Mapping[str, Any], known: frozenset[str]) -> bool:
    """Tell whether a member of an unknown name says something: null, an empty list and an empty object say nothing."""
    if known.issuperset(document):
        return False
    return any(value not in (None, [], {}) for name, value in document.items() if name not in known)
