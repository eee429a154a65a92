from __future__ import annotations

from gateway.domain.money import Rate
from router.base import Option, Question
from router.learned import Learned
from router.settings import RouterSettings
from router.strategies.cheapest_healthy import CheapestHealthy
from tests.support.build import chat_request

RATES = {"s": Rate(5, 5, 5, 5), "c": Rate(1, 1, 1, 1)}
OPTIONS = (Option("complex", ("c", "unpriced")), Option("medium", ("m",)), Option("simple", ("s",)))


def made() -> tuple[CheapestHealthy, Learned]:
    settings = RouterSettings(default_tier="medium")
    learned = Learned(settings, ["s", "m", "c", "unpriced"], clock=lambda: 0.0)
    return CheapestHealthy(settings, learned, RATES), learned


def fail(learned: Learned, name: str) -> None:
    for number in range(20):
        learned.health.begin(name, f"key_{number}").fail("connect")


def test_the_tier_of_the_cheapest_model_is_chosen_whatever_its_rank() -> None:
    strategy, _ = made()

    choice = strategy.choose(Question(chat_request(), options=OPTIONS))

    assert (choice.tier, choice.confidence, choice.reason) == ("complex", 1.0, "cheapest")


def test_models_that_rest_do_not_count() -> None:
    strategy, learned = made()
    fail(learned, "c")

    assert strategy.choose(Question(chat_request(), options=OPTIONS)).tier == "simple"


def test_a_model_without_a_price_is_better_than_none() -> None:
    strategy, learned = made()
    fail(learned, "c")
    fail(learned, "s")

    assert strategy.choose(Question(chat_request(), options=OPTIONS)).tier in ("medium", "complex")


def test_where_nothing_works_the_default_tier_is_left() -> None:
    strategy, learned = made()
    for name in ("s", "m", "c", "unpriced"):
        fail(learned, name)

    choice = strategy.choose(Question(chat_request(), options=OPTIONS))

    assert (choice.tier, choice.reason) == ("medium", "none-healthy")
