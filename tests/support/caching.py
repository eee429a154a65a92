"""A cache stage on its own, and requests that pass through it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from cache.backends.memory import MemoryBackend
from cache.exact import ExactCache
from cache.settings import CacheSettings
from gateway.caching.likeness import Likeness
from gateway.caching.stage import CacheStage
from gateway.domain.chat import read_chat
from gateway.domain.usage import Usage
from gateway.exchange import Exchange
from gateway.flights.local import Flights
from gateway.flights.settings import FlightSettings
from gateway.upstreams.base import PlainReply, Reply
from policies.effective import Policy, resolve
from policies.sanitise.inspection import Inspection
from policies.settings import CacheRules, OrganisationSettings
from tests.support.build import caller, chat_body, exchange
from tests.support.clock import Clock

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


def policy_with(rules: Sequence[CacheRules]) -> Policy:
    """Return what holds for a key whose levels say this of the cache."""
    policy = resolve(OrganisationSettings(), "search", "ci", None)
    return msgspec.structs.replace(policy, cache=tuple(rules))


class House:
    """A cache stage, and requests that pass through it."""

    def __init__(self, version: str = "", backend: MemoryBackend | None = None, **settings: Any) -> None:
        self.clock = Clock(time.time())
        self.backend = backend or MemoryBackend(2**20)
        self.exact = ExactCache(CacheSettings(exact=True, **settings), self.backend, self.clock)
        self.stage = CacheStage(self.exact, version, flights=Flights(FlightSettings()))

    @property
    def unkept(self) -> dict[str, int]:
        """Answers that were not kept, by reason."""
        assert self.stage.keeper is not None
        return dict(self.stage.keeper.unkept)

    def find_alike(self, likeness: Likeness) -> None:
        """Have answers found by meaning too."""
        self.stage = CacheStage(self.exact, "", likeness, self.stage.flights)

    async def ask(
        self,
        reply: Reply | None = None,
        *,
        control: bytes = b"",
        degraded: bytes = b"",
        status: int = 200,
        alone: bool = False,
        guarded: Reply | None = None,
        inspection: Inspection | None = None,
        notice: Callable[[], None] | None = None,
        rules: Sequence[CacheRules] = (),
        **fields: Any,
    ) -> tuple[Exchange, bytes]:
        """Carry a request through: to an answer that is there, or to `reply`. Return all that was sent.

        `guarded` is what the guard makes of `reply`, `notice` is called when it has seen all of that.
        """
        opened = exchange()
        opened.headers = {b"x-tierway-cache-control": control} if control else {}
        opened.user = fields.get("user")
        opened.inspection = inspection
        opened.policy = policy_with(rules)
        opened.request = request = read_chat(chat_body(**fields))
        opened.route = "chat"
        found, place = await self.stage.look_up(opened, caller(), request)

        async def call() -> Reply:
            opened.usage, opened.cost_microusd, opened.routed_model = USAGE, 20, "m"
            if degraded:
                opened.degrade(degraded)
            return answer() if reply is None else reply

        if found is None:
            found = await (call() if place is None else self.stage.fetch(opened, place, call, alone=alone))
            found = guarded or found
        opened.reply = found
        sent = await read(found)
        if notice is not None:
            notice()
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


async def come_true(holds: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait until something holds that nothing tells of."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110  as above
            await asyncio.sleep(0.001)
