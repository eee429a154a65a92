"""The secrets that settings hold, for the guard that lets none of them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.domain.secret import Secret


def secrets_of(settings: Any) -> Iterator[str]:
    """Yield every `Secret` within settings: credentials of upstreams, keys of callers, keys that seal."""
    if isinstance(settings, Secret):
        yield settings.reveal()
    elif isinstance(settings, msgspec.Struct):
        for name in settings.__struct_fields__:
            yield from secrets_of(getattr(settings, name))
    elif isinstance(settings, Mapping):
        for value in settings.values():
            yield from secrets_of(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from secrets_of(value)
