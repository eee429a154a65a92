from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cache.backends.memory import MemoryBackend
from cache.exact import ExactCache
from cache.settings import CacheSettings
from gateway.answers.streamed import NotedStream
from gateway.caching import CacheStage
from gateway.domain.chat import read_chat
from gateway.domain.errors import InvalidRequestError, NotCachedError
from gateway.domain.usage import Usage
from gateway.exchange import Exchange
from gateway.upstreams.base import PlainReply, Reply
from policies.sanitise.inspection import Inspection, Verdict
from tests.support.build import caller, chat_body, exchange
from tests.support.clock import Clock
from tests.support.guarded import inspection_of

USAGE = Usage(input_tokens=9, output_tokens=4)


def answer(content: str = "Hello there.", finish: str = "stop", **message: Any) -> PlainReply:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    whole = {"id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion", "created": 1, "model": "m"}
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    body = json.dumps({**whole, "choices": [choice], "usage": usage}).encode()
    return PlainReply(body=body, usage=USAGE, answered_model="answered")


class Stream:
    """Gives blocks of events, the last of which may be an error."""

    headers: Sequence[tuple[bytes, bytes]] = ()
    dropped: tuple[str, ...] | None = None
    response_id = ""
    final = b""
    is_ended = False

    def __init__(self, *blocks: bytes | Exception) -> None:
        self._blocks = list(blocks)

    async def block(self) -> bytes | None:
        if not self._blocks:
            return None
        block = self._blocks.pop(0)
        if isinstance(block, Exception):
            raise block
        return block

    def usage(self) -> Usage:
        return USAGE

    async def close(self) -> None:
        return None


def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion.chunk", "created": 1}
    return b"data: " + json.dumps({**chunk, "model": "m", "choices": [choice]}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
WHOLE = (chunk({"role": "assistant", "content": "Hello"}), chunk({"content": " there."}), chunk({}, "stop"), DONE)


class House:
    """A cache stage, and requests that pass through it."""

    def __init__(self, version: str = "", backend: MemoryBackend | None = None, **settings: Any) -> None:
        self.clock = Clock(1000.0)
        self.backend = backend or MemoryBackend(2**20)
        cache = ExactCache(CacheSettings(exact=True, **settings), self.backend, self.clock)
        self.stage = CacheStage(cache, version)

    async def ask(
        self,
        reply: Reply | None = None,
        *,
        control: bytes = b"",
        degraded: bytes = b"",
        status: int = 200,
        guarded: Reply | None = None,
        inspection: Inspection | None = None,
        **fields: Any,
    ) -> tuple[Exchange, bytes]:
        """Carry a request through: to an answer that is there, or to `reply`. Return all that was sent."""
        opened = exchange()
        opened.headers = {b"x-tierway-cache-control": control} if control else {}
        opened.request = request = read_chat(chat_body(**fields))
        opened.route = "chat"
        opened.inspection = inspection
        found = await self.stage.look_up(opened, caller(), request)
        if found is None:
            found = self.stage.note(opened, answer() if reply is None else reply)
            opened.usage, opened.cost_microusd = USAGE, 20
            found = guarded or found
        opened.reply = found
        if degraded:
            opened.degrade(degraded)
        sent = await read(found)
        opened.status = status
        await opened.close()
        return opened, sent


async def read(reply: Reply) -> bytes:
    if isinstance(reply, PlainReply):
        return reply.body
    blocks = []
    while block := await reply.block():
        blocks.append(block)
    return b"".join(blocks)


def said(sent: bytes) -> str:
    """Return the text of an answer, plain or streamed."""
    if sent.startswith(b"{"):
        return str(json.loads(sent)["choices"][0]["message"]["content"])
    events = [json.loads(line[6:]) for line in sent.split(b"\n") if line.startswith(b"data: {")]
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])


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
    assert house.stage.unkept == {reason: 1}


async def test_an_answer_that_is_less_than_was_to_be_expected_is_not_kept() -> None:
    house = House()

    await house.ask(degraded=b"fallback")
    opened, _ = await house.ask()

    assert opened.hit is None
    assert house.stage.unkept["degraded"] == 1


async def test_what_the_guard_found_something_in_is_not_kept() -> None:
    house = House()
    inspection = inspection_of(output={"pii": "flag"})
    inspection.note(Verdict(detector="pii", rule="email", action="flag", direction="output"))

    await house.ask(inspection=inspection)
    opened, _ = await house.ask()

    assert opened.hit is None
    assert house.stage.unkept == {"flagged": 1}


async def test_what_is_kept_is_the_answer_before_the_guard() -> None:
    house = House()

    await house.ask(guarded=answer(content="Something else."))
    _, sent = await house.ask()

    assert said(sent) == "Hello there."


async def test_a_stream_that_was_left_is_not_kept() -> None:
    house = House()
    opened = exchange()
    opened.headers = {}
    opened.request = request = read_chat(chat_body(stream=True))
    await house.stage.look_up(opened, caller(), request)
    noted = house.stage.note(opened, Stream(*WHOLE))
    assert isinstance(noted, NotedStream)
    await noted.block()
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

    async def ask(user: str) -> Exchange:
        opened = exchange()
        opened.headers, opened.user = {}, user
        opened.request = request = read_chat(chat_body(user=user))
        opened.reply = await house.stage.look_up(opened, caller(), request) or answer()
        opened.status = 200
        await opened.close()
        return opened

    assert [(await ask(user)).hit is not None for user in ("anna", "ben", "anna")] == [False, False, True]


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
