"""The suite's own secrets, and what finds them in what was logged."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

WELL_KNOWN: Final = (
    "upstream-credential-0123456789abcdef",
    "anthropic-credential-0123456789abcdef",
    "sk-a-key-for-everything-0001",
    "sk-a-key-for-one-model-00001",
    "sk-tw-0123456789abcdef",
    "key-of-the-red-team-0123456789",
    "key-of-the-blue-team-0123456789",
    "an-admin-key-of-some-length",
    "admin-key-of-the-race-0123456789",
    "an-encryption-key-0123456789",
)
"""Keys that many tests use."""

_SECRET_FIELDS: Final = frozenset({"secret", "api_key", "admin_key", "encryption_key"})
_SHORTEST: Final = 12
"""Characters; shorter ones are ordinary words that may stand anywhere."""


def secrets_of(settings: Any) -> Iterator[str]:
    """Yield the secrets that a settings file holds in plain text."""
    if isinstance(settings, Mapping):
        for name, value in settings.items():
            if name in _SECRET_FIELDS and isinstance(value, str) and len(value) >= _SHORTEST and "${" not in value:
                yield value
            else:
                yield from secrets_of(value)
    elif isinstance(settings, list | tuple):
        for one in settings:
            yield from secrets_of(one)


def places_of(secrets: Iterable[str], *texts: str) -> list[str]:
    """Return the secrets that stand in any of the texts, without their middle."""
    return sorted({f"{secret[:4]}...{secret[-4:]}" for secret in secrets for text in texts if secret in text})


class LeakWatch(logging.Handler):
    """Looks at all that is logged in this process.

    Attributes:
        found: what held a secret: the logger and the beginning of its template.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one record, its traceback included."""
        extra = json.dumps({name: str(value) for name, value in vars(record).items() if name != "args"})
        if places_of(WELL_KNOWN, self.format(record), extra):
            self.found.append(f"{record.name}: {str(record.msg)[:60]!r}")

    def take(self) -> list[str]:
        """Return what was found since the last look."""
        found, self.found = self.found, []
        return found
