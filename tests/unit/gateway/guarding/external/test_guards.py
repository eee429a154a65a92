from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from gateway.domain.secret import Secret
from gateway.guarding.external.guards import ExternalGuards, build_guards
from gateway.guarding.external.pause import FAILURES, FIRST_S
from gateway.upstreams.settings import OpenAIUpstream
from tests.support.clock import Clock
from tests.support.guards import GuardService, ask, guards_of, moderation, presidio, question, webhook
from tests.support.scripted_api import Answer
from tests.support.sink import Sink


@pytest.fixture
def service() -> Iterator[GuardService]:
    with GuardService() as started:
        yield started


@pytest.fixture
def silent() -> Iterator[Sink]:
    with Sink() as started:
        yield started


@asynccontextmanager
async def opened(guards: ExternalGuards) -> AsyncIterator[ExternalGuards]:
    try:
        yield guards
    finally:
        await guards.close()


@pytest.mark.parametrize(("way", "closed"), [("open", False), ("closed", True)])
async def test_guard_that_takes_too_long_is_open_or_closed_as_said(silent: Sink, way: Any, closed: bool) -> None:  # noqa: FBT001
    (outcome,) = await ask(webhook_at(silent.url, on_failure=way, timeout_ms=20), "abc")

    assert (outcome.result, outcome.closed, outcome.action) == ("late", closed, "ignore")


async def test_guard_that_is_not_there_fails() -> None:
    (outcome,) = await ask(webhook_at("http://127.0.0.1:1"), "abc")

    assert (outcome.result, outcome.closed) == ("failed", True)


async def test_guards_are_asked_side_by_side(silent: Sink, service: GuardService) -> None:
    service.says = lambda _: {"findings": [{}]}
    guards = guards_of(webhook_at(silent.url, name="slow", timeout_ms=50, on_failure="open"), webhook(service))

    async with opened(guards):
        slow, fast = await guards.ask(question("abc"))

    assert (slow.result, fast.result) == ("late", "found")


@pytest.mark.parametrize(
    ("direction", "sees"), [("input", (True, False)), ("output", (False, True)), ("both", (True, True))]
)
async def test_guard_sees_its_side_only(service: GuardService, direction: str, sees: tuple[bool, bool]) -> None:
    async with opened(guards_of(webhook(service, direction=direction))) as guards:
        assert (guards.watches("input"), guards.watches("output")) == sees
        assert (bool(await guards.ask(question("a"))), bool(await guards.ask(question("a", side="output")))) == sees


async def test_no_guards_watch_nothing() -> None:
    guards = build_guards([], {})

    assert not guards.watches("input")
    assert await guards.ask(question("a")) == ()
    assert list(guards.gauges()) == []


async def test_nobody_is_asked_about_no_text(service: GuardService) -> None:
    async with opened(guards_of(webhook(service))) as guards:
        assert await guards.ask(question()) == ()

    assert service.requests == []


async def test_caller_who_leaves_ends_the_call(silent: Sink) -> None:
    async with opened(guards_of(webhook_at(silent.url, timeout_ms=30_000))) as guards:
        asking = asyncio.create_task(guards.ask(question("abc")))
        incoming = await asyncio.to_thread(silent.accept)
        await asyncio.to_thread(incoming.read, int(incoming.headers["content-length"]))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

        with incoming:
            assert await asyncio.to_thread(incoming.has_ended)


# ---------------------------------------------------------------- guards that keep failing


def failing(service: GuardService) -> None:
    service.says = lambda _: Answer(b"", status=500)


async def test_guard_that_keeps_failing_is_left_alone(service: GuardService) -> None:
    failing(service)
    async with opened(guards_of(webhook(service, on_failure="open"), clock=Clock(1000.0))) as guards:
        results = [(await guards.ask(question("a")))[0].result for _ in range(FAILURES + 3)]

    assert results == ["failed"] * FAILURES + ["resting"] * 3
    assert len(service.requests) == FAILURES


async def test_success_in_between_starts_the_count_anew(service: GuardService) -> None:
    async with opened(guards_of(webhook(service), clock=Clock(1000.0))) as guards:
        for _ in range(3):
            failing(service)
            for _ in range(FAILURES - 1):
                await guards.ask(question("a"))
            service.says = lambda _: {}
            await guards.ask(question("a"))

    assert guards.callers[0].results["clear"] == 3


async def test_one_call_tries_when_the_pause_is_over(service: GuardService) -> None:
    failing(service)
    clock = Clock(1000.0)
    async with opened(guards_of(webhook(service), clock=clock)) as guards:
        for _ in range(FAILURES):
            await guards.ask(question("a"))
        clock.now += FIRST_S
        service.says = lambda _: {}
        tried, *others = await asyncio.gather(*(guards.ask(question("a")) for _ in range(3)))
        after = await guards.ask(question("a"))

    assert tried[0].result == "clear"
    assert [one[0].result for one in others] == ["resting", "resting"]
    assert after[0].result == "clear"


async def test_failed_try_doubles_the_pause(service: GuardService) -> None:
    failing(service)
    clock = Clock(1000.0)
    async with opened(guards_of(webhook(service), clock=clock)) as guards:
        for _ in range(FAILURES):
            await guards.ask(question("a"))
        clock.now += FIRST_S
        await guards.ask(question("a"))
        clock.now += FIRST_S
        (early,) = await guards.ask(question("a"))
        clock.now += FIRST_S
        (late,) = await guards.ask(question("a"))

    assert (early.result, late.result) == ("resting", "failed")


async def test_guard_that_is_left_alone_is_told_of_once_and_without_content(
    service: GuardService, caplog: pytest.LogCaptureFixture
) -> None:
    failing(service)
    with caplog.at_level(logging.WARNING):
        async with opened(guards_of(webhook(service, api_key=Secret("hook-key-0123")), clock=Clock(1000.0))) as guards:
            for _ in range(FAILURES * 2):
                await guards.ask(question("the marker-text"))

    assert len(caplog.records) == 1
    assert "guard hook does not answer" in caplog.text
    assert "marker" not in caplog.text
    assert "hook-key" not in caplog.text


# ---------------------------------------------------------------- metrics and settings


async def test_metrics_count_what_came_of_asking(service: GuardService) -> None:
    service.says = lambda _: {"findings": [{}]}
    async with opened(guards_of(webhook(service))) as guards:
        await guards.ask(question("a"))
        failing(service)
        await guards.ask(question("a"))
        samples = {
            (sample.name, *sample.labels.values()): sample.value for one in guards.gauges() for sample in one.samples
        }

    assert samples["tierway_external_guard_total", "hook", "found"] == 1
    assert samples["tierway_external_guard_total", "hook", "failed"] == 1
    assert samples["tierway_external_guard_resting", "hook"] == 0


async def test_guards_whose_settings_did_not_change_are_kept(service: GuardService) -> None:
    hook, people = webhook(service), presidio(service)
    before = build_guards([hook, people], {})
    after = build_guards([msgspec.structs.replace(hook), msgspec.structs.replace(people, language="fr")], {}, before)

    async with opened(before), opened(after):
        assert after.callers[0] is before.callers[0]
        assert after.callers[1] is not before.callers[1]
        assert before.without(after) == [before.callers[1]]


async def test_guard_is_built_anew_when_its_upstreams_credential_changes(service: GuardService) -> None:
    guard = moderation(service, url=None, upstream="openai")
    one, other = (OpenAIUpstream(base_url=service.origin, api_key=Secret(key)) for key in ("key-one", "key-two"))
    before = build_guards([guard], {"openai": one})
    after = build_guards([guard], {"openai": other}, before)

    async with opened(before), opened(after):
        assert after.callers[0] is not before.callers[0]


async def test_moderation_by_an_upstream_uses_its_credential(service: GuardService) -> None:
    service.says = lambda _: {"results": [{"category_scores": {"hate": 0.9}}]}
    upstream = OpenAIUpstream(base_url=service.origin + "/v1", api_key=Secret("key-one"))
    guards = build_guards([moderation(service, url=None, upstream="openai")], {"openai": upstream})

    async with opened(guards):
        (outcome,) = await guards.ask(question("a"))

    assert outcome.result == "found"
    assert service.requests[0].path == "/v1/moderations"
    assert service.requests[0].headers["authorization"] == "Bearer key-one"


def test_question_shows_no_text_when_it_is_printed() -> None:
    assert "marker" not in repr(question("marker-1"))


def webhook_at(url: str, **more: Any) -> Any:
    from policies.sanitise.external.settings import WebhookGuard  # noqa: PLC0415

    return WebhookGuard(**{"name": "hook", "url": url, **more})


# ---------------------------------------------------------------- texts that were judged before


def naming(rule: str) -> Any:
    return lambda asked: [{"entity_type": rule, "start": 0, "end": len(asked["text"]), "score": 1.0}]


async def test_text_that_was_judged_is_not_asked_about_again(service: GuardService) -> None:
    service.says = naming("PERSON")
    async with opened(guards_of(presidio(service))) as guards:
        await guards.ask(question("Ada"))
        service.says = naming("LOCATION")
        (outcome,) = await guards.ask(question("Ada", "Rome"))
        (again,) = await guards.ask(question("Rome", "Ada"))

    assert [document["text"] for document in service.documents] == ["Ada", "Rome"]
    assert sorted((one.index, one.finding.rule) for one in outcome.found) == [(0, "person"), (1, "location")]
    assert sorted((one.index, one.finding.rule) for one in again.found) == [(0, "location"), (1, "person")]
    assert guards.callers[0].known == 1


async def test_text_of_which_nothing_was_heard_is_asked_about_again(service: GuardService) -> None:
    failing(service)
    async with opened(guards_of(presidio(service))) as guards:
        await guards.ask(question("Ada"))
        service.says = naming("PERSON")
        (outcome,) = await guards.ask(question("Ada"))

    assert outcome.result == "found"


async def test_webhook_sees_a_conversation_each_time(service: GuardService) -> None:
    async with opened(guards_of(webhook(service))) as guards:
        await guards.ask(question("a"))
        await guards.ask(question("a"))

    assert len(service.requests) == 2
