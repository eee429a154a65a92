from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.domain.request import ModelRequest
from gateway.domain.usage import NO_USAGE
from gateway.experiments.comparison import Comparison, Result
from gateway.experiments.report import pair_views, report
from gateway.experiments.settings import ShadowSettings
from gateway.experiments.shadow import Shadow
from gateway.experiments.tally import Tally
from gateway.upstreams.base import PlainReply


def comparison(result: Result, routed: str = "gpt-4o", **fields: Any) -> Comparison:
    made: dict[str, Any] = {"cost_microusd": 200, "elapsed_s": 2.0}
    if result != "failed":
        made |= {"shadow_cost_microusd": 1000, "shadow_elapsed_s": 4.0}
    return Comparison(routed_model=routed, result=result, **{**made, **fields})


async def unasked(request: ModelRequest, model: str) -> tuple[PlainReply, int | None]:
    return PlainReply(body=b"{}", usage=NO_USAGE), 0


def test_a_split_is_shown_with_the_figures_of_each_arm() -> None:
    tally = Tally({"chat": ("gpt-4o", "gpt-5")})
    for number in range(100):
        cost = 100 + number % 2 * 100
        tally.add("chat", "gpt-5", f"key:{number}", failed=number < 5, cost_microusd=cost, first_byte_s=0.5)
    tally.hear("chat", "gpt-5", 1.0)
    tally.hear("chat", "gpt-5", 0.5)

    (split,) = report(tally, []).splits

    shown = split.arms[1]
    assert (split.alias, shown.arm, shown.requests, shown.errors, shown.subjects) == ("chat", "gpt-5", 100, 5, 100)
    assert msgspec.to_builtins(shown.error_rate) == pytest.approx(
        {"value": 0.05, "low": 0.0215, "high": 0.1118, "count": 100}, abs=1e-4
    )
    assert shown.cost_usd is not None
    assert shown.cost_usd.value == pytest.approx(0.00015, rel=0.01)
    assert shown.first_byte_p50_s is not None
    assert shown.first_byte_p50_s.value == pytest.approx(0.5, rel=0.1)
    assert shown.feedback is not None
    assert (shown.feedback.value, shown.feedback.count) == (0.75, 2)


def test_an_arm_without_requests_has_no_figures() -> None:
    (split,) = report(Tally({"chat": ("gpt-5", "gpt-4o")}), []).splits

    shown = split.arms[0]
    figures = (shown.error_rate, shown.cost_usd, shown.first_byte_p50_s, shown.first_byte_p95_s, shown.feedback)
    assert figures == (None,) * 5
    assert split.verdict == "too few callers to tell (0 in gpt-5, 0 in gpt-4o)"


def test_a_pair_is_shown_with_the_rate_of_its_wins() -> None:
    found = [comparison("win", first_wins=1, decided=1)] * 60 + [comparison("loss", decided=1)] * 20
    found += [comparison("tie")] * 20 + [comparison("unreadable"), comparison("unjudged"), comparison("failed")]

    (pair,) = pair_views("gpt-5", found)

    assert (pair.wins, pair.ties, pair.losses, pair.unreadable, pair.unjudged) == (60, 20, 20, 1, 1)
    assert pair.win_rate is not None
    assert (pair.win_rate.value, pair.win_rate.count) == (0.7, 100)
    assert pair.first_place_rate is not None
    assert (pair.first_place_rate.value, pair.first_place_rate.count) == (0.75, 80)
    assert pair.verdict == "gpt-5 wins 70 % [60, 78] against gpt-4o, ties as half"


def test_both_models_of_a_pair_are_shown_with_cost_and_time() -> None:
    (pair,) = pair_views("gpt-5", [comparison("tie")] * 3 + [comparison("failed")])

    assert (pair.shadow.model, pair.shadow.answers, pair.shadow.errors) == ("gpt-5", 3, 1)
    assert (pair.routed.model, pair.routed.answers, pair.routed.errors) == ("gpt-4o", 4, None)
    assert pair.shadow.cost_usd is not None
    assert pair.shadow.cost_usd.value == pytest.approx(0.001)
    assert pair.routed.elapsed_p50_s is not None
    assert pair.routed.elapsed_p50_s.value == pytest.approx(2.0, rel=0.1)


def test_each_routed_model_is_a_pair_of_its_own() -> None:
    pairs = pair_views("gpt-5", [comparison("win", "a"), comparison("loss", "b"), comparison("win", "a")])

    assert [(pair.routed.model, pair.wins, pair.losses) for pair in pairs] == [("a", 2, 0), ("b", 0, 1)]


def test_a_pair_in_which_the_shadow_never_answered_has_no_figures_of_it() -> None:
    (pair,) = pair_views("gpt-5", [comparison("failed", cost_microusd=None)])

    assert (pair.shadow.cost_usd, pair.shadow.elapsed_p50_s, pair.win_rate) == (None, None, None)
    assert pair.routed.cost_usd is None


def test_a_shadow_is_shown_with_what_became_of_its_sample() -> None:
    settings = ShadowSettings(model="gpt-5", judge="judge", usd_per_day=2.0)
    shadow = Shadow(settings, ask=unasked, ceiling=lambda request, model: 0)
    shadow.outcomes["dropped"] = 4
    shadow.allowance.settle(0, 1_500_000)

    (shown,) = report(Tally(), [(shadow, [])]).shadows

    assert (shown.model, shown.judge, shown.outcomes["dropped"], shown.outcomes["win"]) == ("gpt-5", "judge", 4, 0)
    assert (shown.spent_today_usd, shown.usd_per_day, shown.pairs) == (1.5, 2.0, [])


def test_without_experiments_the_report_is_empty() -> None:
    shown = report(Tally(), [])

    assert (shown.splits, shown.shadows) == ([], [])
