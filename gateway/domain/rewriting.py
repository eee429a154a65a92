"""Replaces strings deep inside a JSON document without touching the rest of its bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.domain.document import Key, Members, without_lone_surrogates

Path = tuple[str | int, ...]
"""Where a value stands: names of members and positions in arrays, from the document down."""

Tree = dict[str | int, Any]
"""Edits by their first step; the leaves are new values as JSON."""

_MEMBERS: Final = msgspec.json.Decoder(Members, dec_hook=Key)
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_BEFORE_ITEM: Final = re.compile(rb"\s*[\[,]\s*")
_BEFORE_MEMBER: Final = re.compile(rb'[\s,{]*"[^"\\]*(?:\\.[^"\\]*)*"\s*:\s*', re.DOTALL)


def replace_texts(body: bytes, texts: Mapping[Path, str]) -> bytes:
    """Return a document with the strings at some places replaced; every other byte stays as it came.

    Args:
        body: a JSON document in which each place exists.
        texts: place to new text. Where a name stands twice in one object, every value of it is replaced.
    """
    if not texts:
        return body
    encoded = {path: msgspec.json.encode(text) for path, text in texts.items()}
    readable = body if body.isascii() and b"\\u" not in body else without_lone_surrogates(body)
    return _replaced(body, readable, _tree_of(encoded))


def replaced_in(document: Any, texts: Mapping[Path, str]) -> Any:
    """Return a decoded document with the strings at some places replaced; what holds none of them is shared."""
    return _copied(document, _tree_of(texts))


def path_name(path: Path) -> str:
    """Return a place as people write it: `messages[3].content[0].text`."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).removeprefix(".")


def _tree_of(values: Mapping[Path, Any]) -> Tree:
    tree: Tree = {}
    for path, value in values.items():
        branch = tree
        for step in path[:-1]:
            branch = branch.setdefault(step, {})
        branch[path[-1]] = value
    return tree


def _replaced(body: bytes, readable: bytes, edits: Tree | bytes) -> bytes:
    """Edit a value; `readable` has the same length, and no half surrogate pair."""
    if isinstance(edits, bytes):
        return edits
    is_array = all(isinstance(step, int) for step in edits)
    before = _BEFORE_ITEM if is_array else _BEFORE_MEMBER
    values = enumerate(_ITEMS.decode(readable)) if is_array else _MEMBERS.decode(readable).items()
    pieces: list[bytes] = []
    position = copied = 0
    for step, value in values:
        start = before.match(readable, position).end()  # type: ignore[union-attr]  # it was just parsed
        position = start + len(memoryview(value))
        inner = edits.get(step.name if isinstance(step, Key) else step)
        if inner is not None:
            pieces += (body[copied:start], _replaced(body[start:position], readable[start:position], inner))
            copied = position
    return b"".join([*pieces, body[copied:]])


def _copied(value: Any, edits: Any) -> Any:
    if not isinstance(edits, dict):
        return edits
    changed = list(value) if isinstance(value, list) else dict(value)
    for step, inner in edits.items():
        changed[step] = _copied(changed[step], inner)
    return changed
