from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from cache.backends.memory import MemoryBackend
from cache.base import Entry
from cache.exact import ExactCache
from cache.settings import CacheSettings
from gateway.caching.stage import CacheStage
from gateway.continuity import Continuity
from gateway.domain.caller import Caller
from gateway.domain.chat import read_chat
from gateway.domain.errors import (
    AnswerRejectedError,
    BudgetExhaustedError,
    DeadlineExceededError,
    GatewayError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotPermittedError,
    PromptRejectedError,
    RateLimitedError,
    ShuttingDownError,
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
from gateway.guarding.external.guards import ExternalGuards
from gateway.pipeline import Pipeline, token_of
from gateway.pricing import PriceTable
from gateway.upstreams.base import DEFAULT_OUTPUT_TOKENS, ModelCall, PlainReply, RelayCall, RelayReply, Reply
from gateway.upstreams.settings import Model
from policies.base import Reservation
from policies.effective import PolicyBook
from policies.fair_queue import AT_ONCE
from policies.meters import NOTHING, Demand
from policies.sanitise.inspection import Inspection
from policies.sanitise.redaction.redactor import Vault
from policies.settings import Budget, Limits, OrganisationSettings, UserSettings
from policies.stores.holds.base import Granted
from router.base import Choice, Question
from router.settings import RetrySettings, RouterSettings
from router.tiers import Router
from tests.support.build import caller, chat_body, exchange, patience, stored_responses
from tests.support.guarded import MAIL, inspection_of, placeholder

USAGE = Usage(input_tokens=10, output_tokens=5)
BROKEN = RuntimeError("broken")


LIMITED = OrganisationSettings(limits=Limits(requests_per_day=1_000_000))
"""An organisation in which something is counted, so that requests hold something."""


class Authenticator:
    def __init__(self, outcome: Caller | Exception) -> None:
        self._outcome = outcome
        self.asked: list[tuple[str | None, str]] = []

    def identify(self, token: str | None, address: str) -> Caller:
        self.asked.append((token, address))
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


class Guard:
    """Lets requests pass, or gives what a test wants in their place."""

    def __init__(
        self,
        error: Exception | None = None,
        instead: ModelRequest | None = None,
        inspection: Inspection | None = None,
    ) -> None:
        self._error, self._instead, self._inspection = error, instead, inspection
        self.others = ExternalGuards()

    async def check(
        self, exchange: Exchange, caller: Caller, request: ModelRequest, vault: Vault | None = None
    ) -> ModelRequest:
        if self._error:
            raise self._error
        exchange.inspection = self._inspection
        return self._instead or request


class Limiter:
    """Hands out holds that note how they were settled."""

    def __init__(self, error: Exception | None = None, settle_error: Exception | None = None) -> None:
        self._error = error
        self._settle_error = settle_error
        self.reserved = self.released = 0
        self.hold_ids: list[str] = []
        self.settled: list[tuple[Usage, int]] = []
        self.covered: list[Demand] = []
        self.demands: tuple[Demand, ...] = ()
        self.tiers: tuple[TierName | None, ...] = ()
        self.granted: Granted | None = None
        self.demand = NOTHING
        self.index = self.under_reserved = 0
        self.is_degraded = False
        self.waited = AT_ONCE
        self.is_shared = True

    async def reserve(self, wanted: Reservation) -> Limiter:
        if self._error:
            raise self._error
        self.reserved += 1
        self.hold_ids.append(wanted.hold_id)
        self.demands, self.tiers = tuple(wanted.demands), tuple(wanted.tiers)
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


class Poor(Limiter):
    """Has nothing left for what costs money."""

    async def reserve(self, wanted: Reservation) -> Limiter:
        if any(demand.microusd for demand in wanted.demands):
            raise BudgetExhaustedError("used up", status=402, retry_after_s=None, standing=None)
        return await super().reserve(wanted)


class Strategy:
    def __init__(self, outcome: Any = None) -> None:
        self._outcome = outcome

    def choose(self, question: Question) -> Choice:
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


class Counting(Upstream):
    """Knows how long prompts are, by the name it has for a model; relays what it is handed."""

    def __init__(self, name: str, *outcomes: Any) -> None:
        super().__init__(name, *outcomes)
        self._passed_on: Any = outcomes[0] if outcomes else None
        self.counted: list[str] = []

    def estimate_tokens(self, request: ModelRequest, model: str) -> int:
        self.counted.append(model)
        return 30

    async def relay(self, call: RelayCall) -> RelayReply:
        if isinstance(self._passed_on, Exception):
            raise self._passed_on
        passed_on: RelayReply = self._passed_on
        return passed_on


class Passed:
    """What came back of a request that was passed on."""

    headers: Sequence[tuple[bytes, bytes]] = ()

    def __init__(self, status: int = 200) -> None:
        self.status = status

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b""

    async def close(self) -> None:
        pass


class BrokenBackend:
    async def get(self, key: bytes) -> Entry | None:
        raise BROKEN

    async def put(self, entry_id: int, entry: Entry) -> None:
        raise BROKEN

    async def delete(self, key: bytes) -> None:
        raise BROKEN


ANSWER = b'{"choices":[{"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}'


def plain(body: bytes = ANSWER) -> PlainReply:
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
            guard=parts.pop("guard", Guard()),
            limiter=self.limiter,
            router=Router(
                RouterSettings(tiers=tiers, retries=RetrySettings(attempts=0)), strategy, models, {"alias": "a"}
            ),
            policies=PolicyBook(parts.pop("organisation", LIMITED)),
            cache=CacheStage(cache),
            models=models,
            upstreams={"first": self.first, "second": self.second},
            prices=PriceTable(parts.pop("prices", dict.fromkeys(models, Price(input=1.0, output=2.0)))),
            continuity=Continuity(stored_responses(), models),
            relays_to="first",
            relay_prices=parts.pop("relay_prices", {}),
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


async def test_what_was_replaced_is_put_back_in_the_answer() -> None:
    inspection = inspection_of()
    mark = placeholder(inspection, "email", MAIL)
    first = Upstream("first", plain(ANSWER.replace(b"ok", mark.encode())))

    _, reply = await House(first=first, guard=Guard(inspection=inspection)).ask()

    assert isinstance(reply, PlainReply)
    assert reply.body == ANSWER.replace(b"ok", MAIL.encode())


async def test_an_answer_that_is_blocked_is_paid_for() -> None:
    inspection = inspection_of(output={"pii": "block"})
    house = House(
        first=Upstream("first", plain(ANSWER.replace(b"ok", MAIL.encode()))), guard=Guard(inspection=inspection)
    )
    opened = exchange()

    with pytest.raises(AnswerRejectedError):
        await house.run(opened, chat_body(model="a"))
    await opened.close()

    assert opened.usage == USAGE
    assert opened.cost_microusd


async def test_a_rejected_prompt_reserves_nothing() -> None:
    house = House(guard=Guard(PromptRejectedError("no")))

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
        ({"guard": Guard(BROKEN)}, "guard"),
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
    UpstreamRefusedError("x", status=401),
]  # fmt: skip
FINAL = [
    UpstreamRefusedError("x", status=400), UpstreamRefusedError("x", status=404), UpstreamRefusedError("x", status=422),
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
    house.pipeline.prices = PriceTable({})

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
    assert house.pipeline.cache.failures == 1
    assert house.limiter.settled == [(USAGE, 20)]
    assert house.limiter.released == 0


async def test_a_cache_that_cannot_keep_an_answer_is_counted() -> None:
    class Forgetful(MemoryBackend):
        async def put(self, entry_id: int, entry: Entry) -> None:
            raise BROKEN

    house = House(cache=exact_cache(Forgetful(2**20)))

    _, reply = await house.ask()

    assert reply == plain()
    assert house.pipeline.cache.failures == 1
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


# ---------------------------------------------------------------- limits and budgets


def counting(**words: Any) -> OrganisationSettings:
    """Return an organisation that counts money."""
    return OrganisationSettings(budgets=(Budget(usd=1.0),), **words)


async def test_the_bound_of_every_tier_is_reserved_best_first_under_an_id_of_its_own() -> None:
    house = House(organisation=counting())
    opened = exchange()
    opened.hold_id = "made-here"

    await house.run(opened, chat_body(model="auto", max_tokens=5))

    assert house.limiter.hold_ids == ["made-here"]
    assert house.limiter.tiers == ("complex", "simple")
    assert [demand.output_tokens for demand in house.limiter.demands] == [5, 5]
    assert all(demand.microusd > 10 for demand in house.limiter.demands)


async def test_the_decision_stays_within_what_is_held() -> None:
    house = House(strategy=Strategy(Choice("complex", 0.5, "chosen")))
    house.limiter.index = 1

    opened, _ = await house.ask("auto")

    assert opened.decision is not None
    assert (opened.tier, opened.decision.reason) == ("simple", "degraded")
    assert opened.routed_model == "a"


async def test_a_tier_that_policy_does_not_leave_is_refused_before_anything_is_reserved() -> None:
    house = House(organisation=OrganisationSettings(tiers=("simple",)))

    _, error = await house.refusal("auto/complex")

    assert (error.status, error.code) == (403, "model_not_allowed")
    assert house.limiter.reserved == 0


async def test_a_request_must_name_its_user_where_policy_says_so() -> None:
    house = House(organisation=OrganisationSettings(users=UserSettings(required=True)))

    _, error = await house.refusal("a")
    opened, _ = await house.ask("a", user="anna")

    assert (error.status, error.code, error.param) == (400, "invalid_request", "user")
    assert house.first.calls
    assert opened.user == "anna"


async def test_the_header_that_names_the_user_wins() -> None:
    house = House()
    opened = exchange({b"x-tierway-user": b"anna"})

    await house.run(opened, chat_body(model="a", user="ben"))

    assert opened.user == "anna"


async def test_the_upstream_is_sent_the_limit_that_was_held() -> None:
    house = House(organisation=counting())

    opened, _ = await house.ask("a")

    assert opened.output_limit == DEFAULT_OUTPUT_TOKENS
    assert house.first.calls[0].request.max_output_tokens == DEFAULT_OUTPUT_TOKENS
    assert house.limiter.demands[0].output_tokens == DEFAULT_OUTPUT_TOKENS


async def test_a_bounded_request_is_sent_as_it_is() -> None:
    house = House(organisation=counting())

    opened, _ = await house.ask("a", max_tokens=5)

    assert opened.output_limit is None
    assert house.first.calls[0].request is opened.request


async def test_a_model_without_a_price_is_refused_where_money_is_counted() -> None:
    house = House(organisation=counting(), prices={})

    _, error = await house.refusal("a")

    assert (error.status, error.code) == (403, "model_unpriced")
    assert house.limiter.reserved == 0


async def test_a_model_without_a_price_is_charged_at_the_dearest_where_that_was_held() -> None:
    house = House(organisation=counting(unpriced="worst_case"), prices={"b": Price(input=3.0, output=4.0)})

    opened, _ = await house.ask("a")

    assert house.limiter.settled == [(USAGE, 50)]
    assert opened.cost_microusd == 50


async def test_a_stream_of_a_model_without_a_price_is_charged_at_the_dearest_too() -> None:
    house = House(
        organisation=counting(unpriced="worst_case"),
        prices={"b": Price(input=3.0, output=4.0)},
        first=Upstream("first", Stream()),
    )

    await house.ask("a", stream=True)

    assert house.limiter.settled == [(USAGE, 50)]


async def test_where_no_money_is_counted_a_model_without_a_price_has_none() -> None:
    house = House(organisation=OrganisationSettings(unpriced="worst_case"), prices={"b": Price(input=3.0, output=4.0)})

    opened, _ = await house.ask("a")

    assert opened.cost_microusd is None


async def test_a_further_hop_is_covered_before_it_is_asked() -> None:
    house = House(organisation=counting(), first=Upstream("first", UpstreamUnreachableError("x")))

    await house.ask("auto", max_tokens=5)

    assert [demand.output_tokens for demand in house.limiter.covered] == [5]
    assert len(house.second.calls) == 1


async def test_the_first_hop_needs_no_further_cover() -> None:
    house = House(organisation=counting())

    await house.ask("auto")

    assert house.limiter.covered == []


async def test_a_hop_that_cannot_be_covered_is_not_asked() -> None:
    class Tight(Limiter):
        async def cover(self, demand: Demand) -> None:
            raise BudgetExhaustedError("used up", status=429, retry_after_s=None, standing=None)

    house = House(limiter=Tight(), first=Upstream("first", UpstreamUnreachableError("x")))
    opened = exchange()

    with pytest.raises(BudgetExhaustedError) as caught:
        await house.run(opened, chat_body(model="auto"))
    opened.error = caught.value
    await opened.close()

    assert house.second.calls == []
    assert house.limiter.has_charged_a_request_only


async def test_an_empty_budget_is_refused() -> None:
    for organisation, cache in (
        (counting(cached_answers=True), None),
        (counting(), exact_cache()),
    ):
        house = House(organisation=organisation, limiter=Poor(), cache=cache)

        _, error = await house.refusal("a")

        assert (error.status, error.code) == (402, "insufficient_quota")
        assert house.limiter.reserved == 0


async def test_an_empty_budget_may_leave_the_answers_that_are_there() -> None:
    cache = exact_cache()
    await House(organisation=counting(cached_answers=True), cache=cache).ask("a")
    house = House(organisation=counting(cached_answers=True), limiter=Poor(), cache=cache)

    opened, reply = await house.ask("a")

    assert reply == plain()
    assert opened.hit is not None
    assert house.limiter.demands == (Demand(1),)
    assert house.limiter.settled == [(NO_USAGE, 0)]


async def test_an_empty_budget_is_refused_what_is_not_there_and_counts_nothing() -> None:
    house = House(organisation=counting(cached_answers=True), limiter=Poor(), cache=exact_cache())

    _, error = await house.refusal("a")

    assert isinstance(error, BudgetExhaustedError)
    assert house.first.calls == []
    assert (house.limiter.settled, house.limiter.released) == ([], 1)


async def test_a_limit_on_requests_refuses_answers_that_are_there_too() -> None:
    cache = exact_cache()
    await House(cache=cache).ask("a")
    limited = Limiter(RateLimitedError("no", retry_after_s=1))

    _, error = await House(organisation=counting(cached_answers=True), limiter=limited, cache=cache).refusal("a")

    assert isinstance(error, RateLimitedError)


# ---------------------------------------------------------------- settling


async def test_a_plain_answer_is_settled_before_it_is_sent() -> None:
    house = House()
    opened = exchange()

    await house.run(opened, chat_body(model="a"))

    assert house.limiter.settled == [(USAGE, 20)]
    assert opened.is_settled
    await opened.close()
    assert house.limiter.settled == [(USAGE, 20)]


async def test_a_stream_can_be_settled_before_its_last_block_and_is_settled_once() -> None:
    house = House(first=Upstream("first", Stream()))
    opened = exchange()
    await house.run(opened, chat_body(model="a", stream=True))

    await opened.settle()
    await opened.close()

    assert house.limiter.settled == [(USAGE, 20)]


async def test_a_caller_who_leaves_before_the_answer_is_charged_the_prompt() -> None:
    waiting = asyncio.Event()

    class Silent(Counting):
        async def answer(self, call: ModelCall) -> Reply:
            waiting.set()
            await asyncio.Event().wait()
            raise AssertionError

    first = Silent("first")
    house = House(first=first)
    opened = exchange()
    task = asyncio.create_task(house.run(opened, chat_body(model="a")))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await opened.close()

    assert house.limiter.settled == [(Usage(input_tokens=30, provenance="estimated"), 30)]
    assert opened.cost_microusd == 30
    assert first.counted == ["a-there"]


@pytest.mark.parametrize("error", [DeadlineExceededError("x"), UpstreamTimeoutError("x"), ShuttingDownError("x")])
async def test_a_prompt_that_an_upstream_was_left_reading_is_charged(error: GatewayError) -> None:
    house = House(first=Counting("first", error))
    opened = exchange()
    with pytest.raises(GatewayError):
        await house.run(opened, chat_body(model="a"))
    opened.error = error

    await opened.close()

    assert house.limiter.settled == [(Usage(input_tokens=30, provenance="estimated"), 30)]


@pytest.mark.parametrize("error", [UpstreamRefusedError("x", status=500), UpstreamUnreachableError("x")])
async def test_a_call_that_an_upstream_refused_counts_as_a_request_and_costs_nothing(error: GatewayError) -> None:
    house = House(first=Counting("first", error))
    opened = exchange()
    with pytest.raises(GatewayError):
        await house.run(opened, chat_body(model="a"))
    opened.error = error

    await opened.close()

    assert house.limiter.has_charged_a_request_only


# ---------------------------------------------------------------- what is only passed on


async def relayed(house: House, endpoint: str = "images", method: str = "POST") -> Exchange:
    """Have one request passed on and end it."""
    opened = exchange()

    def make_call() -> RelayCall:
        return RelayCall(method=method, path="/x", query=b"", headers=(), body=b"", patience=patience())

    try:
        await house.pipeline.relay(opened, endpoint, make_call)
    finally:
        await opened.close()
    return opened


def relaying(*outcomes: Any, **parts: Any) -> House:
    admitting = caller(endpoints=(("*",),))
    return House(first=Counting("first", *outcomes), caller=admitting, relay_prices={"images": 170_000}, **parts)


async def test_what_is_passed_on_is_held_and_charged_at_its_price() -> None:
    house = relaying(Passed())

    opened = await relayed(house)

    assert house.limiter.demands == (Demand(1, microusd=170_000),)
    assert house.limiter.settled == [(NO_USAGE, 170_000)]
    assert opened.cost_microusd == 170_000


@pytest.mark.parametrize("endpoint", ["images", "audio"])
async def test_what_only_looks_costs_a_request(endpoint: str) -> None:
    house = relaying(Passed(), organisation=counting())

    await relayed(house, endpoint, "GET")

    assert house.limiter.demands == (Demand(1),)
    assert house.limiter.has_charged_a_request_only


async def test_what_has_no_price_is_refused_where_money_is_counted() -> None:
    house = relaying(Passed(), organisation=counting())

    with pytest.raises(NotPermittedError, match=r"relay\.prices\.audio") as caught:
        await relayed(house, "audio")

    assert (caught.value.status, caught.value.code) == (403, "endpoint_unpriced")
    assert house.limiter.reserved == 0


async def test_what_has_no_price_is_passed_on_where_no_money_is_counted() -> None:
    house = relaying(Passed(), organisation=OrganisationSettings(limits=Limits(requests_per_day=9)))

    opened = await relayed(house, "audio")

    assert house.limiter.has_charged_a_request_only
    assert opened.cost_microusd is None


@pytest.mark.parametrize("outcome", [UpstreamUnreachableError("x"), Passed(400)])
async def test_what_was_passed_on_in_vain_costs_a_request(outcome: Any) -> None:
    house = relaying(outcome)

    with contextlib.suppress(UpstreamUnreachableError):
        await relayed(house)

    assert house.limiter.has_charged_a_request_only


async def test_where_nothing_is_counted_nothing_is_held_and_the_answer_is_settled_all_the_same() -> None:
    house = House(organisation=OrganisationSettings())

    opened, _ = await house.ask("a")

    assert house.limiter.reserved == 0
    assert opened.is_settled
    assert opened.cost_microusd == 20
