from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cache.backends.memory import MemoryBackend
from cache.base import Entry
from cache.exact import ExactCache
from cache.settings import CacheSettings
from gateway.continuity import Continuity
from gateway.domain.caller import Caller
from gateway.domain.chat import read_chat
from gateway.domain.errors import (
    DeadlineExceededError,
    GatewayError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotPermittedError,
    PromptRejectedError,
    RateLimitedError,
    StageUnavailableError,
    UnknownModelError,
    UpstreamGarbledError,
    UpstreamOverloadedError,
    UpstreamRefusedError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from gateway.domain.money import Price
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.tier import TierName
from gateway.domain.usage import NO_USAGE, Usage
from gateway.exchange import Exchange
from gateway.pipeline import Pipeline, token_of
from gateway.pricing import PriceTable
from gateway.upstreams.base import ModelCall, PlainReply, Reply
from gateway.upstreams.settings import Model
from policies.effective import Policy, PolicyBook
from policies.meters import NOTHING, Demand, Meter
from policies.settings import OrganisationSettings
from policies.stores.holds.base import Granted
from router.base import Choice
from router.settings import RouterSettings
from router.tiers import Router
from tests.support.build import caller, chat_body, exchange, stored_responses

USAGE = Usage(input_tokens=10, output_tokens=5)
BROKEN = RuntimeError("broken")


class Authenticator:
    def __init__(self, outcome: Caller | Exception) -> None:
        self._outcome = outcome
        self.asked: list[tuple[str | None, str]] = []

    def identify(self, token: str | None, address: str) -> Caller:
        self.asked.append((token, address))
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


class Sanitiser:
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def check(self, request: ModelRequest) -> None:
        if self._error:
            raise self._error


class Limiter:
    """Hands out holds that note how they were settled."""

    def __init__(self, error: Exception | None = None, settle_error: Exception | None = None) -> None:
        self._error = error
        self._settle_error = settle_error
        self.reserved = self.released = 0
        self.settled: list[tuple[Usage, int]] = []
        self.covered: list[Demand] = []
        self.demands: tuple[Demand, ...] = ()
        self.tiers: tuple[TierName | None, ...] = ()
        self.granted: Granted | None = None
        self.demand = NOTHING
        self.index = self.under_reserved = 0
        self.is_degraded = False

    async def reserve(
        self,
        hold_id: str,
        policy: Policy,
        meters: tuple[Meter, ...],
        demands: Sequence[Demand],
        tiers: Sequence[TierName | None],
        *,
        give_up_at: float,
    ) -> Limiter:
        if self._error:
            raise self._error
        self.reserved += 1
        self.demands, self.tiers = tuple(demands), tuple(tiers)
        return self

    async def cover(self, demand: Demand) -> None:
        self.covered.append(demand)

    async def settle(self, usage: Usage, cost_microusd: int) -> None:
        self.settled.append((usage, cost_microusd))
        if self._settle_error:
            raise self._settle_error

    async def release(self) -> None:
        self.released += 1

    @property
    def has_charged_a_request_only(self) -> bool:
        """Whether every hold was settled exactly once, for nothing but the request."""
        return self.released == 0 and self.settled == [(NO_USAGE, 0)] * self.reserved


class Strategy:
    def __init__(self, outcome: Any = None) -> None:
        self._outcome = outcome

    def choose(self, request: ModelRequest) -> Choice:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        found: Choice = self._outcome
        return found


class Stream:
    headers: Sequence[tuple[bytes, bytes]] = ()
    dropped: tuple[str, ...] | None = None
    response_id = ""
    final = b""
    is_ended = False

    def __init__(self) -> None:
        self.closed = 0

    async def block(self) -> bytes | None:
        return None

    def usage(self) -> Usage:
        return USAGE

    async def close(self) -> None:
        self.closed += 1


class Upstream:
    """Answers each call with the next outcome, and the last one from then on."""

    def __init__(self, name: str, *outcomes: Reply | Exception) -> None:
        self.name = name
        self.shapes: set[Shape] = {"chat"}
        self.unwanted: dict[str, set[str]] = {}
        self._outcomes = list(outcomes) or [plain()]
        self.calls: list[ModelCall] = []

    async def answer(self, call: ModelCall) -> Reply:
        self.calls.append(call)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def close(self) -> None:
        pass

    def counters(self) -> Mapping[str, int]:
        return {}


class BrokenBackend:
    async def get(self, key: bytes) -> Entry | None:
        raise BROKEN

    async def put(self, key: bytes, entry: Entry) -> None:
        raise BROKEN

    async def delete(self, key: bytes) -> None:
        raise BROKEN


def plain(body: bytes = b'{"ok":1}') -> PlainReply:
    return PlainReply(body=body, usage=USAGE, answered_model="answered")


class House:
    """A pipeline over fakes, each of which a test may replace."""

    def __init__(self, **parts: Any) -> None:
        self.first = parts.pop("first", Upstream("first"))
        self.second = parts.pop("second", Upstream("second"))
        self.limiter = parts.pop("limiter", None) or Limiter()
        self.authenticator = Authenticator(parts.pop("caller", caller()))
        strategy = parts.pop("strategy", Strategy(Choice("simple", 0.5, "chosen")))
        tiers = parts.pop("tiers", {"simple": ("a", "b"), "complex": ("b",)})
        models = {"a": Model(upstream="first", model="a-there"), "b": Model(upstream="second")}
        cache = parts.pop("cache", None)
        self.pipeline = Pipeline(
            authenticator=self.authenticator,
            sanitiser=parts.pop("sanitiser", Sanitiser()),
            limiter=self.limiter,
            router=Router(RouterSettings(tiers=tiers), strategy, models, {"alias": "a"}),
            policies=PolicyBook(parts.pop("organisation", OrganisationSettings())),
            cache=cache,
            models=models,
            upstreams={"first": self.first, "second": self.second},
            prices=PriceTable({"a": Price(input=1.0, output=2.0), "b": Price(input=1.0, output=2.0)}),
            continuity=Continuity(stored_responses(), models),
        )
        assert not parts

    async def run(self, opened: Exchange, body: bytes) -> Reply:
        async def read_body() -> bytes:
            return body

        return await self.pipeline.run(opened, read_body, read_chat)

    async def ask(self, model: str = "a", status: int = 200, **fields: Any) -> tuple[Exchange, Reply]:
        """Carry one request through and end it."""
        opened = exchange()
        reply = await self.run(opened, chat_body(model=model, **fields))
        opened.status = status
        await opened.close()
        return opened, reply

    async def refusal(self, model: str = "auto", **fields: Any) -> tuple[Exchange, GatewayError]:
        opened = exchange()
        with pytest.raises(GatewayError) as caught:
            await self.run(opened, chat_body(model=model, **fields))
        await opened.close()
        return opened, caught.value


def exact_cache(backend: Any = None) -> ExactCache:
    return ExactCache(CacheSettings(exact=True), backend or MemoryBackend(2**20))


async def test_a_request_is_answered_priced_and_settled() -> None:
    house = House()

    opened, reply = await house.ask()

    assert reply == plain()
    assert opened.reply is reply
    assert opened.caller == caller()
    assert opened.routed_model == "a"
    assert opened.upstream == "first"
    assert opened.attempts == 1
    assert opened.usage == USAGE
    assert opened.cost_microusd == 20
    assert house.limiter.settled == [(USAGE, 20)]
    assert house.limiter.released == 0


async def test_the_upstream_is_asked_for_its_own_name_of_the_model() -> None:
    house = House()

    await house.ask("a")
    await house.ask("b")

    assert house.first.calls[0].model == "a-there"
    assert house.second.calls[0].model == "b"


async def test_the_callers_key_is_shown_to_the_authenticator_only() -> None:
    house = House()
    headers = {b"authorization": b"Bearer sk-1", b"cookie": b"c", b"traceparent": b"t", b"openai-beta": b"b"}
    opened = exchange(headers)

    await house.run(opened, chat_body(model="a"))

    assert house.authenticator.asked == [("sk-1", "192.0.2.1")]
    assert dict(house.first.calls[0].headers) == {b"traceparent": b"t", b"openai-beta": b"b"}


async def test_a_stranger_is_refused_before_the_body_is_read() -> None:
    house = House(caller=NotAuthenticatedError("no"))

    async def read_body() -> bytes:
        raise AssertionError("the body was read")

    with pytest.raises(NotAuthenticatedError):
        await house.pipeline.run(exchange(), read_body, read_chat)

    assert house.limiter.reserved == 0


async def test_a_broken_body_is_refused_before_anything_is_reserved() -> None:
    house = House()

    with pytest.raises(InvalidRequestError):
        await house.run(exchange(), b"[]")

    assert house.limiter.reserved == 0


async def test_a_rejected_prompt_reserves_nothing() -> None:
    house = House(sanitiser=Sanitiser(PromptRejectedError("no")))

    _, error = await house.refusal()

    assert isinstance(error, PromptRejectedError)
    assert house.limiter.reserved == 0


async def test_a_limited_caller_reaches_no_upstream() -> None:
    house = House(limiter=Limiter(RateLimitedError("no", retry_after_s=1)))

    _, error = await house.refusal()

    assert isinstance(error, RateLimitedError)
    assert house.first.calls == []
    assert house.limiter.settled == []


async def test_an_unknown_model_is_refused_before_anything_is_reserved() -> None:
    house = House()

    _, error = await house.refusal("nobody")

    assert isinstance(error, UnknownModelError)
    assert house.limiter.reserved == 0


@pytest.mark.parametrize(
    ("parts", "stage"),
    [
        ({"caller": BROKEN}, "authentication"),
        ({"sanitiser": Sanitiser(BROKEN)}, "guard"),
        ({"limiter": Limiter(BROKEN)}, "limits"),
    ],
)
async def test_a_broken_stage_that_protects_refuses_with_503(parts: dict[str, Any], stage: str) -> None:
    house = House(**parts)

    _, error = await house.refusal()

    assert isinstance(error, StageUnavailableError)
    assert error.status == 503
    assert stage in error.message
    assert error.__cause__ is BROKEN
    assert house.first.calls == []


@pytest.mark.parametrize("outcome", [BROKEN, None, Choice("nonsense", 1.0, "x")])  # type: ignore[arg-type]
async def test_a_broken_strategy_means_the_default_tier(outcome: Any) -> None:
    house = House(strategy=Strategy(outcome))

    opened, _ = await house.ask("auto")

    assert opened.tier == "complex"
    assert opened.decision is not None
    assert opened.decision.reason == "fallback"
    assert house.pipeline.router.failures == 1


async def test_a_strategy_that_works_decides() -> None:
    opened, _ = await House().ask("auto")

    assert opened.tier == "simple"
    assert opened.decision is not None
    assert (opened.decision.confidence, opened.decision.reason) == (0.5, "chosen")


async def test_a_key_may_use_the_models_it_names() -> None:
    house = House(caller=caller(models=(("alias",),)))

    opened, _ = await house.ask("alias")

    assert opened.routed_model == "a"


async def test_a_key_may_not_use_other_models() -> None:
    house = House(caller=caller(models=(("b", "auto/*"),)))

    _, error = await house.refusal("a")

    assert isinstance(error, NotPermittedError)
    assert (error.status, error.code, error.param) == (403, "model_not_allowed", "model")
    assert house.first.calls == []
    assert house.limiter.reserved == 0


RETRYABLE = [
    UpstreamUnreachableError("x"), UpstreamTimeoutError("x"), UpstreamOverloadedError("x"),
    UpstreamGarbledError("x"), UpstreamRefusedError("x", status=500), UpstreamRefusedError("x", status=429),
]  # fmt: skip
FINAL = [
    UpstreamRefusedError("x", status=400), UpstreamRefusedError("x", status=401), UpstreamRefusedError("x", status=404),
    DeadlineExceededError("x"),
]  # fmt: skip


@pytest.mark.parametrize("error", RETRYABLE, ids=lambda error: f"{type(error).__name__}-{error.status}")
async def test_the_next_candidate_is_asked_when_that_may_help(error: GatewayError) -> None:
    house = House(first=Upstream("first", error))

    opened, reply = await house.ask("auto")

    assert reply == plain()
    assert (opened.routed_model, opened.upstream, opened.attempts) == ("b", "second", 2)
    assert house.limiter.settled == [(USAGE, 20)]
    assert house.limiter.released == 0


@pytest.mark.parametrize("error", FINAL, ids=lambda error: f"{type(error).__name__}-{error.status}")
async def test_no_other_candidate_is_asked_when_that_cannot_help(error: GatewayError) -> None:
    house = House(first=Upstream("first", error))

    opened, raised = await house.refusal("auto")

    assert raised is error
    assert house.second.calls == []
    assert opened.attempts == 1
    assert house.limiter.reserved == 1
    assert house.limiter.has_charged_a_request_only


async def test_the_last_candidates_error_is_the_answer() -> None:
    last = UpstreamTimeoutError("second")
    house = House(first=Upstream("first", UpstreamUnreachableError("first")), second=Upstream("second", last))

    opened, raised = await house.refusal("auto")

    assert raised is last
    assert opened.attempts == 2
    assert house.limiter.reserved == 1
    assert house.limiter.has_charged_a_request_only


async def test_no_candidate_is_asked_once_the_deadline_has_passed() -> None:
    error = UpstreamUnreachableError("x")
    house = House(first=Upstream("first", error))
    opened = exchange()
    opened.patience.allow(0)

    with pytest.raises(UpstreamUnreachableError):
        await house.run(opened, chat_body(model="auto"))

    assert house.second.calls == []


async def test_a_bug_in_an_upstream_costs_a_request_only() -> None:
    house = House(first=Upstream("first", BROKEN))
    opened = exchange()

    with pytest.raises(RuntimeError):
        await house.run(opened, chat_body(model="a"))
    await opened.close()

    assert house.limiter.reserved == 1
    assert house.limiter.has_charged_a_request_only


async def test_a_cancelled_request_costs_a_request_only_where_nobody_can_count() -> None:
    waiting = asyncio.Event()

    class Silent(Upstream):
        async def answer(self, call: ModelCall) -> Reply:
            waiting.set()
            await asyncio.Event().wait()
            raise AssertionError

    house = House(first=Silent("first"))
    opened = exchange()
    task = asyncio.create_task(house.run(opened, chat_body(model="a")))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await opened.close()

    assert house.limiter.reserved == 1
    assert house.limiter.has_charged_a_request_only
    assert house.second.calls == []


async def test_a_stream_is_settled_with_what_it_consumed_and_closed() -> None:
    stream = Stream()
    house = House(first=Upstream("first", stream))

    opened, reply = await house.ask("a", stream=True)

    assert reply is stream
    assert stream.closed == 1
    assert opened.cost_microusd == 20
    assert house.limiter.settled == [(USAGE, 20)]
    assert house.limiter.released == 0


async def test_a_stream_has_no_cost_before_it_ends() -> None:
    house = House(first=Upstream("first", Stream()))
    opened = exchange()

    await house.run(opened, chat_body(model="a", stream=True))

    assert opened.cost_microusd is None
    assert house.limiter.settled == []


async def test_a_failure_to_settle_is_loud_and_keeps_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    house = House(limiter=Limiter(settle_error=BROKEN))

    _, reply = await house.ask()

    assert reply == plain()
    assert "settling failed" in caplog.text


async def test_a_model_without_a_price_settles_with_nothing() -> None:
    house = House()
    house.pipeline._prices = PriceTable({})

    opened, _ = await house.ask()

    assert opened.cost_microusd is None
    assert house.limiter.settled == [(USAGE, 0)]


async def test_the_second_of_two_equal_requests_is_a_hit() -> None:
    house = House(cache=exact_cache())

    first, answer = await house.ask()
    second, again = await house.ask()

    assert first.miss_reason == "miss"
    assert isinstance(answer, PlainReply)
    assert isinstance(again, PlainReply)
    assert again.body == answer.body
    assert second.hit is not None
    assert len(house.first.calls) == 1


async def test_a_hit_costs_nothing_and_skips_only_the_upstream() -> None:
    house = House(cache=exact_cache())
    await house.ask()

    opened, _ = await house.ask()

    assert opened.cost_microusd == 0
    assert house.limiter.reserved == 2
    assert house.limiter.settled == [(USAGE, 20), (NO_USAGE, 0)]
    assert opened.decision is not None


async def test_a_hit_is_refused_to_a_key_that_may_not_use_the_model() -> None:
    cache = exact_cache()
    await House(cache=cache).ask()

    _, error = await House(cache=cache, caller=caller(models=(("b",),))).refusal("a")

    assert isinstance(error, NotPermittedError)


async def test_streams_skip_the_cache() -> None:
    house = House(cache=exact_cache(), first=Upstream("first", Stream()))

    opened, _ = await house.ask("a", stream=True)

    assert opened.miss_reason == "skipped"
    assert opened.hit is None


@pytest.mark.parametrize("status", [0, 499, 500])
async def test_an_answer_that_did_not_reach_its_caller_is_not_kept(status: int) -> None:
    house = House(cache=exact_cache())

    await house.ask(status=status)
    opened, _ = await house.ask()

    assert opened.hit is None


async def test_a_failed_request_leaves_nothing_in_the_cache() -> None:
    house = House(cache=exact_cache(), first=Upstream("first", UpstreamRefusedError("x", status=400), plain()))

    await house.refusal("a")
    opened, _ = await house.ask("a")

    assert opened.hit is None


async def test_a_broken_cache_is_a_miss_and_counted() -> None:
    house = House(cache=exact_cache(BrokenBackend()))

    opened, reply = await house.ask()

    assert reply == plain()
    assert opened.miss_reason == "unavailable"
    assert house.pipeline.cache_failures == 1
    assert house.limiter.settled == [(USAGE, 20)]
    assert house.limiter.released == 0


async def test_a_cache_that_cannot_keep_an_answer_is_counted() -> None:
    class Forgetful(MemoryBackend):
        async def put(self, key: bytes, entry: Entry) -> None:
            raise BROKEN

    house = House(cache=exact_cache(Forgetful(2**20)))

    _, reply = await house.ask()

    assert reply == plain()
    assert house.pipeline.cache_failures == 1
    assert house.limiter.settled == [(USAGE, 20)]
    assert house.limiter.released == 0


async def test_time_waited_for_upstreams_is_counted_also_when_they_fail() -> None:
    house = House(first=Upstream("first", UpstreamRefusedError("x", status=400)))

    opened, _ = await house.refusal("a")

    assert opened.upstream_s > 0


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, None),
        ({b"authorization": b"Bearer sk-1"}, "sk-1"),
        ({b"authorization": b"bearer  sk-1 "}, "sk-1"),
        ({b"authorization": b"Basic abc"}, ""),
        ({b"authorization": b"sk-1"}, ""),
        ({b"authorization": b""}, ""),
        ({b"api-key": b"sk-2"}, "sk-2"),
        ({b"authorization": b"Bearer sk-1", b"api-key": b"sk-2"}, "sk-1"),
        ({b"authorization": b"Bearer \xff"}, "\xff"),
    ],
)
def test_the_callers_key_is_found(headers: dict[bytes, bytes], token: str | None) -> None:
    assert token_of(headers) == token
