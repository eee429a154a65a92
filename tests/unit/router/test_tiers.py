from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.errors import NotPermittedError, UnknownModelError
from gateway.domain.request import ModelRequest
from gateway.domain.tier import TIERS as ALL_TIERS
from gateway.domain.tier import TierName
from router import tiers as tiers_module
from router.base import Choice, Decision, Option
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


# ---------------------------------------------------------------- options

SMALL = Option("simple", ("small",))
LARGE = Option("complex", ("large", "small"))


def options(
    model: str, allowed: tuple[TierName, ...] = ALL_TIERS, made: Router | None = None, *, may_degrade: bool = False
) -> tuple[Option, ...]:
    return (made or router()).options(chat_request(model=model), allowed, may_degrade=may_degrade)


@pytest.mark.parametrize(
    ("model", "strict", "degrading"),
    [
        ("auto", (LARGE, SMALL), (LARGE, SMALL)),
        ("gpt-4o", (LARGE, SMALL), (LARGE, SMALL)),
        ("auto/complex", (LARGE,), (LARGE, SMALL)),
        ("auto/simple", (SMALL,), (SMALL,)),
        ("large", (Option("complex", ("large",)),), (Option("complex", ("large",)), SMALL)),
        ("mine", (Option("complex", ("large",)),), (Option("complex", ("large",)), SMALL)),
        ("small", (SMALL,), (SMALL,)),
        ("other", (Option(None, ("other",)),), (Option(None, ("other",)),)),
    ],
)
def test_who_may_answer_is_known_best_tier_first(
    model: str, strict: tuple[Option, ...], degrading: tuple[Option, ...]
) -> None:
    assert options(model) == strict
    assert options(model, may_degrade=True) == degrading


@pytest.mark.parametrize("model", ["nobody", "auto/medium", "team/x"])
def test_a_name_nobody_knows_has_no_options(model: str) -> None:
    with pytest.raises(UnknownModelError):
        options(model)


def test_an_unknown_name_may_have_the_options_of_auto() -> None:
    made = router(unknown_model="auto")

    assert options("nobody", made=made) == (LARGE, SMALL)
    with pytest.raises(UnknownModelError):
        options("auto/hard", made=made)


def test_without_any_tier_auto_has_no_options() -> None:
    with pytest.raises(UnknownModelError, match=r"router\.tiers"):
        options("auto", made=router(tiers={}))


def test_a_tier_that_policy_does_not_leave_is_no_option() -> None:
    assert options("auto", ("simple",)) == (SMALL,)


@pytest.mark.parametrize("model", ["large", "auto/complex"])
def test_a_name_whose_tier_policy_does_not_leave_is_refused(model: str) -> None:
    with pytest.raises(NotPermittedError) as caught:
        options(model, ("simple", "medium"))

    assert (caught.value.status, caught.value.code, caught.value.param) == (403, "model_not_allowed", "model")
    assert model in caught.value.message


@pytest.mark.parametrize("model", ["auto", "large", "small"])
def test_without_any_tier_left_nothing_with_a_tier_may_be_asked_for(model: str) -> None:
    with pytest.raises(NotPermittedError):
        options(model, (), may_degrade=True)


def test_a_model_of_no_tier_needs_none() -> None:
    assert options("other", ()) == (Option(None, ("other",)),)


def test_a_long_name_is_cut_in_the_refusal() -> None:
    with pytest.raises(NotPermittedError) as caught:
        options("x" * 10_000, (), router(unknown_model="auto"))

    assert len(caught.value.message) < 200


def test_options_are_remembered_for_each_policy() -> None:
    made = router()

    assert options("auto", ("simple",), made) is options("auto", ("simple",), made)
    assert options("auto", ALL_TIERS, made) == (LARGE, SMALL)
    assert options("large", ALL_TIERS, made, may_degrade=True) != options("large", ALL_TIERS, made)


def test_names_that_may_be_anything_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers_module, "_MOST_OPTIONS", 3)
    made = router(unknown_model="auto")

    found = [options(f"name-{number}", made=made) for number in range(9)]

    assert len(made._options) == 3
    assert found == [(LARGE, SMALL)] * 9


# ---------------------------------------------------------------- within what is held


def routed(model: str, *held: Option, made: Router | None = None) -> Decision:
    return (made or router()).route(chat_request(model=model), held)


def test_what_was_held_for_a_pinned_model_is_that_model() -> None:
    assert routed("large", Option("complex", ("large",)), SMALL).reason == "pinned"
    assert routed("other", Option(None, ("other",))).candidates == ("other",)


def test_the_decision_is_never_better_than_what_was_held() -> None:
    chosen = router(Choice("complex", 0.5, "chosen"))

    assert routed("auto", LARGE, SMALL, made=chosen).tier == "complex"
    assert routed("auto", SMALL, made=chosen) == Decision(
        tier="simple", confidence=0.5, reason="degraded", candidates=("small",)
    )


@pytest.mark.parametrize("model", ["large", "mine", "auto/complex"])
def test_a_name_may_be_answered_by_a_lower_tier_that_was_held(model: str) -> None:
    decision = routed(model, SMALL)

    assert (decision.tier, decision.reason, decision.candidates) == ("simple", "degraded", ("small",))


def test_a_cheap_choice_stays_cheap_whatever_was_held() -> None:
    assert routed("auto", LARGE, SMALL).candidates == ("small",)


def test_a_tier_without_candidates_is_not_called_degraded() -> None:
    made = router(Choice("complex", 0.5, "chosen"), tiers={"simple": ("small",)})

    assert routed("auto", *options("auto", made=made), made=made).reason == "empty-tier"


def test_every_decision_is_among_the_options() -> None:
    for choice in ALL_TIERS:
        made = router(Choice(choice, 1.0, "chosen"))
        for model in made.names():
            found = options(model, made=made, may_degrade=True)
            for held in range(len(found)):
                decision = routed(model, *found[held:], made=made)
                assert Option(decision.tier, decision.candidates) in found[held:]
