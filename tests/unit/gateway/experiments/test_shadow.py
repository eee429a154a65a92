from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.core import Metric

from gateway.domain.embeddings import read_embeddings
from gateway.domain.errors import UpstreamOverloadedError
from gateway.domain.messages import read_count_tokens, read_messages
from gateway.domain.request import ModelRequest
from gateway.domain.responses import read_responses
from gateway.domain.usage import NO_USAGE
from gateway.experiments import shadow as shadow_module
from gateway.experiments.comparison import Answered, Comparison
from gateway.experiments.judge import Judge
from gateway.experiments.settings import ShadowSettings
from gateway.experiments.shadow import AT_ONCE, MOST_BODY_BYTES, Shadow, may_be_asked_again, plain, shadow_gauges
from gateway.upstreams.base import PlainReply
from tests.support.build import caller, chat_request
from tests.support.clock import Clock

JUDGE = "judge-model"
ANYONE = caller()


def completion(text: str | None) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


class Models:
    """The shadow, which answers, and a judge that prefers one of the texts."""

    def __init__(self, clock: Clock, prefers: str = "shadow", text: str | None = "shadow") -> None:
        self._clock, self.prefers, self.text = clock, prefers, text
        self.cost: int | None = 100
        self.asked: list[tuple[str, ModelRequest]] = []
        self.errors: dict[str, Exception] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = self.most_under_way = 0

    async def __call__(self, request: ModelRequest, model: str) -> tuple[PlainReply, int | None]:
        self.asked.append((model, request))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1
        self._clock.now += 2.0
        if model in self.errors:
            raise self.errors[model]
        body = completion(self._verdict(request)) if model == JUDGE else completion(self.text)
        return PlainReply(body=body, usage=NO_USAGE), 10 if model == JUDGE else self.cost

    def _verdict(self, request: ModelRequest) -> str:
        material = json.loads(request.messages[1]["content"].split("\n")[1])
        return json.dumps({"reason": "", "winner": "A" if material["answer_a"] == self.prefers else "B"})


class Trial:
    """A shadow of `gpt-5` with its models and clocks."""

    def __init__(self, *, judged: bool = True, ceiling: int = 1000, **fields: Any) -> None:
        self.clock = Clock(0.0)
        self.models = Models(self.clock)
        settings = ShadowSettings(**{"model": "gpt-5", "share": 1.0, "judge": JUDGE, **fields})
        self.shadow = Shadow(
            settings,
            ask=self.models,
            ceiling=lambda request, model: ceiling,
            judge=Judge(JUDGE, salt="s") if judged else None,
            clock=self.clock,
            tick=self.clock,
        )

    @property
    def counted(self) -> dict[str, int]:
        return {name: count for name, count in self.shadow.outcomes.items() if count}


def answered(number: int = 1, text: str | None = "caller's", **fields: Any) -> Answered:
    made = {
        "caller": ANYONE,
        "request": chat_request(),
        "routed_model": "gpt-4o",
        "cost_microusd": 40,
        "elapsed_s": 1.5,
    }
    return Answered(chance_id=f"req-{number}", text=text, **{**made, **fields})


async def until(is_so: Callable[[], bool]) -> None:
    """Let tasks run until something is so."""
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError


async def test_a_better_answer_wins() -> None:
    trial = Trial()

    await trial.shadow.compare(answered())

    (found,) = trial.shadow.comparisons
    assert found == Comparison(
        routed_model="gpt-4o",
        result="win",
        cost_microusd=40,
        elapsed_s=1.5,
        shadow_cost_microusd=100,
        shadow_elapsed_s=2.0,
        first_wins=found.first_wins,
        decided=1,
    )
    assert trial.counted == {"win": 1}


async def test_a_worse_answer_loses() -> None:
    trial = Trial()
    trial.models.prefers = "caller's"

    await trial.shadow.compare(answered())

    assert trial.counted == {"loss": 1}


async def test_the_shadow_is_asked_the_same_in_one_piece() -> None:
    trial = Trial()
    request = chat_request("Hi", stream=True, stream_options={"include_usage": True}, tools=[{"type": "function"}])

    await trial.shadow.compare(answered(request=request))

    model, asked = trial.models.asked[0]
    body = json.loads(asked.body)
    assert (model, asked.stream) == ("gpt-5", False)
    assert body == {**json.loads(request.body), "stream": False, "stream_options": None}
    assert asked.document == body
    assert request.stream is True


def test_a_plain_request_is_sent_as_it_is() -> None:
    request = chat_request()

    assert plain(request) is request


async def test_both_calls_are_charged_to_the_day() -> None:
    trial = Trial()

    await trial.shadow.compare(answered())

    assert trial.shadow.allowance.spent_microusd == 110


async def test_a_cost_that_is_not_known_is_charged_at_its_ceiling_and_left_out_of_the_comparison() -> None:
    trial = Trial(judged=False, ceiling=777)
    trial.models.cost = None

    await trial.shadow.compare(answered())

    assert trial.shadow.comparisons[0].shadow_cost_microusd is None
    assert trial.shadow.allowance.spent_microusd == 777


async def test_without_a_judge_only_cost_and_time_are_compared() -> None:
    trial = Trial(judged=False)

    await trial.shadow.compare(answered())

    assert trial.counted == {"unjudged": 1}
    assert trial.shadow.comparisons[0].shadow_cost_microusd == 100


@pytest.mark.parametrize(("theirs", "ours"), [(None, "shadow"), ("caller's", None)])
async def test_what_has_no_text_is_not_judged(theirs: str | None, ours: str | None) -> None:
    trial = Trial()
    trial.models.text = ours

    await trial.shadow.compare(answered(text=theirs))

    assert trial.counted == {"unjudged": 1}
    assert [model for model, _ in trial.models.asked] == ["gpt-5"]


@pytest.mark.parametrize("error", [UpstreamOverloadedError("full"), ValueError("secret prompt"), TimeoutError()])
async def test_a_failure_is_counted_and_never_told(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    trial = Trial()
    trial.models.errors["gpt-5"] = error

    await trial.shadow.compare(answered())

    assert trial.counted == {"failed": 1}
    assert trial.shadow.comparisons[0].shadow_elapsed_s is None
    assert caplog.records == []


async def test_a_judge_that_fails_leaves_the_pair_unjudged() -> None:
    trial = Trial()
    trial.models.errors[JUDGE] = UpstreamOverloadedError("full")

    await trial.shadow.compare(answered())

    assert trial.counted == {"unjudged": 1}


async def test_beyond_the_day_nobody_is_asked() -> None:
    trial = Trial(usd_per_day=0.001, ceiling=1000, judged=False)

    for number in range(3):
        await trial.shadow.compare(answered(number))

    assert trial.counted == {"unjudged": 1, "over_allowance": 2}
    assert len(trial.models.asked) == 1
    assert len(trial.shadow.comparisons) == 1


async def test_a_day_too_short_for_the_judge_leaves_the_pair_unjudged() -> None:
    trial = Trial(usd_per_day=0.001, ceiling=1000)

    await trial.shadow.compare(answered())

    assert trial.counted == {"unjudged": 1}


async def test_only_the_newest_comparisons_are_kept() -> None:
    trial = Trial(keep=2, judged=False)

    for number in range(5):
        await trial.shadow.compare(answered(number, elapsed_s=float(number)))

    assert [one.elapsed_s for one in trial.shadow.comparisons] == [3.0, 4.0]


def test_a_share_of_the_requests_is_sampled_the_same_ones_each_time() -> None:
    shadow = Trial(share=0.1).shadow

    sampled = [shadow.wants(f"req-{number}", ANYONE, chat_request(), "gpt-4o") for number in range(2000)]

    assert sum(sampled) == pytest.approx(200, abs=50)
    assert sampled == [shadow.wants(f"req-{number}", ANYONE, chat_request(), "gpt-4o") for number in range(2000)]


def test_two_shadows_sample_independently() -> None:
    first, second = Trial(share=0.5).shadow, Trial(share=0.5, model="other").shadow
    names = [f"req-{number}" for number in range(2000)]

    both = sum(
        first.wants(name, ANYONE, chat_request(), "m") and second.wants(name, ANYONE, chat_request(), "m")
        for name in names
    )

    assert both == pytest.approx(500, abs=90)


@pytest.mark.parametrize(
    ("routed", "wanted"), [("gpt-4o", True), ("gpt-4o-mini", True), ("claude", False), ("gpt-5", False)]
)
def test_only_routed_models_of_the_settings_have_a_shadow_and_none_is_its_own(routed: str, *, wanted: bool) -> None:
    shadow = Trial(models=("gpt-*",)).shadow

    assert shadow.wants("req-1", ANYONE, chat_request(), routed) is wanted


@pytest.mark.parametrize(
    ("allowed", "wanted"),
    [(("gpt-*", JUDGE), True), (("*",), True), (("gpt-4o", JUDGE), False), (("gpt-5",), False), ((), False)],
)
def test_nothing_goes_to_a_model_or_judge_that_its_caller_may_not_use(
    allowed: tuple[str, ...], *, wanted: bool
) -> None:
    shadow = Trial().shadow

    assert shadow.wants("req-1", caller(models=(allowed,)), chat_request(), "gpt-4o") is wanted


def request_of(read: Callable[[bytes], ModelRequest], **fields: Any) -> ModelRequest:
    return read(json.dumps({"model": "m", **fields}).encode())


SAID = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    "request_",
    [
        chat_request(),
        chat_request(tools=[{"type": "function"}]),
        chat_request(store=False),
        request_of(read_responses, input="Hi", store=False),
        request_of(read_messages, messages=SAID, max_tokens=5),
    ],
)
def test_a_request_that_leaves_no_traces_may_be_asked_again(request_: ModelRequest) -> None:
    assert may_be_asked_again(request_)


@pytest.mark.parametrize(
    "request_",
    [
        chat_request(store=True),
        chat_request("x" * (MOST_BODY_BYTES + 1)),
        request_of(read_responses, input="Hi"),
        request_of(read_responses, input="Hi", store=True),
        request_of(read_responses, input="Hi", store=False, background=True),
        request_of(read_responses, input="Hi", store=False, previous_response_id="resp_1"),
        request_of(read_responses, input="Hi", store=False, conversation="conv_1"),
        request_of(read_embeddings, input="Hi"),
        request_of(read_count_tokens, messages=SAID),
    ],
)
def test_others_are_not_asked_again(request_: ModelRequest) -> None:
    assert not may_be_asked_again(request_)


async def test_offered_requests_are_compared_in_the_background() -> None:
    trial = Trial()
    task = asyncio.create_task(trial.shadow.run())
    trial.shadow.offer(answered())

    await until(lambda: bool(trial.counted))
    task.cancel()

    assert trial.counted == {"win": 1}


async def test_what_is_not_in_the_sample_is_not_taken() -> None:
    trial = Trial(models=("claude",))
    task = asyncio.create_task(trial.shadow.run())
    trial.shadow.offer(answered())

    await asyncio.sleep(0)
    task.cancel()

    assert trial.models.asked == []


async def test_no_more_than_a_few_are_compared_at_once() -> None:
    trial = Trial()
    trial.models.gate.clear()
    task = asyncio.create_task(trial.shadow.run())
    for number in range(50):
        trial.shadow.offer(answered(number))
    await until(lambda: trial.models.under_way == AT_ONCE)

    trial.models.gate.set()
    await until(lambda: trial.counted == {"win": 50})
    task.cancel()

    assert trial.models.most_under_way == AT_ONCE


async def test_what_finds_no_room_is_dropped_and_counted() -> None:
    trial = Trial()

    for number in range(shadow_module.MOST_WAITING + 3):
        trial.shadow.offer(answered(number))

    assert trial.counted == {"dropped": 3}


async def test_room_is_of_bytes_too_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial()
    request = chat_request("x" * 1000)
    monkeypatch.setattr(shadow_module, "MOST_WAITING_BYTES", 2 * len(request.body))
    for number in range(3):
        trial.shadow.offer(answered(number, request=request))
    task = asyncio.create_task(trial.shadow.run())
    await until(lambda: trial.counted == {"dropped": 1, "win": 2})

    for number in range(2):
        trial.shadow.offer(answered(number, request=request))
    await until(lambda: trial.counted == {"dropped": 1, "win": 4})
    task.cancel()


async def test_stopping_ends_calls_under_way_and_gives_back_their_holds() -> None:
    trial = Trial()
    trial.models.gate.clear()
    task = asyncio.create_task(trial.shadow.run())
    trial.shadow.offer(answered())
    await until(lambda: trial.models.under_way == 1)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert trial.models.under_way == 0
    assert trial.shadow.allowance.held_microusd == 0
    assert trial.shadow.allowance.spent_microusd == 1000


async def test_metrics_tell_what_became_of_the_sample_and_what_it_cost() -> None:
    trial = Trial()
    await trial.shadow.compare(answered())

    requests, spent = shadow_gauges([trial.shadow])

    assert value(requests, model="gpt-5", result="win") == 1
    assert value(requests, model="gpt-5", result="failed") == 0
    assert value(spent, model="gpt-5") == pytest.approx(0.00011)


def value(family: Metric, **labels: str) -> float:
    """Return the sample of these labels."""
    return next(float(sample.value) for sample in family.samples if sample.labels == labels)
