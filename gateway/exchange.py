"""One request and its reply, from the first byte of its head to the last byte sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from cache.base import Hit
from gateway.domain.caller import Caller
from gateway.domain.errors import GatewayError
from gateway.domain.request import ModelRequest, Shape
from gateway.domain.usage import NO_USAGE, Usage
from gateway.upstreams.base import Reply
from gateway.upstreams.transport import Patience
from policies.base import Hold
from policies.effective import Policy
from policies.fair_queue import AT_ONCE
from policies.sanitise.inspection import Inspection
from router.base import Decision, Option
from router.wishes import NO_WISHES, Wishes

CLIENT_CLOSED_REQUEST = 499
"""The status recorded when the caller left first (nginx's own; never sent)."""

_perf_counter = time.perf_counter


class Exchange:
    """What one request carries through the stages. Each stage fills in its own fields.

    Args:
        request_id: echoed or made; in the answer, the log and every error.
        hold_id: made, and unique whatever the caller sends.
        headers: the request's, names in lower case.
        address: the client's address.
        task: the task that answers the request.

    Attributes:
        route: the operation, for metrics.
        shape: what the caller's clients speak, for errors.
        query: of the request's target, as sent, without its question mark.
        patience: how long this request waits for upstreams, and the deadline it must be answered by.
        started: seconds of `time.perf_counter`.
        upstream_s: seconds spent waiting for upstreams, up to the first byte of a stream.
        first_byte_s: seconds from `started` to the first byte sent, 0 before it.
        policy: what holds for the caller.
        user: the end user, as the caller names it.
        hold: what is held for the request.
        reserved_at: when it was held, seconds since the epoch.
        held_options: who may answer within what is held, best first.
        waited: how it waited for a place at its upstream; how it waited for a limit, its hold knows.
        output_limit: the length of the answer that the request is sent with, None for its own.
        target: the model, `auto` or `auto/<tier>` that the requested name stands for.
        experiment: the alias that is split, where the requested name is one; empty elsewhere.
        subject: who keeps its arm.
        wishes: what the caller asks of whoever answers.
        attempts: calls made to models, `retries` among them: those to models that had been asked before.
        aside: models and what they have consumed besides the answer that is given: a call that lost against a faster
            one, an answer without the form that was asked for.
        is_replayed: whether its answer was made for another request, which pays for it.
        shares: the id of the entry that its answer becomes, where that is made by the call of an equal request, which
            pays for it; empty elsewhere.
        inspection: what the guard knows of it, None where it looks for nothing.
        degraded: in which ways the answer is less than what was to be expected, as words for a header.
    """

    __slots__ = (
        "_closers", "_settler", "address", "aside", "attempts", "caller", "cost_microusd", "decision", "degraded",
        "error", "experiment", "first_byte_s", "headers", "held_options", "hit", "hold", "hold_id", "inspection",
        "is_replayed", "miss_reason", "output_limit", "patience", "policy", "query", "reply", "request", "request_id",
        "reserved_at", "retries", "route", "routed_model", "shape", "shares", "started", "status", "subject", "target",
        "upstream", "upstream_s", "usage", "user", "waited", "wishes",
    )  # fmt: skip

    def __init__(
        self,
        request_id: str,
        headers: Mapping[bytes, bytes],
        address: str,
        task: asyncio.Task[object],
        hold_id: str = "",
    ) -> None:
        self.started = _perf_counter()
        self.request_id = request_id
        self.hold_id = hold_id or request_id
        self.headers = headers
        self.address = address
        self.patience = Patience(task)
        self.route = "other"
        self.shape: Shape = "chat"
        self.query = b""
        self.caller: Caller | None = None
        self.request: ModelRequest | None = None
        self.decision: Decision | None = None
        self.hit: Hit | None = None
        self.miss_reason = "off"
        self.is_replayed = False
        self.shares = ""
        self.inspection: Inspection | None = None
        self.reply: Reply | None = None
        self.routed_model = ""
        self.upstream = ""
        self.attempts = self.retries = 0
        self.aside: tuple[tuple[str, Usage], ...] = ()
        self.degraded: tuple[bytes, ...] = ()
        self.target = self.experiment = self.subject = ""
        self.wishes: Wishes = NO_WISHES
        self.usage: Usage = NO_USAGE
        self.cost_microusd: int | None = None
        self.status = 0
        self.error: GatewayError | None = None
        self.upstream_s = 0.0
        self.first_byte_s = 0.0
        self.policy: Policy | None = None
        self.user: str | None = None
        self.hold: Hold | None = None
        self.reserved_at = 0.0
        self.held_options: tuple[Option, ...] = ()
        self.output_limit: int | None = None
        self.waited = AT_ONCE
        self._settler: Callable[[], Awaitable[None]] | None = None
        self._closers: list[Callable[[], Awaitable[None]]] = []

    @property
    def tier(self) -> str:
        """The tier the request was assigned to, `none` before and for models of no tier."""
        return (self.decision.tier if self.decision else None) or "none"

    @property
    def kind(self) -> str:
        """The kind of task that the router saw, empty where it did not look."""
        grounds = self.decision.grounds if self.decision else None
        return grounds.kind if grounds else ""

    @property
    def is_given(self) -> bool:
        """Whether its answer was made for another request, and costs nothing."""
        return self.hit is not None or bool(self.shares) or self.is_replayed

    @property
    def cached(self) -> str:
        """Where its answer came from, in a word: the kind of hit, `shared`, or why there was none."""
        if self.hit is not None:
            return self.hit.kind
        return "shared" if self.shares else self.miss_reason

    @property
    def caller_id(self) -> str:
        """What stands for the caller where callers are told apart, empty before it is known."""
        return self.caller.key_id if self.caller is not None else ""

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request's head was read."""
        return _perf_counter() - self.started

    @property
    def overhead_s(self) -> float:
        """Seconds the gateway itself took, up to the first byte sent."""
        return max((self.first_byte_s or self.elapsed_s) - self.upstream_s, 0.0)

    def on_close(self, closer: Callable[[], Awaitable[None]]) -> None:
        """Have `closer` called when the exchange ends, in reverse order of registration."""
        self._closers.append(closer)

    def spend_aside(self, model: str, usage: Usage) -> None:
        """Note what a model has consumed besides the answer that is given."""
        self.aside = (*self.aside, (model, usage))

    def degrade(self, word: bytes) -> None:
        """Note that the answer is less than what was to be expected, and how."""
        if word not in self.degraded:
            self.degraded = (*self.degraded, word)

    def settle_with(self, settler: Callable[[], Awaitable[None]]) -> None:
        """Have `settler` called once: by `settle`, or else when the exchange ends."""
        if self._settler is None:
            self._closers.append(self.settle)
        self._settler = settler

    @property
    def is_settled(self) -> bool:
        """Whether what the request consumed has been charged."""
        return self._settler is None and self.hold is not None

    async def settle(self) -> None:
        """Charge what the request consumed, now that it is known and before the last byte is sent; only once."""
        settler, self._settler = self._settler, None
        if settler is not None:
            await settler()

    async def close(self) -> None:
        """Give back what was taken. A list, as an `AsyncExitStack` costs 3 us a request.

        Every closer is called, whatever the others raise; the first exception is raised at the end.
        """
        failure: Exception | None = None
        while self._closers:
            try:
                await self._closers.pop()()
            except Exception as error:  # noqa: BLE001  re-raised below, once everything is given back
                failure = failure or error
        if failure is not None:
            raise failure
