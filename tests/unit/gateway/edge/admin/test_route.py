from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from litestar.datastructures import State

from gateway.domain.errors import InvalidRequestError, NotPermittedError
from gateway.edge.admin.route import RouteQuestion, try_route
from gateway.pricing import PriceTable
from gateway.rehearsal.preview import Preview
from gateway.routing import build_router
from gateway.settings import prices_of
from policies.effective import PolicyBook
from tests.support.policy import settings_of


async def tried(rules: dict[str, Any] | None = None, **question: Any) -> Preview:
    settings = settings_of(**(rules or {}))
    prices = PriceTable(prices_of(settings))
    pipeline = SimpleNamespace(
        router=build_router(settings, prices),
        prices=prices,
        policies=PolicyBook(settings.organisation),
        is_resting=lambda _: False,
    )
    state = State({"current": SimpleNamespace(version=SimpleNamespace(settings=settings, pipeline=pipeline))})
    found: Preview = await try_route.fn(RouteQuestion(**question), state)
    return found


async def test_a_text_is_tried() -> None:
    found = await tried(text="Hi")

    assert (found.requested_model, found.tier) == ("auto", "simple")


async def test_a_whole_request_is_tried() -> None:
    request = {"model": "big", "messages": [{"role": "user", "content": "Hi"}]}

    assert (await tried(request=request)).reason == "pinned"


async def test_headers_bound_it() -> None:
    found = await tried(text="Hi", headers={"X-Tierway-Min-Tier": "complex"})

    assert (found.tier, found.reason) == ("complex", "min-tier")


async def test_the_policy_of_a_key_bounds_it() -> None:
    rules = {"teams": {"search": {"tiers": ["simple", "medium"], "route": "by_complexity"}}}

    found = await tried(rules, text="Hi", model="middle", key="search/ci")

    assert (found.target, found.tier) == ("auto", "simple")
    with pytest.raises(NotPermittedError):
        await tried(rules, text="Hi", model="auto/complex", key="search/ci")


@pytest.mark.parametrize("question", [{}, {"text": "Hi", "request": {}}])
async def test_one_of_text_and_request_is_needed(question: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        await tried(**question)


async def test_headers_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidRequestError):
        await tried(text="Hi", headers={"x-tierway-min-tier": "enormous"})
