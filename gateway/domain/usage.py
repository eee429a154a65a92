"""What an answer consumed, in tokens by class."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Provenance = Literal["provider", "counted", "estimated", "none"]
"""Where the numbers come from: the provider's usage object, our count of what passed, a guess from sizes."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Tokens of one answer. The classes are disjoint: their sum is the total the provider bills.

    Attributes:
        input_tokens: prompt tokens that are in none of the next three classes.
        cached_tokens: prompt tokens served from the provider's prompt cache.
        cache_write_tokens: prompt tokens written to that cache at a price of their own.
        input_audio_tokens: prompt tokens that were audio.
        output_tokens: generated tokens that are in none of the next two classes.
        reasoning_tokens: generated tokens the caller does not see.
        output_audio_tokens: generated tokens that are audio.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    input_audio_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0
    provenance: Provenance = "provider"

    @property
    def prompt_tokens(self) -> int:
        """All tokens sent."""
        return self.input_tokens + self.cached_tokens + self.cache_write_tokens + self.input_audio_tokens

    @property
    def completion_tokens(self) -> int:
        """All tokens generated."""
        return self.output_tokens + self.reasoning_tokens + self.output_audio_tokens

    def plus(self, other: Usage) -> Usage:
        """Return what two answers consumed together; it is as certain as the less certain of them."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in _CLASSES}
        least = max(self.provenance, other.provenance, key=_PROVENANCES.index)
        return Usage(**sums, provenance=least)


_CLASSES: Final = tuple(name for name in Usage.__struct_fields__ if name != "provenance")
_PROVENANCES: Final[tuple[Provenance, ...]] = ("none", "provider", "counted", "estimated")
"""The most certain first; nothing at all is certain too."""

NO_USAGE = Usage(provenance="none")
"""Nothing was consumed, or nothing is known of it."""
