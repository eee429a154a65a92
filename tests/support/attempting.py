"""Attempts over scripted upstreams: real health, real retries, nothing that waits for a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.attempts.asking import Asker
from gateway.attempts.attempts import Attempts
from gateway.attempts.hedging import Hedger
from gateway.domain.errors import GatewayError
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.usage import Usage
from gateway.exchange import Exchange
from gateway.upstreams.base import ModelCall, PlainReply, Reply
from gateway.upstreams.settings import Model
from router.base import Decision, Option
from router.learned import Learned
from router.settings import RouterSettings
from tests.support.build import caller, chat_request, exchange

USAGE = Usage(input_tokens=10, output_tokens=5)


def plain(name: str = "answered") -> PlainReply:
    return PlainReply(body=b'{"ok":1}', usage=USAGE, answered_model=name)


class Stream:
    """A stream of one block."""

    headers: Sequence[tuple[bytes, bytes]] = ()
    dropped: tuple[str, ...] | None = None
    response_id = ""
    final = b""

    def __init__(self) -> None:
        self.closed = 0
        self.is_ended = False

    async def block(self) -> bytes | None:
        if self.is_ended:
            return None
        self.is_ended = True
        return b"data: {}\n\n"

    def usage(self) -> Usage:
        return USAGE

    async def close(self) -> None:
        self.closed += 1


class Scripted:
    """An upstream that does, call by call, what it is told: an answer, an error, or either after so many seconds."""

    def __init__(self, name: str, *outcomes: Any) -> None:
        self.name = name
        self.shapes: set[Shape] = {"chat"}
        self.unwanted: dict[str, set[str]] = {}
        self.outcomes = list(outcomes) or [plain(name)]
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.asked_at: list[float] = []
        self.calls: list[ModelCall] = []
        self.cancelled = 0

    async def answer(self, call: ModelCall) -> Reply:
        self.calls.append(call)
        self.asked_at.append(asyncio.get_running_loop().time())
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, tuple):
            seconds, outcome = outcome
            await self._wait(seconds, call)
        if call.observe is not None:
            call.observe(self.headers)
        if isinstance(outcome, Exception):
            raise outcome
        reply: Reply = outcome
        return reply

    async def _wait(self, seconds: float, call: ModelCall) -> None:
        call.patience.begin(600.0, 60.0)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            call.patience.raise_if_late()
            self.cancelled += 1
            raise
        call.patience.rest()

    def estimate_tokens(self, request: ModelRequest, model: str) -> int:
        return 30

    async def close(self) -> None:
        pass

    def counters(self) -> Mapping[str, int]:
        return {}


class Admitting:
    """Holds whatever is asked for, unless it is told not to."""

    def __init__(self) -> None:
        self.covered: list[tuple[str, ...]] = []
        self.refusal: GatewayError | None = None

    async def cover(self, opened: Exchange, request: ModelRequest, *names: str) -> None:
        self.covered.append(names)
        if self.refusal is not None:
            raise self.refusal


class Attempting:
    """Tiers of models, each with an upstream of its own name."""

    def __init__(
        self,
        *tiers: Sequence[Scripted],
        settings: RouterSettings | None = None,
        windows: Mapping[str, int] | None = None,
        chance: float = 0.5,
    ) -> None:
        self.settings = settings or RouterSettings()
        self.upstreams = {one.name: one for tier in tiers for one in tier}
        admission: Any = Admitting()
        self.admission = admission
        clock = asyncio.get_running_loop().time
        self.learned = Learned(self.settings, self.upstreams, clock=clock, chance=lambda: chance)
        self.asker = Asker(
            models={name: Model(upstream=name) for name in self.upstreams},
            upstreams=self.upstreams,
            gates={},
            health=self.learned.health,
            mirror=self.learned.mirror,
        )
        hedger = None
        if self.settings.hedge is not None:
            hedger = Hedger(
                asker=self.asker,
                admission=self.admission,
                learned=self.learned,
                settings=self.settings.hedge,
            )
        self.attempts = Attempts(
            asker=self.asker,
            admission=self.admission,
            learned=self.learned,
            hedger=hedger,
            windows=windows or {},
            settings=self.settings,
        )
        names: tuple[Any, ...] = ("simple", "medium", "complex")
        self.options = [Option(names[i], tuple(one.name for one in tier)) for i, tier in enumerate(tiers)]

    def open(self, key: str = "key_1", allowed_s: float = 600.0) -> Exchange:
        """Return the exchange of a request that was decided for the first tier."""
        opened = exchange()
        opened.caller = caller(key_id=key)
        opened.patience.allow(allowed_s)
        opened.request = chat_request()
        first = self.options[0]
        opened.decision = Decision(
            tier=first.tier,
            confidence=0.9,
            reason="chosen",
            candidates=first.candidates,
            spare=tuple(self.options[1:]),
        )
        return opened

    async def ask(self, opened: Exchange | None = None, **fields: Any) -> tuple[Exchange, Reply]:
        """Answer one request and end it."""
        opened = opened or self.open()
        request = opened.request = chat_request(**fields)
        try:
            reply = await self.attempts.answer(opened, request)
        finally:
            await opened.close()
            opened.patience.end()
        return opened, reply

    def calls(self) -> dict[str, int]:
        """Return how often each model was asked."""
        return {name: len(one.calls) for name, one in self.upstreams.items()}
