"""Posts notifications to an address, one after the other, beside the requests."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from gateway.alerts.notification import Notification
from gateway.domain.errors import GatewayError
from gateway.domain.secret import Secret
from gateway.upstreams.catalogue import make_engine
from gateway.upstreams.settings import OpenAIUpstream, Timeouts
from gateway.upstreams.transport import Patience, Request, Response, Transport

log = logging.getLogger("tierway")

Outcome = Literal["waiting", "delivered", "failed", "dropped", "unsent"]
"""`failed`: given up; `dropped`: too many waited; `unsent`: no webhook is configured."""

TIMEOUTS: Final = Timeouts(connect_s=3.0, first_byte_s=5.0, idle_s=5.0, total_s=10.0)
"""Chat services answer within a second."""

WAITING_MOST: Final = 100
"""Notifications that wait; one more drops the oldest, whose alert may long be over."""

PAUSES_S: Final = (1.0, 5.0, 20.0)
"""Seconds before the second, third and last attempt: a restart of the receiver fits in."""

_LONGEST_PAUSE_S: Final = 60.0
"""What a receiver's `Retry-After` may ask for at most; Slack's is 1 or 30."""

_MAX_ANSWER_BYTES: Final = 64 << 10
_TOO_MANY: Final = 429
_HEADERS: Final = ((b"content-type", b"application/json"), (b"user-agent", b"tierway"))


class Delivery(msgspec.Struct):
    """A notification and what became of it.

    Attributes:
        attempts: how often it was posted.
        answer: of the last attempt: a status, or the code of what went wrong.
    """

    notification: Notification
    outcome: Outcome = "waiting"
    attempts: int = 0
    answer: str = ""


class Webhook:
    """One receiver. `offer` never waits; `run` posts.

    Its address is a secret, as whoever knows it may post: nothing here logs, shows or raises more than the host.

    Args:
        url: the address.
        transport: reaches its origin; owned.
        sleep: waits for seconds.

    Attributes:
        host: of the address.
        outcomes: how many deliveries ended how.
    """

    def __init__(
        self, url: Secret, transport: Transport, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        parts = urlsplit(url.reveal())
        self.host = parts.hostname or ""
        self._target = ((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode("ascii")
        self._transport = transport
        self._sleep = sleep
        self._waiting: deque[Delivery] = deque()
        self._wake = asyncio.Event()
        self.outcomes: dict[str, int] = {"delivered": 0, "failed": 0, "dropped": 0}

    def offer(self, delivery: Delivery) -> None:
        """Have a notification posted soon. Past `WAITING_MOST` waiting ones the oldest is dropped and counted."""
        if len(self._waiting) >= WAITING_MOST:
            self._end(self._waiting.popleft(), "dropped")
        self._waiting.append(delivery)
        self._wake.set()

    async def run(self) -> None:
        """Post what is offered, in order, until cancelled."""
        while True:
            while self._waiting:
                await self._deliver(self._waiting.popleft())
            self._wake.clear()
            await self._wake.wait()

    async def close(self) -> None:
        """Close the connection."""
        await self._transport.close()

    async def _deliver(self, delivery: Delivery) -> None:
        body = delivery.notification.body()
        for pause_s in (*PAUSES_S, None):
            delivery.attempts += 1
            again_s = await self._post(delivery, body, pause_s)
            if again_s is None:
                break
            await self._sleep(again_s)
        if delivery.outcome == "failed":
            log.warning(
                "alert %s did not reach %s: %s after %d attempts",
                delivery.notification.id, self.host, delivery.answer, delivery.attempts,
            )  # fmt: skip

    async def _post(self, delivery: Delivery, body: bytes, pause_s: float | None) -> float | None:
        """Try once.

        Returns:
            Seconds to wait before the next attempt, None when this was the last.
        """
        try:
            status, asked_s = await self._ask(body)
        except GatewayError as error:
            delivery.answer, is_worth_retrying, asked_s = error.code or "error", error.retryable, 0.0
        except Exception as error:  # noqa: BLE001  one that cannot be sent must not hold up the next; counted and logged
            delivery.answer, is_worth_retrying, asked_s = type(error).__name__, False, 0.0
        else:
            delivery.answer, is_worth_retrying = str(status), status >= 500 or status == _TOO_MANY
            if 200 <= status < 300:
                self._end(delivery, "delivered")
                return None
        if is_worth_retrying and pause_s is not None:
            return max(pause_s, asked_s)
        self._end(delivery, "failed")
        return None

    async def _ask(self, body: bytes) -> tuple[int, float]:
        """Post once; return the status and the seconds that the receiver asks to wait."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in a task
        patience = Patience(task)
        try:
            response = await self._transport.send(Request(self._target, _HEADERS, body), patience)
            try:
                if response.status < 300:  # read, so that the connection can be used again
                    await response.read(_MAX_ANSWER_BYTES)
                return response.status, _asked_s(response)
            finally:
                await response.close()
        finally:
            patience.end()

    def _end(self, delivery: Delivery, outcome: Outcome) -> None:
        delivery.outcome = outcome
        self.outcomes[outcome] += 1


def open_webhook(url: Secret) -> Webhook:
    """Return a webhook with an HTTP client of its own.

    Raises:
        OSError: the system's certificates cannot be read.
    """
    parts = urlsplit(url.reveal())
    origin = OpenAIUpstream(base_url=f"{parts.scheme}://{parts.netloc}", timeouts=TIMEOUTS, max_connections=1)
    return Webhook(url, Transport(make_engine(origin), TIMEOUTS))


def _asked_s(response: Response) -> float:
    """Return the seconds of `Retry-After`, 0 where it is absent or a date."""
    asked = response.header(b"retry-after") or b""
    return min(float(asked), _LONGEST_PAUSE_S) if asked.isdigit() else 0.0
