from __future__ import annotations

import asyncio

import pytest

from gateway.domain.errors import (
    BudgetExhaustedError,
    DeadlineExceededError,
    GatewayError,
    InvalidRequestError,
    UpstreamGarbledError,
    UpstreamOverloadedError,
    UpstreamRefusedError,
    UpstreamsRestingError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from router.settings import RetrySettings, RouterSettings
from router.wishes import Wishes
from tests.support.attempting import Attempting, Scripted, Stream, plain
from tests.support.virtual_time import in_virtual_time

UNREACHABLE = UpstreamUnreachableError("x")
TOO_LONG = UpstreamRefusedError("too long", status=400, code="context_length_exceeded")
FILTERED = UpstreamRefusedError("no", status=400, code="content_filter")


def refused(status: int, code: str | None = None, **headers: str) -> UpstreamRefusedError:
    lines = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return UpstreamRefusedError("x", status=status, code=code, headers=lines)


def without_retries() -> RouterSettings:
    return RouterSettings(retries=RetrySettings(attempts=0))


OTHERS_MAY_HELP = [
    UNREACHABLE, UpstreamTimeoutError("x"), UpstreamOverloadedError("x"), UpstreamGarbledError("x"),
    refused(500), refused(429), refused(408), refused(409), refused(401), refused(402), refused(403),
    refused(404, "model_not_found"), refused(429, "insufficient_quota"), InvalidRequestError("has no words for it"),
]  # fmt: skip
NOBODY_HELPS = [refused(400), refused(404), refused(413), refused(422), DeadlineExceededError("x")]


@pytest.mark.parametrize("error", OTHERS_MAY_HELP, ids=lambda error: f"{type(error).__name__}-{error.status}")
@in_virtual_time
async def test_the_next_candidate_is_asked_at_once(error: GatewayError) -> None:
    began = asyncio.get_running_loop().time()
    house = Attempting([Scripted("a", error), Scripted("b")])

    opened, reply = await house.ask()

    assert reply == plain("b")
    assert (opened.routed_model, opened.upstream, opened.attempts, opened.retries) == ("b", "b", 2, 0)
    assert opened.degraded == (b"fallback",)
    assert asyncio.get_running_loop().time() == began
    assert house.learned.events == {"fallback": 1}


@pytest.mark.parametrize("error", NOBODY_HELPS, ids=lambda error: f"{type(error).__name__}-{error.status}")
@in_virtual_time
async def test_what_no_model_can_mend_is_passed_on(error: GatewayError) -> None:
    house = Attempting([Scripted("a", error), Scripted("b")], [Scripted("c")])

    with pytest.raises(type(error)) as caught:
        await house.ask()

    assert caught.value is error
    assert house.calls() == {"a": 1, "b": 0, "c": 0}


@in_virtual_time
async def test_a_caller_whose_requests_are_at_fault_opens_no_breaker() -> None:
    house = Attempting([Scripted("a", refused(422))])

    for _ in range(50):
        with pytest.raises(UpstreamRefusedError):
            await house.ask()

    assert house.learned.health.admits("a", "key_1")
    assert len(house.upstreams["a"].calls) == 50


@in_virtual_time
async def test_one_model_is_asked_again_after_a_wait_and_so_often_at_most() -> None:
    house = Attempting([Scripted("a", refused(500))])

    with pytest.raises(UpstreamRefusedError):
        await house.ask()

    waits = [
        later - sooner for sooner, later in zip(*[house.upstreams["a"].asked_at[i:] for i in (0, 1)], strict=False)
    ]
    assert house.calls() == {"a": 3}
    assert waits[0] >= 0.25
    assert waits[1] >= waits[0]


@in_virtual_time
async def test_an_answer_that_a_retry_brings_is_no_fallback() -> None:
    house = Attempting([Scripted("a", refused(503), plain("a"))])

    opened, reply = await house.ask()

    assert reply == plain("a")
    assert (opened.attempts, opened.retries, opened.degraded) == (2, 1, ())
    assert house.learned.retries.taken == 1


@pytest.mark.parametrize(
    ("headers", "least_s"), [({"retry_after": "3"}, 3.0), ({"retry_after": "9", "retry_after_ms": "1500"}, 1.5)]
)
@in_virtual_time
async def test_the_wait_that_a_provider_asks_for_is_kept(headers: dict[str, str], least_s: float) -> None:
    house = Attempting([Scripted("a", refused(429, **headers), plain("a"))])

    await house.ask()

    first, second = house.upstreams["a"].asked_at
    assert second - first >= least_s


@in_virtual_time
async def test_a_wait_that_is_too_long_is_the_callers_to_decide() -> None:
    error = refused(429, retry_after="60")
    house = Attempting([Scripted("a", error)])

    with pytest.raises(UpstreamRefusedError) as caught:
        await house.ask()

    assert caught.value is error
    assert house.calls() == {"a": 1}


@in_virtual_time
async def test_no_retry_begins_that_the_deadline_would_end() -> None:
    house = Attempting([Scripted("a", refused(429, retry_after="3"))])

    with pytest.raises(UpstreamRefusedError):
        await house.ask(house.open(allowed_s=2.0))

    assert house.calls() == {"a": 1}


@pytest.mark.parametrize("error", [refused(500, x_should_retry="false"), refused(429, "insufficient_quota")])
@in_virtual_time
async def test_what_waiting_does_not_mend_is_not_asked_again(error: GatewayError) -> None:
    house = Attempting([Scripted("a", error)])

    with pytest.raises(UpstreamRefusedError):
        await house.ask()

    assert house.calls() == {"a": 1}


@in_virtual_time
async def test_retries_end_with_their_budget() -> None:
    settings = RouterSettings(retries=RetrySettings(attempts=2, budget=0.0))
    house = Attempting([Scripted("a", refused(503))], settings=settings)

    for _ in range(20):
        with pytest.raises(GatewayError):
            await house.ask(house.open(key=f"key_{_}"))

    assert house.learned.retries.taken <= 10


@in_virtual_time
async def test_candidates_come_before_retries_and_retries_before_the_next_tier() -> None:
    house = Attempting([Scripted("a", refused(500)), Scripted("b", refused(500))], [Scripted("c")])

    opened, reply = await house.ask()

    assert reply == plain("c")
    assert sum(house.calls().values()) == 5
    assert house.calls()["c"] == 1
    assert opened.retries == 2
    assert opened.decision is not None
    assert (opened.decision.tier, opened.decision.reason) == ("medium", "fallback")
    assert house.learned.events == {"escalation": 1, "fallback": 1}


@in_virtual_time
async def test_a_further_call_is_held_for_before_it_is_made() -> None:
    house = Attempting([Scripted("a", UNREACHABLE), Scripted("b")], settings=without_retries())

    await house.ask()

    assert house.admission.covered == [("b",)]


@in_virtual_time
async def test_a_next_tier_that_is_too_dear_leaves_the_first_failure() -> None:
    house = Attempting([Scripted("a", UNREACHABLE)], [Scripted("b")], settings=without_retries())
    house.admission.refusal = BudgetExhaustedError("x", status=429, retry_after_s=None, standing=None)

    with pytest.raises(UpstreamUnreachableError):
        await house.ask()

    assert house.calls() == {"a": 1, "b": 0}


@in_virtual_time
async def test_a_model_that_keeps_failing_is_left_alone_until_a_probe_succeeds() -> None:
    house = Attempting([Scripted("a", UNREACHABLE), Scripted("b")], settings=without_retries())

    for number in range(20):
        await house.ask(house.open(key=f"key_{number}"))
    failing = len(house.upstreams["a"].calls)
    house.upstreams["a"].outcomes = [plain("a")]
    await asyncio.sleep(30)
    for number in range(3):
        await house.ask(house.open(key=f"key_{number}"))

    assert failing == 5
    assert len(house.upstreams["a"].calls) == failing + 3


@in_virtual_time
async def test_when_all_rest_the_caller_hears_when_to_come_back_and_nobody_is_asked() -> None:
    house = Attempting([Scripted("a", UNREACHABLE), Scripted("b", UNREACHABLE)], settings=without_retries())
    for number in range(20):
        with pytest.raises(GatewayError):
            await house.ask(house.open(key=f"key_{number}"))
    before = house.calls()

    with pytest.raises(UpstreamsRestingError) as caught:
        await house.ask()

    assert house.calls() == before
    assert 0 < caught.value.retry_after_s <= 6
    assert caught.value.status == 503


@in_virtual_time
async def test_when_all_rest_somebody_tries_soon_whether_one_is_back() -> None:
    house = Attempting([Scripted("a", UNREACHABLE), Scripted("b", UNREACHABLE)], settings=without_retries())
    for number in range(20):
        with pytest.raises(GatewayError):
            await house.ask(house.open(key=f"key_{number}"))
    house.upstreams["b"].outcomes = [plain("b")]
    await asyncio.sleep(0.6)

    models = [(await house.ask(house.open(key=f"key_{number}")))[0].routed_model for number in range(3)]

    assert models == ["b", "b", "b"]


@in_virtual_time
async def test_one_callers_poison_leaves_the_model_to_others() -> None:
    house = Attempting([Scripted("a", refused(500))], settings=without_retries())
    for _ in range(30):
        with pytest.raises(GatewayError):
            await house.ask(house.open(key="poison"))

    house.upstreams["a"].outcomes = [plain("a")]
    _, reply = await house.ask(house.open(key="other"))

    assert reply == plain("a")


@in_virtual_time
async def test_a_prompt_that_is_too_long_goes_to_a_larger_window_only() -> None:
    house = Attempting(
        [Scripted("a", TOO_LONG), Scripted("same"), Scripted("small")],
        [Scripted("large")],
        windows={"a": 8, "same": 8, "small": 4, "large": 64},
    )

    _, reply = await house.ask()

    assert reply == plain("large")
    assert house.calls() == {"a": 1, "same": 0, "small": 0, "large": 1}


@in_virtual_time
async def test_a_prompt_that_is_too_long_for_all_is_the_callers_to_shorten() -> None:
    house = Attempting([Scripted("a", TOO_LONG), Scripted("b")], windows={"a": 8, "b": 8})

    with pytest.raises(UpstreamRefusedError) as caught:
        await house.ask()

    assert caught.value is TOO_LONG


@pytest.mark.parametrize("policy", ["refuse", "next"])
@in_virtual_time
async def test_policy_says_what_a_refusal_of_content_gets(policy: str) -> None:
    settings = RouterSettings(on_content_filter=policy, on_context_overflow="refuse")  # type: ignore[arg-type]
    house = Attempting([Scripted("a", FILTERED), Scripted("b")], settings=settings)

    if policy == "refuse":
        with pytest.raises(UpstreamRefusedError):
            await house.ask()
    else:
        await house.ask()

    assert house.calls() == {"a": 1, "b": int(policy == "next")}


@in_virtual_time
async def test_a_deadline_is_divided_between_the_candidates() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    house = Attempting([Scripted("a", (100.0, plain("a"))), Scripted("b", (10.0, plain("b")))])

    opened, reply = await house.ask(house.open(allowed_s=30.0))

    assert reply == plain("b")
    assert loop.time() - began == pytest.approx(28.75)
    assert opened.aside == (("a", house.asker.estimate(opened.request, "a")),)  # type: ignore[arg-type]


@in_virtual_time
async def test_the_last_candidate_gets_all_the_time_there_is() -> None:
    house = Attempting([Scripted("a", (29.0, plain("a")))])

    _, reply = await house.ask(house.open(allowed_s=30.0))

    assert reply == plain("a")


@in_virtual_time
async def test_calls_are_paced_by_what_a_provider_says_is_left() -> None:
    house = Attempting([Scripted("a")])
    house.upstreams["a"].headers = (
        (b"x-ratelimit-limit-requests", b"60"),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"x-ratelimit-reset-requests", b"60s"),
    )
    await house.ask()
    before = asyncio.get_running_loop().time()

    await house.ask()

    assert asyncio.get_running_loop().time() - before >= 0.9
    assert house.learned.events["paced"] == 1


@in_virtual_time
async def test_a_candidate_with_room_comes_before_one_without() -> None:
    house = Attempting([Scripted("a"), Scripted("b")])
    house.upstreams["a"].headers = ((b"x-ratelimit-limit-requests", b"60"), (b"x-ratelimit-remaining-requests", b"0"))
    await house.ask()

    _, reply = await house.ask()

    assert reply == plain("b")


@in_virtual_time
async def test_models_that_are_slower_than_the_caller_wishes_are_asked_last() -> None:
    house = Attempting([Scripted("a"), Scripted("b")])
    for name, seconds in (("a", 2.0), ("b", 0.1)):
        house.learned.health.begin(name, "key_1").succeed(seconds)
    opened = house.open()
    opened.wishes = Wishes(max_first_byte_s=0.5)

    _, reply = await house.ask(opened)

    assert reply == plain("b")


@in_virtual_time
async def test_a_stream_counts_as_in_flight_until_it_is_closed() -> None:
    stream = Stream()
    house = Attempting([Scripted("a", stream)])
    opened = house.open()

    await house.attempts.answer(opened, opened.request)  # type: ignore[arg-type]
    during = house.learned.health.in_flight("a")
    await opened.close()

    assert (during, house.learned.health.in_flight("a")) == (1, 0)
    assert stream.closed == 1


@in_virtual_time
async def test_streams_that_break_off_open_the_breaker() -> None:
    house = Attempting([Scripted("a", Stream())], settings=without_retries())

    for number in range(8):
        if not house.learned.health.admits("a", f"key_{number}"):
            break
        opened = house.open(key=f"key_{number}")
        house.upstreams["a"].outcomes = [Stream()]
        await house.attempts.answer(opened, opened.request)  # type: ignore[arg-type]
        opened.error = UpstreamGarbledError("broke off")
        await opened.close()

    assert not house.learned.health.admits("a", "key_9")


@in_virtual_time
async def test_a_caller_that_leaves_says_nothing_of_the_model() -> None:
    house = Attempting([Scripted("a", (50.0, plain("a")))])

    for _ in range(20):
        task = asyncio.create_task(house.ask())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert house.learned.health.in_flight("a") == 0
    assert house.learned.health.admits("a", "key_1")
