from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.errors import InvalidRequestError, UpstreamTimeoutError
from gateway.domain.request import ModelRequest
from gateway.exchange import Exchange
from gateway.experiments.feedback import Remembered
from gateway.experiments.settings import ExperimentSettings, ShadowSettings, Split
from gateway.observation import KeptStream, Observation
from gateway.settings import Settings
from gateway.upstreams.base import PlainReply
from router.base import Decision, Grounds
from tests.support.attempting import Stream, plain
from tests.support.build import caller, chat_request, exchange
from tests.support.guarded import MAIL, inspection_of

SHADOW = ShadowSettings(model="new", share=1.0)
GROUNDS = Grounds(
    kind="maths", language="en", score=0.5, simple_fails=0.4, medium_fails=0.1, simple_below=0.6, medium_below=0.8
)


class Memory:
    def __init__(self) -> None:
        self.remembered: dict[str, Remembered] = {}

    def remember(self, request_id: str, remembered: Remembered) -> None:
        self.remembered[request_id] = remembered


async def unasked(request: ModelRequest, model: str) -> tuple[PlainReply, int | None]:
    raise AssertionError


def observing(memory: Memory, before: Observation | None = None, **settings: Any) -> Observation:
    wanted = Settings(aliases={"chat": Split(split={"old": 0.5, "new": 0.5})}, **settings)
    return Observation(wanted, ask=unasked, ceiling=lambda *_: 0, memory=memory, before=before)


def ended(status: int = 200, error: Any = None, **fields: Any) -> Exchange:
    opened = exchange()
    opened.caller, opened.request, opened.status, opened.error = caller(models=()), chat_request(), status, error
    opened.routed_model = "old"
    opened.decision = Decision(tier="simple", confidence=1.0, reason="x", candidates=("old",), grounds=GROUNDS)
    for name, value in fields.items():
        setattr(opened, name, value)
    return opened


async def test_an_answer_is_remembered_for_the_feedback_it_may_get() -> None:
    memory = Memory()

    observing(memory).take(ended(reply=plain(), experiment="chat", target="new", subject="key:1"))

    assert memory.remembered["req-1"] == Remembered(
        organisation="acme",
        team="search",
        key="search/ci",
        routed_model="old",
        tier="simple",
        kind="maths",
        failure=0.4,
        experiment="chat",
        arm="new",
    )


@pytest.mark.parametrize(
    ("status", "error"), [(499, None), (400, InvalidRequestError("x")), (504, UpstreamTimeoutError("x"))]
)
async def test_what_brought_no_answer_is_not_remembered(status: int, error: Any) -> None:
    memory = Memory()

    observing(memory).take(ended(status, error))

    assert memory.remembered == {}


async def test_arms_are_counted_with_failures_of_providers_and_without_those_of_callers() -> None:
    observation = observing(Memory())
    arm: dict[str, Any] = {"experiment": "chat", "target": "new", "subject": "key:1"}

    observation.take(ended(**arm))
    observation.take(ended(504, UpstreamTimeoutError("x"), **arm))
    observation.take(ended(400, InvalidRequestError("x"), **arm))

    split = (await observation.experiments.report()).splits[0]
    counted = {one.arm: one.requests for one in split.arms}
    assert counted["new"] == 2


async def test_an_answer_is_offered_to_the_shadow_with_its_text() -> None:
    observation = observing(Memory(), experiments=ExperimentSettings(shadows=(SHADOW,)))
    body = b'{"choices":[{"message":{"role":"assistant","content":"Paris"},"finish_reason":"stop"}]}'

    observation.take(ended(reply=PlainReply(body=body, usage=plain().usage)))

    (waiting,) = list(observation.experiments.shadows[0]._waiting._queue)  # type: ignore[attr-defined]
    assert (waiting.text, waiting.routed_model) == ("Paris", "old")


async def test_an_answer_in_which_the_guard_put_something_back_is_shown_to_no_judge() -> None:
    observation = observing(Memory(), experiments=ExperimentSettings(shadows=(SHADOW,)))
    stream = Stream()
    opened = ended(reply=plain(), inspection=inspection_of(masked=[("email", MAIL)]))

    observation.take(opened)

    assert observation.experiments.shadows[0]._waiting.empty()
    assert observation.follow(opened, stream) is stream


async def test_a_stream_is_kept_only_where_a_shadow_wants_it() -> None:
    stream = Stream()

    assert observing(Memory()).follow(ended(), stream) is stream
    kept = observing(Memory(), experiments=ExperimentSettings(shadows=(SHADOW,))).follow(ended(), stream)

    assert isinstance(kept, KeptStream)
    assert kept.events is None
    assert await kept.block() == b"data: {}\n\n"
    assert await kept.block() is None
    assert kept.events == b"data: {}\n\n"
    await kept.close()
    assert stream.closed == 1


async def test_shadows_that_did_not_change_go_on_over_a_reload() -> None:
    memory = Memory()
    before = observing(memory, experiments=ExperimentSettings(shadows=(SHADOW,)))

    same = observing(memory, before, experiments=ExperimentSettings(shadows=(SHADOW,)))
    other = observing(memory, before, experiments=ExperimentSettings(shadows=(ShadowSettings(model="newer"),)))

    assert same.experiments.shadows[0] is before.experiments.shadows[0]
    assert other.experiments.shadows[0] is not before.experiments.shadows[0]
    assert other.experiments.tally is before.experiments.tally
