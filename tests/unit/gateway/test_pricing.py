from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.money import Price, Rate
from gateway.domain.usage import NO_USAGE, Usage
from gateway.pricing import PriceTable

CLASSES = [
    "input_tokens", "cached_tokens", "cache_write_tokens", "input_audio_tokens", "output_tokens",
    "reasoning_tokens", "output_audio_tokens",
]  # fmt: skip


def priced(**price: float) -> PriceTable:
    return PriceTable({"m": Price(**{"input": 1.0, "output": 2.0, **price})})


def test_a_fraction_of_a_micro_dollar_is_rounded_up_once() -> None:
    rate = Rate(input=300_000, output=300_000, cache_read=300_000, cache_write=300_000)

    assert rate.cost(Usage(input_tokens=1)) == 1
    assert rate.cost(Usage(input_tokens=1, cached_tokens=1, cache_write_tokens=1)) == 1
    assert rate.cost(Usage(input_tokens=1, cached_tokens=1, cache_write_tokens=1, output_tokens=1)) == 2
    assert rate.cost(NO_USAGE) == 0


@pytest.mark.parametrize(
    ("tokens", "micro_dollars"),
    [
        ({"input_tokens": 1}, 3), ({"input_audio_tokens": 1}, 3), ({"cached_tokens": 1}, 5),
        ({"cache_write_tokens": 1}, 7), ({"output_tokens": 1}, 11), ({"reasoning_tokens": 1}, 11),
        ({"output_audio_tokens": 1}, 11),
    ],
)  # fmt: skip
def test_each_class_of_tokens_has_its_price(tokens: dict[str, int], micro_dollars: int) -> None:
    costs = priced(input=3, output=11, cache_read=5, cache_write=7)

    assert costs.cost("m", Usage(**tokens)) == micro_dollars  # type: ignore[arg-type]  # only token counts


@given(st.fixed_dictionaries({name: st.integers(min_value=0, max_value=10**7) for name in CLASSES}))
def test_every_token_is_priced_once(tokens: dict[str, int]) -> None:
    rate = Rate(input=1_000_000, output=1_000_000, cache_read=1_000_000, cache_write=1_000_000)

    assert rate.cost(Usage(**tokens)) == sum(tokens.values())  # type: ignore[arg-type]  # only token counts


@given(st.fixed_dictionaries({name: st.integers(min_value=0, max_value=10**7) for name in CLASSES}))
def test_a_cost_is_at_least_its_exact_value_and_less_than_one_more(tokens: dict[str, int]) -> None:
    usage = Usage(**tokens)  # type: ignore[arg-type]  # only token counts
    rate = Rate(input=150_000, output=600_000, cache_read=75_000, cache_write=187_500)
    exact = (
        (usage.input_tokens + usage.input_audio_tokens) * 150_000
        + usage.cached_tokens * 75_000
        + usage.cache_write_tokens * 187_500
        + usage.completion_tokens * 600_000
    )

    assert 0 <= rate.cost(usage) * 1_000_000 - exact < 1_000_000


def test_cached_tokens_cost_the_input_price_where_no_other_is_given() -> None:
    costs = priced(input=3.0)

    assert costs.cost("m", Usage(cached_tokens=1)) == 3
    assert costs.cost("m", Usage(cache_write_tokens=1)) == 3


def test_a_price_of_nothing_is_kept() -> None:
    costs = priced(input=3.0, cache_read=0.0, cache_write=0.0)

    assert costs.cost("m", Usage(cached_tokens=1000, cache_write_tokens=1000)) == 0


def test_a_price_with_many_decimals_is_exact() -> None:
    assert priced(input=0.075).cost("m", Usage(input_tokens=1_000_000)) == 75_000


def test_a_known_model_is_priced_by_its_name() -> None:
    costs = PriceTable({"cheap": "gpt-4o-mini"})

    assert costs.cost("cheap", Usage(input_tokens=1_000_000)) == 150_000
    assert costs.cost("cheap", Usage(cached_tokens=1_000_000)) == 75_000
    assert costs.cost("cheap", Usage(output_tokens=1_000_000)) == 600_000
    assert costs.unpriced == []


def test_writing_to_the_cache_is_not_free_where_it_has_no_price_of_its_own() -> None:
    costs = PriceTable({"cheap": "gpt-4o-mini"})

    assert costs.cost("cheap", Usage(cache_write_tokens=1_000_000)) == 150_000


def test_writing_to_the_cache_has_the_providers_price() -> None:
    costs = PriceTable({"sonnet": "claude-sonnet-4-5"})

    assert costs.cost("sonnet", Usage(cache_write_tokens=1_000_000)) == 3_750_000


def test_an_unknown_model_has_no_cost() -> None:
    costs = PriceTable({"mine": "nobody-knows-this", "cheap": "gpt-4o-mini"})

    assert costs.cost("mine", Usage(input_tokens=1)) is None
    assert costs.cost("not-configured", Usage(input_tokens=1)) is None
    assert costs.unpriced == ["mine"]


def test_prices_given_in_the_settings_need_no_catalogue() -> None:
    program = (
        "import sys; from gateway.domain.money import Price; from gateway.pricing import PriceTable\n"
        "PriceTable({'m': Price(input=1.0, output=2.0)})\n"
        "sys.exit('genai_prices' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], check=False)

    assert done.returncode == 0
