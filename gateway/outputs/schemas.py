"""Compiled schemas of requests, kept for the next request with the same, and those of the settings."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from gateway.outputs.compiled import (
    MAX_EXPRESSIONS,
    MAX_SCHEMA_BYTES,
    CompiledSchema,
    Unchecked,
    encode_schema,
)
from gateway.outputs.survey import MAX_NODES, Obstacle, UnboundedError


class Schemas:
    """Compiled schemas, the most recently used of them.

    Args:
        max_kept: how many.
        max_kept_bytes: how much text they may have together. Compiled they take 25 times as much memory (measured), so
            the default is some 50 MB.
    """

    def __init__(self, max_kept: int = 512, max_kept_bytes: int = 2 * 1024 * 1024) -> None:
        self._max_kept = max_kept
        self._max_kept_bytes = max_kept_bytes
        self._kept: OrderedDict[bytes, tuple[CompiledSchema | Unchecked, int]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def compiled(self, schema: Any) -> CompiledSchema | Unchecked:
        """Return a schema ready for use, or why it is none."""
        try:
            text = encode_schema(schema)
        except ValueError:
            return Unchecked("schema_invalid")
        if len(text) > MAX_SCHEMA_BYTES:
            return Unchecked("schema_too_large")
        key = hashlib.blake2b(text, digest_size=16).digest()
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return kept[0]
        made = _compiled(schema, len(text))
        self._keep(key, made, len(text))
        return made

    def _keep(self, key: bytes, made: CompiledSchema | Unchecked, size: int) -> None:
        self._kept[key] = made, size
        self._bytes += size
        while len(self._kept) > self._max_kept or self._bytes > self._max_kept_bytes:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes -= dropped


def compile_schema(schema: Mapping[str, Any]) -> CompiledSchema:
    """Compile a schema out of the settings.

    Raises:
        ValueError: it is invalid, or could take too long; the message says which.
    """
    try:
        return CompiledSchema(schema, len(encode_schema(schema)))
    except UnboundedError as error:
        raise ValueError(_OBSTACLES[error.why]) from error


_OBSTACLES: Final[Mapping[Obstacle, str]] = {
    "reference": "a schema may refer to its own parts only, as in '#/$defs/name', and have an $id only at its root",
    "cycle": "the schema leads back to itself without a step into the value",
    "schema_too_deep": "the schema is nested too deeply",
    "schema_too_large": f"the schema has over {MAX_SCHEMA_BYTES} bytes, {MAX_NODES} parts, {MAX_EXPRESSIONS} patterns",
}


def _compiled(schema: Any, size: int) -> CompiledSchema | Unchecked:
    try:
        return CompiledSchema(schema, size)
    except UnboundedError as error:
        return Unchecked(error.why)
    except ValueError:
        return Unchecked("schema_invalid")
