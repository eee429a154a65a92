from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cache.backends.memory import MemoryBackend
from gateway.caching.stage import CacheStage, Call
from gateway.domain.chat import read_chat
from gateway.domain.errors import InvalidRequestError, NotCachedError
from gateway.exchange import Exchange
from gateway.upstreams.base import PlainReply, Reply
from policies.sanitise.inspection import Verdict
from policies.settings import CacheRules
from tests.support.build import caller, chat_body, exchange
from tests.support.caching import DONE, WHOLE, House, Stream, answer, chunk, come_true, read, said
from tests.support.guarded import inspection_of


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
async def test_plain_and_streamed_answers_serve_each_other(*, first: bool, second: bool) -> None:
    house = House()

    await house.ask(Stream(*WHOLE) if first else answer(), stream=first)
    opened, sent = await house.ask(stream=second)

    assert opened.hit is not None
    assert opened.cost_microusd == 0
    assert said(sent) == "Hello there."
    assert sent.endswith(DONE) is second
    assert b"B9MBs8CjcvOU2jLn4n570S5qMJKcT" not in sent


async def test_a_stream_ends_with_its_usage_for_those_who_ask() -> None:
    house = House()
    await house.ask()

    _, without = await house.ask(stream=True)
    _, with_it = await house.ask(stream=True, stream_options={"include_usage": True})

    assert b"total_tokens" not in without
    assert b'"total_tokens":13' in with_it.replace(b" ", b"")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (answer(finish="length"), "truncated"),
        (answer(content="", refusal="no"), "refused"),
        (answer(finish="content_filter"), "filtered"),
        (Stream(*WHOLE[:2]), "unfinished"),
        (Stream(chunk({"content": "He"}, "length"), DONE), "truncated"),
    ],
)
async def test_answers_that_are_not_whole_are_not_kept(reply: Reply, reason: str) -> None:
    house = House()

    await house.ask(reply, stream=isinstance(reply, Stream))
    opened, _ = await house.ask()

    assert opened.hit is None
    assert house.unkept == {reason: 1}


async def test_what_the_guard_found_something_in_before_is_not_kept() -> None:
    house = House()
    inspection = inspection_of(output={"pii": "flag"})
    inspection.note(Verdict(detector="pii", rule="email", action="flag", direction="input"))

    await house.ask(inspection=inspection)
    opened, _ = await house.ask(inspection=inspection_of(output={"pii": "flag"}))

    assert opened.hit is None
    assert house.unkept == {"flagged": 1}


@pytest.mark.parametrize("alone", [True, False])
async def test_what_the_guard_found_something_in_afterwards_is_forgotten(*, alone: bool) -> None:
    house = House()
    inspection = inspection_of(output={"pii": "flag"})
    verdict = Verdict(detector="pii", rule="email", action="flag", direction="output")

    await house.ask(inspection=inspection, alone=alone, notice=lambda: inspection.note(verdict))
    opened, _ = await house.ask(inspection=inspection_of(output={"pii": "flag"}))

    assert opened.hit is None
    assert house.unkept == {"flagged": 1}


@pytest.mark.parametrize("alone", [True, False])
async def test_what_is_kept_is_the_answer_before_the_guard(*, alone: bool) -> None:
    house = House()

    await house.ask(guarded=answer(content="Something else."), alone=alone)
    _, sent = await house.ask()

    assert said(sent) == "Hello there."


async def test_a_request_with_placeholders_meets_no_answer() -> None:
    house = House()
    inspection = inspection_of(input={"pii": "redact"})
    inspection.note(Verdict(detector="pii", rule="email", action="redact", direction="input"))

    await house.ask()
    opened, _ = await house.ask(inspection=inspection)

    assert opened.cached == "skipped"


async def test_another_guard_finds_none_of_the_answers() -> None:
    house = House()

    await house.ask(inspection=inspection_of(output={"pii": "flag"}))
    opened, _ = await house.ask(inspection=inspection_of(output={"pii": "redact"}))

    assert opened.cached == "miss"


async def test_an_answer_that_is_less_than_was_to_be_expected_is_not_kept() -> None:
    house = House()

    await house.ask(degraded=b"fallback")
    opened, _ = await house.ask()

    assert opened.hit is None
    assert house.unkept["degraded"] == 1


@pytest.mark.parametrize("alone", [True, False])
async def test_a_stream_that_was_left_is_not_kept(*, alone: bool) -> None:
    house = House()
    opened = exchange()
    opened.headers = {}
    opened.request = request = read_chat(chat_body(stream=True))
    _, place = await house.stage.look_up(opened, caller(), request)
    assert place is not None

    async def call() -> Reply:
        return Stream(*WHOLE)

    stream = await house.stage.fetch(opened, place, call, alone=alone)
    assert not isinstance(stream, PlainReply)
    await stream.block()
    opened.status = 200
    await opened.close()

    assert (await house.ask())[0].hit is None


@pytest.mark.parametrize(
    ("control", "is_hit", "reason"),
    [
        (b"no-cache", False, "bypassed"),
        (b"max-age=50", False, "miss"),
        (b"max-age=70", True, ""),
        (b"no-store", True, ""),
        (b"only-if-cached", True, ""),
    ],
)
async def test_a_request_says_whether_an_answer_that_is_there_will_do(
    control: bytes, *, is_hit: bool, reason: str
) -> None:
    house = House()
    await house.ask()
    house.clock.now += 60

    opened, _ = await house.ask(control=control)

    assert (opened.hit is not None) is is_hit
    assert is_hit or opened.miss_reason == reason


async def test_no_cache_renews_what_is_there() -> None:
    house = House()
    await house.ask(answer("old"))

    await house.ask(answer("new"), control=b"no-cache")
    _, sent = await house.ask()

    assert said(sent) == "new"


async def test_no_store_keeps_nothing() -> None:
    house = House()

    await house.ask(control=b"no-store")

    assert (await house.ask())[0].hit is None


@pytest.mark.parametrize("is_on", [True, False])
async def test_only_if_cached_asks_nobody(*, is_on: bool) -> None:
    house = House()
    if not is_on:
        house.stage = CacheStage(None)

    with pytest.raises(NotCachedError) as caught:
        await house.ask(control=b"only-if-cached")

    assert (caught.value.status, caught.value.should_retry) == (504, False)


async def test_directives_that_cannot_be_read_are_the_callers_to_mend() -> None:
    with pytest.raises(InvalidRequestError, match="max-age"):
        await House().ask(control=b"max-age=soon")


async def test_what_else_an_answer_depends_on_is_part_of_its_key() -> None:
    backend = MemoryBackend(2**20)
    await House("one", backend).ask()

    assert (await House("two", backend).ask())[0].hit is None
    assert (await House("one", backend).ask())[0].hit is not None


async def test_an_end_user_shares_with_nobody_where_the_settings_say_so() -> None:
    house = House(scope="user")

    hits = [(await house.ask(user=user))[0].hit is not None for user in ("anna", "ben", "anna")]

    assert hits == [False, False, True]


async def test_an_answer_in_another_form_than_can_be_given_is_a_miss() -> None:
    house = House()
    await house.ask(answer(annotations=[{"type": "url_citation", "url_citation": {"url": "x"}}]))

    opened, _ = await house.ask(Stream(*WHOLE), stream=True)

    assert opened.hit is None


async def test_a_cache_that_breaks_is_a_miss() -> None:
    class Broken(MemoryBackend):
        async def get(self, entry_id: int) -> Any:
            raise RuntimeError("broken")

    house = House(backend=Broken(2**20))

    opened, sent = await house.ask()

    assert said(sent) == "Hello there."
    assert opened.miss_reason == "unavailable"
    assert house.stage.failures == 1


def held(calls: list[int], gate: asyncio.Event, reply: Reply) -> Call:
    """Return a call that is counted, and answered when the gate is opened."""

    async def call() -> Reply:
        calls.append(1)
        await gate.wait()
        return reply

    return call


async def ask_at_once(house: House, count: int, reply: Reply, **fields: Any) -> tuple[list[Exchange], list[int]]:
    """Ask the same several times before the first is answered."""
    calls: list[int] = []
    gate = asyncio.Event()

    async def one() -> Exchange:
        opened = exchange()
        opened.headers = {}
        opened.request = request = read_chat(chat_body(**fields))
        _, place = await house.stage.look_up(opened, caller(), request)
        assert place is not None
        opened.reply = await house.stage.fetch(opened, place, held(calls, gate, reply), alone=False)
        assert said(await read(opened.reply)) == "Hello there."
        opened.status = 200
        await opened.close()
        return opened

    asking = [asyncio.create_task(one()) for _ in range(count)]
    await come_true(lambda: calls)
    gate.set()
    return list(await asyncio.gather(*asking)), calls


@pytest.mark.parametrize("stream", [True, False])
async def test_equal_requests_at_once_make_one_call_and_one_pays(*, stream: bool) -> None:
    house = House()

    opened, calls = await ask_at_once(house, 20, Stream(*WHOLE) if stream else answer(), stream=stream)

    assert len(calls) == 1
    assert sorted(one.cached for one in opened) == ["miss", *["shared"] * 19]
    assert (await house.ask())[0].hit is not None


async def test_a_request_that_wants_its_own_answer_joins_no_other() -> None:
    house = House()
    calls: list[int] = []
    gate = asyncio.Event()

    async def one(control: bytes) -> Exchange:
        opened = exchange()
        opened.headers = {b"x-tierway-cache-control": control} if control else {}
        opened.request = request = read_chat(chat_body())
        _, place = await house.stage.look_up(opened, caller(), request)
        assert place is not None
        opened.reply = await house.stage.fetch(opened, place, held(calls, gate, answer()), alone=False)
        await opened.close()
        return opened

    asking = [asyncio.create_task(one(control)) for control in (b"", b"no-cache")]
    await come_true(lambda: len(calls) == 2)
    gate.set()
    opened = await asyncio.gather(*asking)

    assert [one.cached for one in opened] == ["miss", "bypassed"]


async def test_an_entry_called_wrong_is_gone() -> None:
    house = House()
    await house.ask()
    hit = (await house.ask())[0].hit
    assert hit is not None

    assert await house.stage.report_wrong(hit.entry_id)
    assert not await house.stage.report_wrong(hit.entry_id)
    assert not await house.stage.report_wrong("no id")
    assert (await house.ask())[0].hit is None


@pytest.mark.parametrize(
    ("rules", "control", "cached"),
    [
        ([CacheRules(control="no-cache")], b"", "bypassed"),
        ([CacheRules(control="no-store")], b"", "exact"),
        ([CacheRules(control="max-age=10")], b"", "miss"),
        ([CacheRules(control="max-age=100"), CacheRules(control="max-age=10")], b"", "miss"),
        ([CacheRules(control="max-age=100")], b"max-age=10", "miss"),
        ([CacheRules(control="max-age=100")], b"", "exact"),
        ([CacheRules(scope="key")], b"", "miss"),
        ([CacheRules(scope="org")], b"", "exact"),
    ],
)
async def test_a_policy_says_what_the_cache_may_do(rules: list[CacheRules], control: bytes, cached: str) -> None:
    house = House()
    await house.ask()
    house.clock.now += 60

    opened, _ = await house.ask(control=control, rules=rules)

    assert opened.cached == cached


async def test_a_policy_and_a_request_that_leave_no_answer_are_told() -> None:
    with pytest.raises(InvalidRequestError, match="leave no answer"):
        await House().ask(control=b"only-if-cached", rules=[CacheRules(control="no-cache")])
