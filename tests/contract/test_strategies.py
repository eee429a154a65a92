"""Every router strategy."""

from __future__ import annotations

import pytest

from gateway.domain.chat import ChatRequest
from gateway.domain.money import Rate
from gateway.domain.tier import TIERS
from router.base import Option, Question, Strategy
from router.catalogue import STRATEGIES, build_strategy
from router.learned import Learned
from tests.support.build import chat_request
from tests.support.members import STRATEGIES as FIXTURES

REQUESTS = {
    "short": chat_request("Hi"),
    "empty": chat_request(""),
    "none": chat_request(None),
    "long": chat_request("word " * 50_000),
    "parts": chat_request([{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "data:"}}]),
    "no parts": chat_request([]),
    "unicode": chat_request("שלום 你好 😀 \u202e"),
    "tools": chat_request("Hi", tools=[{"type": "function", "function": {"name": "f"}}], tool_choice="auto"),
    "stream": chat_request("Hi", stream=True),
}


RATES = {"s": Rate(1, 2, 1, 1), "m": Rate(10, 20, 10, 10)}
OPTIONS = (Option("complex", ("m",)), Option("simple", ("s",)))


@pytest.fixture(params=[strategy.name for strategy in STRATEGIES])
def strategy(request: pytest.FixtureRequest) -> Strategy:
    settings = FIXTURES[request.param]
    names = [name for candidates in settings.tiers.values() for name in candidates]
    return build_strategy(settings, Learned(settings, names), RATES)


def test_the_settings_name_the_strategy(strategy: Strategy) -> None:
    assert type(strategy) in STRATEGIES
    assert FIXTURES[type(strategy).name].strategy == type(strategy).name  # type: ignore[attr-defined]  # each has a name


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_every_request_gets_a_tier(strategy: Strategy, request_: ChatRequest) -> None:
    choice = strategy.choose(Question(request_, options=OPTIONS))

    assert choice.tier in TIERS
    assert 0 <= choice.confidence <= 1
    assert choice.reason
    assert choice.reason.isascii()
    assert choice.reason.isprintable()
    assert ";" not in choice.reason


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_the_same_request_gets_the_same_tier(strategy: Strategy, request_: ChatRequest) -> None:
    assert strategy.choose(Question(request_, options=OPTIONS)) == strategy.choose(Question(request_, options=OPTIONS))
