"""Money as whole micro-dollars, rounded up once."""

from __future__ import annotations

from typing import NewType

MicroUSD = NewType("MicroUSD", int)
"""A millionth of a US dollar."""

PER_MILLION = 1_000_000


def ceil_div(numerator: int, denominator: int) -> int:
    """Divide rounding up, so that a fraction of a micro-dollar is never given away."""
    return -(-numerator // denominator)


def format_usd(amount: int) -> bytes:
    """Write micro-dollars as a decimal number of dollars: `75` becomes `0.000075`."""
    return b"%d.%06d" % divmod(amount, PER_MILLION)
