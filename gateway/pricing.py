"""What an answer costs: a table of micro-dollars per million tokens, compiled when settings are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from gateway.domain.money import PER_MILLION, Price, Rate
from gateway.domain.usage import Usage

_PROBE_TOKENS: Final = 1000
"""Tokens a price is asked for when it is compiled: below every provider's first step for long prompts."""


class PriceTable:
    """The rate of every configured model.

    Args:
        prices: for each model its price, or the name under which genai-prices may know it.
    """

    def __init__(self, prices: Mapping[str, Price | str]) -> None:
        self._rates: dict[str, Rate] = {}
        for name, price in prices.items():
            rate = _from_catalogue(price) if isinstance(price, str) else _from_settings(price)
            if rate is not None:
                self._rates[name] = rate
        self.unpriced = sorted(set(prices) - set(self._rates))

    def rate(self, model: str) -> Rate | None:
        """Return a model's rate, None where its price is not known."""
        return self._rates.get(model)

    def dearest(self) -> Rate | None:
        """Return the highest price of each class among all models, None where no price is known."""
        if not self._rates:
            return None
        return Rate(*(max(getattr(rate, name) for rate in self._rates.values()) for name in Rate.__struct_fields__))

    def cost(self, model: str, usage: Usage) -> int | None:
        """Return what `usage` of a model costs in micro-dollars, None where its price is not known."""
        rate = self._rates.get(model)
        return None if rate is None else rate.cost(usage)


def _from_settings(price: Price) -> Rate:
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    return Rate(*(_micro(Decimal(str(dollars))) for dollars in (price.input, price.output, read, write)))


def _from_catalogue(model: str) -> Rate | None:
    """Ask genai-prices for each class of tokens by itself; None for a model it does not know."""
    # Imported here because it costs 180 ms and 25 MB, and settings that name every price need none of it.
    import genai_prices  # noqa: PLC0415

    def dollars_per_million(**tokens: int) -> Decimal:
        price = genai_prices.calc_price(genai_prices.Usage(**tokens), model)
        return price.total_price * PER_MILLION / _PROBE_TOKENS

    n = _PROBE_TOKENS
    try:
        return Rate(
            input=_micro(dollars_per_million(input_tokens=n)),
            output=_micro(dollars_per_million(output_tokens=n)),
            cache_read=_micro(dollars_per_million(input_tokens=n, cache_read_tokens=n)),
            cache_write=_micro(dollars_per_million(input_tokens=n, cache_write_tokens=n)),
        )
    except LookupError:
        return None


def _micro(dollars: Decimal) -> int:
    return int((dollars * PER_MILLION).to_integral_value(rounding="ROUND_CEILING"))
