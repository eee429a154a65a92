"""One request and its reply, from the first byte of its head to the last byte sent."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from collections.abc import Awaitable, Callable

from cache.base import Hit
from gateway.domain.caller import Caller
from gateway.domain.chat import ChatRequest
from gateway.domain.errors import GatewayError
from gateway.domain.usage import NO_USAGE, Usage
from gateway.upstreams.base import Reply
from router.base import Decision

CLIENT_CLOSED_REQUEST = 499
"""The status recorded when the caller left first (nginx's own; never sent)."""


class Exchange:
    """What one request carries through the stages. Each stage fills in its own fields.

    Args:
        request_id: echoed or made; in the answer, the log and every error.
        route: the operation, for metrics.
        token: the caller's key as sent, or None.
        address: the client's address.
        read_body: reads and inflates the body; called once, after the caller is known.

    Attributes:
        deadline: seconds of the loop's clock.
        started: seconds of `time.perf_counter`.
        upstream_s: seconds spent waiting for upstreams, up to the first byte of a stream.
        first_byte_s: seconds from `started` to the first byte sent, 0 before it.
        stack: what must be given back when the exchange ends, in reverse order.
    """

    __slots__ = (
        "address", "attempts", "caller", "cost_microusd", "deadline", "decision", "error", "first_byte_s",
        "forwarded", "hit", "miss_reason", "read_body", "reply", "request", "request_id", "route", "routed_model",
        "stack", "started", "status", "token", "upstream", "upstream_s", "usage",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913  what the head of a request tells
        self,
        request_id: str,
        route: str,
        *,
        token: str | None,
        address: str,
        deadline: float,
        read_body: Callable[[], Awaitable[bytes]],
        forwarded: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        self.request_id = request_id
        self.route = route
        self.token = token
        self.address = address
        self.deadline = deadline
        self.read_body = read_body
        self.forwarded = forwarded
        self.started = time.perf_counter()
        self.stack = AsyncExitStack()
        self.caller: Caller | None = None
        self.request: ChatRequest | None = None
        self.decision: Decision | None = None
        self.hit: Hit | None = None
        self.miss_reason = "off"
        self.reply: Reply | None = None
        self.routed_model = ""
        self.upstream = ""
        self.attempts = 0
        self.usage: Usage = NO_USAGE
        self.cost_microusd: int | None = None
        self.status = 0
        self.error: GatewayError | None = None
        self.upstream_s = 0.0
        self.first_byte_s = 0.0

    @property
    def tier(self) -> str:
        """The tier the request was assigned to, `none` before and for models of no tier."""
        return (self.decision.tier if self.decision else None) or "none"

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request's head was read."""
        return time.perf_counter() - self.started

    @property
    def overhead_s(self) -> float:
        """Seconds the gateway itself took, up to the first byte sent."""
        return max((self.first_byte_s or self.elapsed_s) - self.upstream_s, 0.0)
