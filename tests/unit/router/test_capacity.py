from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.capacity import Capacity, CapacityTable, bound_microusd, exceeds, shortfall, sift
from router.needs import Feature, Needs

NOTHING: frozenset[Feature] = frozenset()
PRICED = Capacity(input_price=3_000_000, output_price=15_000_000, max_output_tokens=1000, context_tokens=10_000)


def needs(prompt_tokens: int = 1000, output_tokens: int | None = None, *features: Feature, **fields: Any) -> Needs:
    return Needs(prompt_tokens, output_tokens, frozenset(features), fields.pop("text_bytes", 4000), **fields)


# ---------------------------------------------------------------- what a model lacks


@pytest.mark.parametrize(
    ("prompt", "asked", "longest", "reason"),
    [
        (8976, None, None, None),
        (8977, None, None, "context"),
        (9900, None, 100, None),
        (9901, None, 100, "context"),
        (5000, 5000, None, None),
        (5000, 5001, None, "context"),
        (5000, 90_000, 5000, None),
        (10_000, 0, None, None),
        (10_001, 0, 100, "context"),
    ],
)
def test_a_prompt_and_the_room_for_its_answer_must_fit(
    prompt: int, asked: int | None, longest: int | None, reason: str | None
) -> None:
    capacity = Capacity(context_tokens=10_000, max_output_tokens=longest)

    assert shortfall(needs(prompt, asked), capacity) == reason


def test_an_unknown_window_fits_everything() -> None:
    assert shortfall(needs(10**9, 10**9), Capacity(max_output_tokens=10)) is None


def test_the_first_ability_that_is_missing_is_named() -> None:
    wanting = needs(1000, None, "tools", "audio")

    assert shortfall(wanting, Capacity(features=NOTHING)) == "audio"
    assert shortfall(wanting, Capacity(features=frozenset({"audio"}))) == "tools"
    assert shortfall(wanting, Capacity(features=frozenset({"audio", "tools", "vision"}))) is None


def test_unknown_abilities_are_taken_to_be_there() -> None:
    assert shortfall(needs(1000, None, "vision"), Capacity()) is None


def test_the_window_is_looked_at_before_abilities() -> None:
    assert shortfall(needs(1000, None, "vision"), Capacity(context_tokens=10, features=NOTHING)) == "context"


# ---------------------------------------------------------------- what it may cost


@pytest.mark.parametrize(
    ("wanting", "microusd"),
    [
        (needs(output_tokens=100), 4000 * 3 + 100 * 15),
        (needs(output_tokens=5000), 4000 * 3 + 1000 * 15),
        (needs(), 4000 * 3 + 1000 * 15),
        (needs(output_tokens=100, choices=3), 4000 * 3 + 300 * 15),
        (needs(output_tokens=0), 4000 * 3),
        (needs(output_tokens=0, text_bytes=90_000), 10_000 * 3),
        (needs(output_tokens=0, text_bytes=90_000, inputs=4), 40_000 * 3),
        (needs(output_tokens=0, is_whole=False), 10_000 * 3),
        (needs(output_tokens=0, images=1), 10_000 * 3),
    ],
)
def test_the_most_a_request_may_cost(wanting: Needs, microusd: int) -> None:
    assert bound_microusd(wanting, PRICED) == microusd


def test_images_cost_what_they_are_declared_to_cost() -> None:
    capacity = Capacity(input_price=1_000_000, output_price=0, image_tokens=50)

    assert bound_microusd(needs(images=2, output_tokens=0), capacity) == 4100


def test_a_model_nobody_has_described_answers_at_the_default_length() -> None:
    capacity = Capacity(input_price=0, output_price=1_000_000)

    assert bound_microusd(needs(), capacity) == 8192
    assert bound_microusd(needs(output_tokens=20_000), capacity) == 20_000


def test_a_fraction_of_a_micro_dollar_is_rounded_up() -> None:
    assert bound_microusd(needs(output_tokens=0, text_bytes=1), Capacity(input_price=1, output_price=1)) == 1


def test_a_cost_is_within_the_callers_bound_or_it_is_told() -> None:
    wanting = needs(output_tokens=0)

    assert exceeds(wanting, PRICED, 12_000) is None
    assert exceeds(wanting, PRICED, 11_999) == "cost"


@pytest.mark.parametrize("capacity", [Capacity(), Capacity(input_price=1), Capacity(output_price=1)])
def test_nothing_is_promised_of_a_model_without_a_price(capacity: Capacity) -> None:
    assert bound_microusd(needs(), capacity) is None
    assert exceeds(needs(), capacity, 10**12) == "unpriced"


counts = st.integers(0, 10**6)


@given(
    text=counts, images=st.integers(0, 20), output=st.none() | counts, choices=st.integers(1, 8), used=st.floats(0, 1)
)
def test_what_is_used_never_costs_more_than_the_bound(
    text: int, images: int, output: int | None, choices: int, used: float
) -> None:
    wanting = needs(0, output, text_bytes=text, images=images, choices=choices)
    bound = bound_microusd(wanting, PRICED)
    assert bound is not None

    prompt = min(int(used * (text + images * 40_000)), 10_000)
    answer = int(used * min(1000, 1000 if output is None else output)) * choices

    assert prompt * 3 + answer * 15 <= bound


# ---------------------------------------------------------------- sifting

TABLE = CapacityTable({"small": Capacity(context_tokens=500), "blind": Capacity(features=NOTHING), "free": PRICED})


def test_candidates_that_nothing_is_known_of_need_no_check() -> None:
    table = CapacityTable({"known": Capacity(context_tokens=500), "described": Capacity(max_output_tokens=5)})

    assert table.check(needs(), ("described", "unheard-of")) is None
    assert table.check(needs(), ("described", "known")) is not None
    assert table.check(needs(), ("unheard-of",), 100) is not None


def test_without_a_check_every_candidate_is_kept_as_it_is() -> None:
    candidates = ("a", "b")

    kept, dropped = sift(candidates, None)

    assert kept is candidates
    assert dropped == {}


def test_candidates_that_pass_are_kept_as_they_are() -> None:
    candidates = ("free", "unheard-of")

    kept, dropped = sift(candidates, TABLE.check(needs(), candidates))

    assert kept is candidates
    assert dropped == {}


def test_each_candidate_is_kept_in_its_place_or_dropped_for_a_reason() -> None:
    candidates = ("unheard-of", "small", "free", "blind")

    kept, dropped = sift(candidates, TABLE.check(needs(1000, None, "vision"), candidates))

    assert kept == ("unheard-of", "free")
    assert dropped == {"small": "context", "blind": "vision"}


def test_a_bound_on_cost_drops_what_is_dear_and_what_has_no_price() -> None:
    candidates = ("unheard-of", "small", "free")

    assert sift(candidates, TABLE.check(needs(), candidates, 30_000)) == (
        ("free",),
        {"unheard-of": "unpriced", "small": "context"},
    )
    assert sift(candidates, TABLE.check(needs(), candidates, 10))[1]["free"] == "cost"
