from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.domain.errors import InvalidRequestError, NotPermittedError, UnknownModelError
from gateway.domain.tier import TIERS as ALL_TIERS
from gateway.domain.tier import TierName
from router import tiers as tiers_module
from router.base import Choice, Decision, Option, Question
from router.capacity import Capacity, CapacityTable
from router.settings import RouterSettings
from router.tiers import MOST_MICROUSD, Router
from router.wishes import Wishes
from tests.support.build import chat_request

MODELS = ("small", "large", "other", "a/b")
TIERS = {"simple": ("small",), "complex": ("large", "small")}
ALIASES = {"gpt-4o": "auto", "cheap": "auto/simple", "mine": "large"}


class Strategy:
    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome

    def choose(self, question: Question) -> Choice:
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
    spare = (Option("complex", ("large",)),)
    assert route(model) == Decision(tier="simple", confidence=0.5, reason="chosen", candidates=("small",), spare=spare)


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


SIZED = {"simple": ("small",), "medium": ("other",), "complex": ("large",)}
CAPACITIES = CapacityTable(
    {
        "small": Capacity(
            context_tokens=2_000,
            max_output_tokens=500,
            features=frozenset(),
            input_price=1_000_000,
            output_price=1_000_000,
        ),
        "other": Capacity(context_tokens=8_000, features=frozenset({"tools"})),
        "large": Capacity(max_output_tokens=1_000, input_price=10_000_000, output_price=50_000_000),
    }
)
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]


def sized(**settings: Any) -> Router:
    found = RouterSettings(**{"tiers": SIZED, **settings})
    return Router(found, Strategy(Choice("simple", 0.9, "easy")), MODELS, {}, capacities=CAPACITIES)


def decided(request: Any, made: Router | None = None, **fields: Any) -> Decision:
    return (made or sized()).route(request, **fields)


def test_a_model_that_lacks_something_passes_to_the_next_tier_up() -> None:
    found = decided(chat_request("Hi", model="auto", tools=TOOLS))

    assert (found.tier, found.candidates, found.reason) == ("medium", ("other",), "tools")
    assert found.lacking == {"small": "tools"}


def test_a_prompt_that_does_not_fit_goes_where_it_does() -> None:
    found = decided(chat_request("word " * 4_000, model="auto"))

    assert (found.tier, found.reason) == ("medium", "context")


def test_where_nothing_fits_the_provider_has_the_last_word() -> None:
    made = sized(tiers={"simple": ("small",)})

    found = decided(chat_request("word " * 4_000, model="auto"), made)

    assert (found.tier, found.candidates, found.reason) == ("simple", ("small",), "easy")


def test_the_next_tiers_up_are_spare() -> None:
    assert decided(chat_request("Hi", model="auto")).spare == (
        Option("medium", ("other",)),
        Option("complex", ("large",)),
    )
    assert decided(chat_request("Hi", model="auto"), sized(next_tier=False)).spare == ()


def test_a_tier_that_is_named_has_no_spare() -> None:
    assert decided(chat_request("Hi", model="auto/medium")).spare == ()


@pytest.mark.parametrize(
    ("wishes", "tier", "reason"),
    [
        (Wishes(min_tier="medium"), "medium", "min-tier"),
        (Wishes(max_tier="medium"), "simple", "easy"),
        (Wishes(role="orchestrator"), "complex", "role=orchestrator"),
        (Wishes(role="formatter"), "simple", "role=formatter"),
        (Wishes(role="orchestrator", max_tier="medium"), "medium", "max-tier"),
    ],
)
def test_callers_bound_what_is_decided(wishes: Wishes, tier: str, reason: str) -> None:
    found = decided(chat_request("Hi", model="auto"), wishes=wishes)

    assert (found.tier, found.reason) == (tier, reason)


def test_bounds_leave_the_tiers_within_them() -> None:
    options = sized().options(
        chat_request(model="auto"), ALL_TIERS, may_degrade=False, wishes=Wishes(max_tier="medium")
    )

    assert [option.tier for option in options] == ["medium", "simple"]


def test_bounds_that_leave_nothing_are_refused() -> None:
    with pytest.raises(NotPermittedError):
        sized().options(chat_request(model="auto"), ("simple",), may_degrade=False, wishes=Wishes(min_tier="complex"))


def test_bounds_do_not_concern_a_model_that_is_asked_for_by_its_name() -> None:
    options = sized().options(
        chat_request(model="large"), ALL_TIERS, may_degrade=False, wishes=Wishes(max_tier="simple")
    )

    assert [option.candidates for option in options] == [("large",)]


def test_models_that_may_cost_more_than_is_allowed_are_left_out() -> None:
    found = decided(chat_request("Hi", model="auto"), wishes=Wishes(max_cost_microusd=5_000))

    assert found.candidates == ("small",)
    assert found.lacking == {"other": "unpriced", "large": "cost"}
    assert found.spare == ()


@pytest.mark.parametrize("model", ["auto", "large"])
def test_a_cost_that_no_model_stays_below_is_refused(model: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        decided(chat_request("Hi", model=model), wishes=Wishes(max_cost_microusd=10))

    assert caught.value.code == "max_cost_exceeded"


def test_a_team_may_have_all_of_its_models_routed() -> None:
    made = sized()

    assert made.target("large") == "large"
    assert made.target("large", routes_all=True) == "auto"
    assert made.target("auto/simple", routes_all=True) == "auto/simple"
    assert Router(RouterSettings(), Strategy(None), MODELS, {}).target("large", routes_all=True) == "large"


def test_the_balancer_orders_the_candidates_of_a_tier() -> None:
    class Reversed:
        name, is_keyed = "weighted", True

        def __init__(self) -> None:
            self.keys: list[bytes] = []

        def order(self, candidates: Sequence[str], key: bytes) -> tuple[str, ...]:
            self.keys.append(key)
            return tuple(reversed(candidates))

    balancer = Reversed()
    settings = RouterSettings(tiers={"complex": ("large", "small")})
    made = Router(settings, Strategy(Choice("complex", 1.0, "x")), MODELS, {}, balancer=balancer)  # type: ignore[arg-type]

    first = made.route(chat_request("Hi", model="auto"), caller_id="a")
    made.route(chat_request("Hi", model="auto"), caller_id="b")

    assert first.candidates == ("small", "large")
    assert len(set(balancer.keys)) == 2


def test_the_bound_of_a_model_without_a_price_is_more_than_anything_costs() -> None:
    assert sized().ceiling_microusd(chat_request("Hi"), "small") < MOST_MICROUSD
    assert sized().ceiling_microusd(chat_request("Hi"), "other") == MOST_MICROUSD
