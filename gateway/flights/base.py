"""The seam of requests that share one call: what is asked for, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from gateway.upstreams.base import Reply

Closer = Callable[[], Awaitable[None]]
Outcome = Reply | BaseException
"""What a call has brought: an answer, whole by then, or why there is none."""


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done for one request, unless somebody does it already.

    Attributes:
        call: asks an upstream. It runs in a task of its own, which goes on when the request's is cancelled. What it
            takes it gives back by `on_close`.
        on_close: has something called when the request is over, the last one first: `Exchange.on_close`.
        hand_to: tells which task waits for the upstream from now on: `Patience.hand_to`.
        deadline: the caller's, seconds of the loop's clock: `Patience.deadline`. Others are waited for during half of
            what is left until then; the rest is for a call.
        look_up: finds the answer where `landed` of any replica has put it; used by what is shared by replicas.
        landed: is told once what came of `call`, when it began: the answer when it is whole, or why there is none.
        outlives: the call goes on when its caller leaves, even if nobody else waits for it.
    """

    call: Callable[[], Awaitable[Reply]]
    on_close: Callable[[Closer], None]
    hand_to: Callable[[asyncio.Task[object]], None]
    deadline: float
    look_up: Callable[[], Awaitable[Reply | None]] | None = None
    landed: Callable[[Outcome], Awaitable[None]] | None = None
    outlives: bool = False


class Flown(msgspec.Struct, frozen=True):
    """An answer.

    Attributes:
        is_shared: it was made for another request, which is charged for it; this one owes nothing.
    """

    reply: Reply
    is_shared: bool


class SingleFlight(Protocol):
    """Lets equal requests share one call."""

    async def fly(self, key: bytes, errand: Errand) -> Flown:
        """Answer a request: by its own call, or by that of an equal one which is under way.

        Args:
            key: the same for requests that deserve the same answer, streams apart from others.
            errand: what is done where no other request's call is under way, or none that succeeds in time.

        Raises:
            GatewayError: what this request's own call has met; never what another's has.
        """


class Interest:
    """Who still needs a call.

    Attributes:
        followers: requests that wait for it or read its stream.
        leader_is_here: the request it was made for is not over.
        outlives: it goes on without anybody.
    """

    __slots__ = ("followers", "leader_is_here", "outlives")

    def __init__(self, *, outlives: bool) -> None:
        self.followers = 0
        self.leader_is_here = True
        self.outlives = outlives

    @property
    def is_wanted(self) -> bool:
        """Whether the call should go on."""
        return self.leader_is_here or self.followers > 0 or self.outlives
