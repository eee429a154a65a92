"""Requests with an `Idempotency-Key`: made once, paid once, answered as often as they are sent."""

from __future__ import annotations

import asyncio
import random
import secrets
from hashlib import blake2b
from typing import Final

import msgspec

from gateway.domain.errors import DeadlineExceededError, InvalidRequestError
from gateway.flights.base import Errand, Flown, Outcome
from gateway.flights.local import Flights
from gateway.flights.once.base import Attached, New, OnceStore, Stored
from gateway.flights.records import Record, record_of, reply_of
from gateway.flights.renewal import Renewal
from gateway.flights.shared import FIRST_PAUSE_S, LONGEST_PAUSE_S
from gateway.upstreams.base import Reply

MOST_CHARACTERS: Final = 255
"""Of a key, as with Stripe (docs.stripe.com/api/idempotent_requests, 2026-11)."""

_PRINTABLE: Final = frozenset(range(0x20, 0x7F))


def read_key(sent: bytes | None) -> str | None:
    """Return the key of a request from the value of its header; None where it has none.

    Raises:
        InvalidRequestError: it is no key: 1 to 255 printable characters of ASCII.
    """
    if sent is None:
        return None
    if not 0 < len(sent) <= MOST_CHARACTERS or not _PRINTABLE.issuperset(sent):
        message = f"Idempotency-Key must be 1 to {MOST_CHARACTERS} printable ASCII characters."
        raise InvalidRequestError(message, code="invalid_idempotency_key", param="Idempotency-Key")
    return sent.decode("ascii")


def digest_of(operation: str, body: bytes) -> bytes:
    """Return what tells one request from another: where it was sent, and its body as received. 2 us for 2 kB."""
    return blake2b(body, digest_size=32, person=operation.encode()[:16]).digest()


class Idempotency:
    """Answers requests by their keys.

    A call that was begun goes on when its caller leaves, for the caller who lost its connection and sends the request
    again. Who sends it meanwhile is attached: in the same process it gets the events of a stream as they come, from
    another replica's call the answer when it is whole. Nobody ever makes a second call while the first may succeed:
    who has waited until its deadline is told so, and asks again.

    When the store is out of reach requests with a key are refused (503, which clients ask again): they were sent to be
    paid once.

    Args:
        store: keeps the answers.
        flights: shares within this process; may be the one that other requests use. A call made here is not shared
            there too: two tasks that read one stream would be waited for in turn.
        lease_s: as the store has it.

    Attributes:
        replayed: requests that were answered with what another one was.
    """

    def __init__(self, store: OnceStore, flights: Flights, *, lease_s: float) -> None:
        self.store, self._flights = store, flights
        self.replayed = 0
        self.renewal: Renewal[New] = Renewal(store.renew, lease_s / 3)

    async def begin(self, scope: str, idempotency_key: str, body_digest: bytes) -> New | Attached | Stored:
        """Begin to answer a request, unless it is or was answered.

        `New` must be ended by `complete` or `fail`. Cancelled, nothing is begun.

        Args:
            scope: whose key it is: keys of different scopes never meet.
            idempotency_key: see `read_key`.
            body_digest: see `digest_of`.

        Raises:
            IdempotencyKeyReusedError: the key belongs to another request.
            StageUnavailableError: nobody knows.
        """
        return await self.attempt(_attempt(scope, idempotency_key, body_digest))

    async def attempt(self, attempt: New) -> New | Attached | Stored:
        """Do what `begin` does; again for the same attempt, to learn what has become of the other one."""
        state = await self.store.begin(attempt)
        if isinstance(state, New):
            self.renewal.begin(state)
        return state

    async def complete(self, attempt: New, record: Record) -> None:
        """Keep the answer."""
        try:
            await self.store.complete(attempt, record)
        finally:
            self.renewal.end(attempt)

    async def fail(self, attempt: New) -> None:
        """Keep nothing: the request may be made again."""
        self.renewal.end(attempt)
        await self.store.fail(attempt)

    async def answer(self, scope: str, idempotency_key: str, body_digest: bytes, errand: Errand) -> Flown:
        """Answer a request: by its own call, or with what the same request is or was answered.

        Raises:
            GatewayError: what the call has met, or what it had met when the request was first made.
            IdempotencyKeyReusedError: the key belongs to another request.
            StageUnavailableError: the store is out of reach.
            DeadlineExceededError: the other call is not over yet.
        """
        turn = _Turn(self, _attempt(scope, idempotency_key, body_digest), errand)
        name = turn.attempt.name + body_digest
        own = msgspec.structs.replace(errand, call=turn.call, landed=turn.landed, outlives=True)
        flown = await self._flights.fly(name, own)
        if not flown.is_shared and not turn.is_replayed:
            return flown
        self.replayed += 1
        return Flown(flown.reply, is_shared=True)

    async def close(self) -> None:
        """Let go of what is begun; it ends by itself."""
        await self.renewal.close()


class _Turn:
    """One process's part in answering a request once."""

    __slots__ = ("_errand", "_idempotency", "_is_begun", "attempt", "is_replayed")

    def __init__(self, idempotency: Idempotency, attempt: New, errand: Errand) -> None:
        self._idempotency, self.attempt, self._errand = idempotency, attempt, errand
        self._is_begun = self.is_replayed = False

    async def call(self) -> Reply:
        """Return what is or was answered, or make the call."""
        loop, pause_s = asyncio.get_running_loop(), FIRST_PAUSE_S
        while True:
            state = await self._idempotency.attempt(self.attempt)
            if isinstance(state, New):
                self._is_begun = True
                return await self._errand.call()
            if isinstance(state, Stored):
                self.is_replayed = True
                return reply_of(state.record)
            if loop.time() >= self._errand.deadline:
                raise DeadlineExceededError("The first request with this Idempotency-Key is not answered yet.")
            await asyncio.sleep(pause_s * random.uniform(0.75, 1.0))  # noqa: S311  spreads replicas, guards nothing
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)

    async def landed(self, outcome: Outcome) -> None:
        """Keep the answer, or let the key go."""
        if not self._is_begun:
            return
        record = record_of(outcome)
        if record is None:
            await self._idempotency.fail(self.attempt)
        else:
            await self._idempotency.complete(self.attempt, record)
        if self._errand.landed is not None:
            await self._errand.landed(outcome)


def _attempt(scope: str, idempotency_key: str, body_digest: bytes) -> New:
    name = blake2b(msgspec.msgpack.encode((scope, idempotency_key)), digest_size=32).digest()
    return New(name, body_digest, secrets.token_bytes(12))
