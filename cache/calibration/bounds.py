"""How large a share can be, given how often it was seen: the one-sided bound of Clopper and Pearson.

C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
Biometrika 26 (1934). The bound is a quantile of a beta distribution; the regularised incomplete beta function comes
from its continued fraction (DLMF 8.17.22, evaluated as by Lentz), the quantile from bisection.
"""

from __future__ import annotations

from math import exp, lgamma, log, log1p
from typing import Final

_MOST_TERMS: Final = 300
_SMALL: Final = 1e-300
_CLOSE: Final = 1e-12
_HALVINGS: Final = 60


def upper_bound(wrong: int, seen: int, confidence: float = 0.95) -> float:
    """Return the largest share that is still plausible: with this confidence the true one is not above.

    Args:
        wrong: how often it was seen, 0 to `seen`.
        seen: how many were looked at, 0 or more; of none nothing is known, and the bound is 1.
        confidence: above 0 and below 1.

    Raises:
        ValueError: the counts are none.
    """
    _check(wrong, seen, confidence)
    if wrong == seen:
        return 1.0
    return _quantile(confidence, wrong + 1.0, float(seen - wrong))


def lower_bound(wrong: int, seen: int, confidence: float = 0.95) -> float:
    """Return the smallest share that is still plausible: with this confidence the true one is not below.

    Args:
        wrong: as for `upper_bound`.
        seen: as for `upper_bound`; of none the bound is 0.
        confidence: above 0 and below 1.

    Raises:
        ValueError: the counts are none.
    """
    _check(wrong, seen, confidence)
    if wrong == 0:
        return 0.0
    return _quantile(1.0 - confidence, float(wrong), seen - wrong + 1.0)


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), 0 to 1.

    Args:
        x: 0 to 1.
        a: above 0.
        b: above 0.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):  # where the fraction converges fast; elsewhere the other tail is taken
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1.0 - x, b, a) / b


def _check(wrong: int, seen: int, confidence: float) -> None:
    if not 0 <= wrong <= seen:
        raise ValueError(f"{wrong} of {seen} is no count")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"a confidence is above 0 and below 1, not {confidence}")


def _quantile(probability: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if incomplete_beta(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < _CLOSE:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _SMALL else _SMALL
