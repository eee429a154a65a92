"""How sure a figure is: intervals that hold the true one 95 times of 100."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

Z: Final = 1.959963984540054
"""The 97.5th percentile of the normal distribution."""

_T: Final = (12.7062, 4.3027, 3.1824, 2.7764)
"""The same of Student's for 1 to 4 degrees of freedom, where the series below is not close enough."""


class Interval(NamedTuple):
    """A figure and the bounds it is between, low first; bounds are None where too little is known."""

    value: float
    low: float | None
    high: float | None


NOTHING: Final = Interval(0.0, None, None)


class Moments:
    """The number, sum and sum of squares of some amounts; exact where they are whole numbers."""

    __slots__ = ("count", "squares", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total: float = 0
        self.squares: float = 0

    def add(self, amount: float) -> None:
        """Take an amount in."""
        self.count += 1
        self.total += amount
        self.squares += amount * amount

    def remove(self, amount: float) -> None:
        """Take an amount out again that was taken in."""
        self.count -= 1
        self.total -= amount
        self.squares -= amount * amount

    @property
    def mean(self) -> float:
        """Their mean, 0 where there are none."""
        return self.total / self.count if self.count else 0.0

    @property
    def variance(self) -> float:
        """The variance of what they are a sample of; 0 below two of them."""
        if self.count < 2:
            return 0.0
        spread = self.count * self.squares - self.total * self.total
        return max(spread / (self.count * (self.count - 1)), 0.0)


def wilson(successes: float, count: int) -> Interval:
    """Return a rate and its score interval (E. B. Wilson, JASA 22, 1927, p. 209).

    Args:
        successes: 0 to `count`. Halves, for ties, make the interval wider than it need be and never narrower: no
            score between 0 and 1 varies more about its mean than one that is either.
        count: of trials, 0 or more.
    """
    if count <= 0:
        return NOTHING
    rate = successes / count
    denominator = 1 + Z * Z / count
    middle = (rate + Z * Z / (2 * count)) / denominator
    reach = Z / denominator * math.sqrt(rate * (1 - rate) / count + Z * Z / (4 * count * count))
    return Interval(rate, max(middle - reach, 0.0), min(middle + reach, 1.0))


def mean_interval(moments: Moments) -> Interval:
    """Return a mean and Student's interval for it; no bounds below two amounts."""
    if moments.count < 2:
        return Interval(moments.mean, None, None)
    reach = student(moments.count - 1) * math.sqrt(moments.variance / moments.count)
    return Interval(moments.mean, moments.mean - reach, moments.mean + reach)


def mean_difference(first: Moments, second: Moments) -> Interval:
    """Return the first mean less the second, with Welch's interval (Biometrika 34, 1947, p. 28)."""
    if min(first.count, second.count) < 2:
        return NOTHING
    value = first.mean - second.mean
    a, b = first.variance / first.count, second.variance / second.count
    if a + b == 0:
        return Interval(value, value, value)
    freedom = (a + b) ** 2 / (a * a / (first.count - 1) + b * b / (second.count - 1))
    reach = student(freedom) * math.sqrt(a + b)
    return Interval(value, value - reach, value + reach)


def rate_difference(first: int, first_count: int, second: int, second_count: int) -> Interval:
    """Return the first rate less the second, with Newcombe's interval (Statistics in Medicine 17, 1998, method 10)."""
    a, b = wilson(first, first_count), wilson(second, second_count)
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return NOTHING
    value = a.value - b.value
    below = math.hypot(a.value - a.low, b.high - b.value)
    above = math.hypot(a.high - a.value, b.value - b.low)
    return Interval(value, value - below, value + above)


def student(freedom: float) -> float:
    """Return the 97.5th percentile of Student's distribution, off by less than 0.002.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5; a table below five degrees of freedom.

    Args:
        freedom: degrees of freedom, >= 1; below five they are rounded down, which widens.
    """
    if freedom < 5:
        return _T[max(int(freedom), 1) - 1]
    z, n = Z, freedom
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / n + second / n**2 + third / n**3 + fourth / n**4
