from __future__ import annotations

import asyncio

import pytest

from gateway.domain.request import ModelRequest
from gateway.domain.usage import NO_USAGE
from gateway.experiments.comparison import Answered
from gateway.experiments.experiments import Experiments
from gateway.experiments.feedback import Remembered
from gateway.experiments.settings import ShadowSettings, Split
from gateway.experiments.shadow import Shadow
from gateway.upstreams.base import PlainReply
from tests.support.build import caller, chat_request

SPLITS = {"chat": Split(split={"gpt-4o": 0.9, "gpt-5": 0.1})}


async def ask(request: ModelRequest, model: str) -> tuple[PlainReply, int | None]:
    return PlainReply(body=b"{}", usage=NO_USAGE), 10


def shadow() -> Shadow:
    return Shadow(ShadowSettings(model="gpt-5", share=1.0), ask=ask, ceiling=lambda request, model: 10)


def heard(experiment: str = "chat") -> Remembered:
    return Remembered(
        organisation="acme", team="t", key="t/k", routed_model="gpt-5", experiment=experiment, arm="gpt-5"
    )


async def test_feedback_counts_for_the_arm_that_answered() -> None:
    experiments = Experiments(SPLITS)
    experiments.learn(heard(), 0.0, None)
    experiments.learn(heard(), 1.0, 0.0)

    (split,) = (await experiments.report()).splits

    assert split.arms[1].arm == "gpt-5"
    assert split.arms[1].feedback is not None
    assert (split.arms[1].feedback.value, split.arms[1].feedback.count) == (1.0, 1)


async def test_feedback_on_requests_of_no_experiment_is_not_counted() -> None:
    experiments = Experiments(SPLITS)
    experiments.learn(heard(experiment=""), 1.0, None)

    (split,) = (await experiments.report()).splits

    assert [arm.feedback for arm in split.arms] == [None, None]


async def test_shadows_run_together_and_are_reported() -> None:
    experiments = Experiments({}, [shadow(), shadow()])
    task = asyncio.create_task(experiments.run())
    for one in experiments.shadows:
        one.offer(
            Answered(
                chance_id="1",
                caller=caller(),
                request=chat_request(),
                routed_model="m",
                text="a",
                cost_microusd=1,
                elapsed_s=1.0,
            )
        )
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()

    shown = (await experiments.report()).shadows

    assert [one.outcomes["unjudged"] for one in shown] == [1, 1]
    assert [pair.routed.model for one in shown for pair in one.pairs] == ["m", "m"]
    assert sum(len(family.samples) for family in experiments.gauges()) > 0


async def test_without_shadows_there_is_nothing_to_run() -> None:
    await Experiments(SPLITS).run()


async def test_a_new_version_goes_on_with_what_was_counted() -> None:
    first = Experiments(SPLITS)
    first.tally.add("chat", "gpt-5", "key:1", failed=False, cost_microusd=1, first_byte_s=0.1)

    second = Experiments({"chat": Split(split={"gpt-5": 1, "o9": 1})}, tally=first.tally)

    (split,) = (await second.report()).splits
    assert [(arm.arm, arm.requests) for arm in split.arms] == [("gpt-5", 1), ("o9", 0)]
    assert second.assigner.arm("chat", "key:1") in ("gpt-5", "o9")


def test_an_alias_that_is_not_split_has_no_arm() -> None:
    with pytest.raises(KeyError):
        Experiments(SPLITS).assigner.arm("other", "key:1")
