from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.errors import UnknownModelError
from gateway.domain.request import ModelRequest
from router.base import Choice, Decision
from router.settings import RouterSettings
from router.tiers import Router
from tests.support.build import chat_request

MODELS = ("small", "large", "other", "a/b")
TIERS = {"simple": ("small",), "complex": ("large", "small")}
ALIASES = {"gpt-4o": "auto", "cheap": "auto/simple", "mine": "large"}


class Strategy:
    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome

    def choose(self, request: ModelRequest) -> Choice:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        found: Choice = self._outcome
        return found


def router(outcome: Any = Choice("simple", 0.5, "chosen"), **settings: Any) -> Router:  # noqa: B008  it is frozen
    found = RouterSettings(**{"tiers": TIERS, **settings})
    return Router(found, Strategy(outcome), MODELS, ALIASES)


def route(model: str, made: Router | None = None) -> Decision:
    return (made or router()).route(chat_request(model=model))


@pytest.mark.parametrize(("model", "tier"), [("small", "simple"), ("large", "complex"), ("other", None), ("a/b", None)])
def test_a_models_own_name_is_pinned_in_its_first_tier(model: str, tier: str | None) -> None:
    assert route(model) == Decision(tier=tier, confidence=1.0, reason="pinned", candidates=(model,))  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["auto", "gpt-4o"])
def test_auto_and_its_aliases_are_decided_by_the_strategy(model: str) -> None:
    assert route(model) == Decision(tier="simple", confidence=0.5, reason="chosen", candidates=("small",))


@pytest.mark.parametrize("model", ["auto/simple", "cheap"])
def test_a_tier_may_be_named(model: str) -> None:
    assert route(model) == Decision(tier="simple", confidence=1.0, reason="named", candidates=("small",))


def test_candidates_keep_their_order() -> None:
    assert route("auto/complex").candidates == ("large", "small")


def test_an_alias_of_a_model_is_that_model() -> None:
    assert route("mine").candidates == ("large",)


@pytest.mark.parametrize(
    "model", ["nobody", "Small", "auto/medium", "auto/hard", "auto/simple/x", "autos", "team/x", "/"]
)
def test_a_name_nobody_knows_is_refused(model: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        route(model)

    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")
    assert model in caught.value.message


def test_a_long_name_is_cut_in_the_message() -> None:
    with pytest.raises(UnknownModelError) as caught:
        route("x" * 10_000)

    assert len(caught.value.message) < 200


def test_unknown_names_may_be_routed() -> None:
    made = router(unknown_model="auto")

    assert route("nobody", made).reason == "chosen"
    for model in ("auto/hard", "team/x"):
        with pytest.raises(UnknownModelError):
            route(model, made)


@pytest.mark.parametrize("outcome", [RuntimeError("broken"), None, Choice("hard", 1.0, "x")])  # type: ignore[arg-type]
def test_a_broken_strategy_means_the_default_tier_and_is_counted(outcome: Any) -> None:
    made = router(outcome, default_tier="complex")

    assert route("auto", made) == Decision(
        tier="complex", confidence=0.0, reason="fallback", candidates=("large", "small")
    )
    assert made.failures == 1


@pytest.mark.parametrize(
    ("tiers", "chosen", "given"),
    [
        ({"complex": ("large",)}, "simple", "complex"),
        ({"medium": ("large",), "complex": ("large",)}, "simple", "medium"),
        ({"simple": ("small",)}, "complex", "simple"),
        ({"simple": ("small",), "medium": ("large",)}, "complex", "medium"),
        ({"simple": ("small",), "complex": ("large",)}, "medium", "complex"),
        ({"simple": ("small",), "complex": ()}, "complex", "simple"),
    ],
)
def test_an_empty_tier_passes_to_the_next_one_up_then_down(tiers: Any, chosen: Any, given: str) -> None:
    decision = route("auto", router(Choice(chosen, 0.5, "chosen"), tiers=tiers))

    assert decision.tier == given
    assert decision.reason == "empty-tier"


def test_without_any_tier_auto_is_unknown() -> None:
    with pytest.raises(UnknownModelError, match=r"router\.tiers"):
        route("auto", router(tiers={}))


def test_every_name_that_may_be_asked_for_is_listed() -> None:
    assert router().names() == [*MODELS, *ALIASES, "auto", "auto/simple", "auto/complex"]


def test_without_tiers_no_virtual_name_is_listed() -> None:
    assert router(tiers={"simple": ()}).names() == [*MODELS, *ALIASES]


@pytest.mark.parametrize("model", router().names())
def test_every_name_that_is_listed_can_be_asked_for(model: str) -> None:
    assert route(model).candidates
