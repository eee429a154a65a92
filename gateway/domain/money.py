"""Money: prices as people write them, amounts as whole micro-dollars, rounded up once."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.domain.usage import Usage

PER_MILLION = 1_000_000

Dollars = Annotated[float, msgspec.Meta(ge=0)]
"""US dollars per million tokens, 0 or more."""


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model costs, in US dollars per million tokens."""

    input: Dollars
    """Prompt tokens."""
    output: Dollars
    """Generated tokens, reasoning included."""
    cache_read: Dollars | None = None
    """Prompt tokens served from the provider's prompt cache; the input price where absent."""
    cache_write: Dollars | None = None
    """Prompt tokens written to that cache; the input price where absent."""


def ceil_div(numerator: int, denominator: int) -> int:
    """Divide rounding up, so that a fraction of a micro-dollar is never given away."""
    return -(-numerator // denominator)


class Rate(msgspec.Struct, frozen=True):
    """Micro-dollars per million tokens of each class; audio and reasoning cost what their direction costs."""

    input: int
    output: int
    cache_read: int
    cache_write: int

    @property
    def dearest_input(self) -> int:
        """The most that a prompt token may cost: which class it falls into is the provider's to say."""
        return max(self.input, self.cache_read, self.cache_write)

    def cost(self, usage: Usage) -> int:
        """Return the cost in micro-dollars, rounded up once."""
        total = (
            (usage.input_tokens + usage.input_audio_tokens) * self.input
            + usage.cached_tokens * self.cache_read
            + usage.cache_write_tokens * self.cache_write
            + (usage.output_tokens + usage.reasoning_tokens + usage.output_audio_tokens) * self.output
        )
        return ceil_div(total, PER_MILLION)


def format_usd(amount: int) -> bytes:
    """Write micro-dollars as a decimal number of dollars: `75` becomes `0.000075`."""
    return b"%d.%06d" % divmod(amount, PER_MILLION)
