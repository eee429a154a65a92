from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import msgspec
from litestar.datastructures import State

from gateway.domain.request import ModelRequest
from gateway.domain.usage import NO_USAGE
from gateway.edge.admin.experiments import show_report
from gateway.experiments.comparison import Comparison
from gateway.experiments.experiments import Experiments
from gateway.experiments.settings import ShadowSettings, Split
from gateway.experiments.shadow import Shadow
from gateway.upstreams.base import PlainReply


async def unasked(request: ModelRequest, model: str) -> tuple[PlainReply, int | None]:
    return PlainReply(body=b"{}", usage=NO_USAGE), 0


async def shown(experiments: Experiments) -> Any:
    """Return what the route answers."""
    version = SimpleNamespace(observation=SimpleNamespace(experiments=experiments))
    state = State({"current": SimpleNamespace(version=version)})
    return json.loads(msgspec.json.encode(await show_report.fn(state)))


async def test_without_experiments_there_is_an_empty_report() -> None:
    answer = await shown(Experiments({}))

    assert (answer["splits"], answer["shadows"]) == ([], [])
    assert "95 times of 100" in answer["note"]


async def test_splits_and_shadows_are_reported_with_a_verdict() -> None:
    shadow = Shadow(ShadowSettings(model="gpt-5"), ask=unasked, ceiling=lambda request, model: 0)
    won = Comparison(
        routed_model="gpt-4o",
        result="win",
        cost_microusd=100,
        elapsed_s=1.0,
        shadow_cost_microusd=200,
        shadow_elapsed_s=2.0,
    )
    shadow.comparisons.extend([won] * 30)

    answer = await shown(Experiments({"chat": Split(split={"gpt-4o": 1, "gpt-5": 1})}, [shadow]))

    assert [arm["arm"] for arm in answer["splits"][0]["arms"]] == ["gpt-4o", "gpt-5"]
    assert answer["splits"][0]["verdict"] == "too few callers to tell (0 in gpt-4o, 0 in gpt-5)"
    (pair,) = answer["shadows"][0]["pairs"]
    assert pair["verdict"] == "gpt-5 wins 100 % [89, 100] against gpt-4o, ties as half"
    assert pair["win_rate"]["count"] == 30
    assert pair["shadow"]["cost_usd"]["value"] == 0.0002
