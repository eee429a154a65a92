from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.errors import InvalidRequestError
from gateway.pricing import PriceTable
from gateway.rehearsal.preview import Asked, Preview, preview
from gateway.routing import build_router
from gateway.settings import Settings, prices_of
from router.wishes import Wishes
from tests.support.build import chat_request
from tests.support.policy import document_of, settings_of


def shown(asked: Asked, resting: tuple[str, ...] = (), **router: Any) -> Preview:
    document = document_of()
    document["router"] |= router
    settings: Settings = settings_of(document)
    prices = PriceTable(prices_of(settings))
    return preview(build_router(settings, prices), prices, settings.models, asked, lambda name: name in resting)


def test_a_preview_says_who_is_asked_in_which_order_and_what_that_saves() -> None:
    found = shown(Asked(request=chat_request("Hi", model="auto", max_tokens=100)))

    assert (found.target, found.tier, found.reason) == ("auto", "simple", "fixed")
    assert [(one.model, one.position) for one in found.considered] == [("small", 1), ("middle", 2), ("big", 3)]
    assert found.saved_share is not None
    assert 0 < found.saved_share < 1


def test_a_preview_of_a_scored_prompt_has_the_grounds() -> None:
    found = shown(Asked(request=chat_request("What is 2 + 2?", model="auto")), strategy="by_complexity")

    assert found.grounds is not None
    assert 0 <= found.grounds.score <= 1
    assert found.grounds.simple_below <= found.grounds.medium_below


def test_a_preview_says_what_models_lack_and_which_rest() -> None:
    wishes = Wishes(max_cost_microusd=200)
    request = chat_request("Hi", model="auto", max_tokens=1)

    found = shown(Asked(request=request, wishes=wishes), resting=("small",))

    small, *others = found.considered
    assert (small.model, small.resting, small.lacks) == ("small", True, None)
    assert {one.lacks for one in others} <= {"cost", None}


def test_a_pinned_model_is_shown_beside_those_of_tiers() -> None:
    found = shown(Asked(request=chat_request("Hi", model="big")))

    assert (found.tier, found.reason) == ("complex", "pinned")
    assert [one.model for one in found.considered if one.position is not None] == ["big"]


def test_what_nobody_may_answer_is_refused_as_it_would_be() -> None:
    with pytest.raises(InvalidRequestError):
        shown(Asked(request=chat_request("Hi", model="auto"), wishes=Wishes(max_cost_microusd=1)))
