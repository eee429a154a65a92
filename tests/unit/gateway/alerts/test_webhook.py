from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from gateway.alerts.notification import Notification
from gateway.alerts.settings import AlertSettings
from gateway.alerts.watch import open_watch
from gateway.alerts.webhook import PAUSES_S, WAITING_MOST, Delivery, Webhook
from gateway.domain.secret import Secret
from gateway.upstreams.catalogue import make_engine
from gateway.upstreams.settings import OpenAIUpstream, Timeouts
from gateway.upstreams.transport import EngineResponse, Transport
from gateway.upstreams.transport import Request as Sent
from tests.support.alerts import record, running
from tests.support.moment import PATIENCE_S
from tests.support.scripted_api import Answer, Request, ScriptedApi
from tests.support.sink import Sink

PATH = "/services/T000/the-secret-part?and=this"


class Receiver(ScriptedApi):
    """A webhook's other end, which answers as it is told; 200 once it is told no more."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self._answers = list(answers)

    def answer(self, request: Request) -> Answer:
        return self._answers.pop(0) if self._answers else Answer(b"ok", kind="text/plain")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


class Pauses:
    """Waits that take no time.

    Attributes:
        taken: how long each would have been, in seconds.
    """

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


class BrokenEngine:
    """An HTTP client with a fault of its own."""

    is_closed = False

    async def send(self, request: Sent) -> EngineResponse:
        raise RuntimeError("http://127.0.0.1/the-secret-part")

    async def close(self) -> None:
        self.is_closed = True


def webhook(origin: str, pauses: Pauses | None = None, silence_s: float = PATIENCE_S) -> Webhook:
    timeouts = Timeouts(connect_s=PATIENCE_S, first_byte_s=silence_s)
    engine = make_engine(OpenAIUpstream(base_url=origin, timeouts=timeouts, max_connections=1))
    return Webhook(Secret(origin + PATH), Transport(engine, timeouts), sleep=pauses or Pauses())


def delivery(number: int = 1) -> Delivery:
    return Delivery(Notification(f"n-{number}", 0.0, ()))


@asynccontextmanager
async def posting(sender: Webhook) -> AsyncIterator[None]:
    async with running(sender.run()):
        yield
    await sender.close()


async def ended(*deliveries: Delivery) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while any(one.outcome == "waiting" for one in deliveries):  # noqa: ASYNC110  nothing announces it
            await asyncio.sleep(0.001)


async def sent(sender: Webhook, *deliveries: Delivery) -> None:
    """Offer deliveries and wait for what becomes of them."""
    async with posting(sender):
        for one in deliveries:
            sender.offer(one)
        await ended(*deliveries)


async def test_a_notification_arrives_once(receiver: Receiver) -> None:
    one = delivery()

    await sent(webhook(receiver.origin), one)

    assert (one.outcome, one.attempts, one.answer) == ("delivered", 1, "200")
    assert len(receiver.requests) == 1
    arrived = receiver.requests[0]
    assert arrived.method == "POST"
    assert arrived.path == "/services/T000/the-secret-part"
    assert arrived.query == {"and": ["this"]}
    assert arrived.headers["content-type"] == "application/json"
    assert json.loads(arrived.body)["tierway"]["id"] == "n-1"


async def test_notifications_arrive_in_order(receiver: Receiver) -> None:
    await sent(webhook(receiver.origin), *(delivery(number) for number in range(5)))

    ids = [json.loads(request.body)["tierway"]["id"] for request in receiver.requests]
    assert ids == [f"n-{number}" for number in range(5)]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_receiver_that_is_not_well_is_asked_again(status: int) -> None:
    pauses, one = Pauses(), delivery()
    with Receiver(Answer(status=status), Answer(status=status)) as receiver:
        await sent(webhook(receiver.origin, pauses), one)

        assert len(receiver.requests) == 3
    assert (one.outcome, one.attempts) == ("delivered", 3)
    assert pauses.taken == list(PAUSES_S[:2])


@pytest.mark.parametrize(("asked", "pause_s"), [("7", 7.0), ("9999", 60.0), ("soon", PAUSES_S[0]), ("0", PAUSES_S[0])])
async def test_a_receiver_may_ask_for_a_longer_pause(asked: str, pause_s: float) -> None:
    pauses, one = Pauses(), delivery()
    with Receiver(Answer(status=429, headers={"retry-after": asked})) as receiver:
        await sent(webhook(receiver.origin, pauses), one)

    assert pauses.taken == [pause_s]
    assert one.outcome == "delivered"


@pytest.mark.parametrize("status", [302, 400, 404, 410])
async def test_a_receiver_that_refuses_is_not_asked_again(status: int) -> None:
    one = delivery()
    with Receiver(Answer(status=status, headers={"location": "/elsewhere"})) as receiver:
        sender = webhook(receiver.origin)
        await sent(sender, one)

        assert len(receiver.requests) == 1
    assert (one.outcome, one.answer) == ("failed", str(status))
    assert sender.outcomes == {"delivered": 0, "failed": 1, "dropped": 0}


async def test_attempts_end_and_the_next_notification_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    first, second = delivery(1), delivery(2)
    with Receiver(*[Answer(status=503)] * 4) as receiver:
        await sent(webhook(receiver.origin), first, second)

    assert (first.outcome, first.attempts) == ("failed", 1 + len(PAUSES_S))
    assert second.outcome == "delivered"
    assert "alert n-1 did not reach 127.0.0.1: 503 after 4 attempts" in caplog.text


async def test_an_address_where_nobody_listens_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    one = delivery()

    await sent(webhook(f"http://127.0.0.1:{port}"), one)

    assert (one.outcome, one.attempts, one.answer) == ("failed", 4, "upstream_unreachable")


async def test_a_receiver_that_never_answers_is_given_up() -> None:
    one = delivery()
    with Sink() as silent:
        await sent(webhook(silent.url.removesuffix("/v1"), silence_s=0.05), one)

    assert (one.outcome, one.attempts, one.answer) == ("failed", 4, "upstream_timeout")


async def test_a_fault_of_the_client_ends_one_notification_only() -> None:
    first, second = delivery(1), delivery(2)
    engine = BrokenEngine()
    sender = Webhook(Secret("http://127.0.0.1/x"), Transport(engine, Timeouts()), sleep=Pauses())

    await sent(sender, first, second)

    assert [(one.outcome, one.attempts, one.answer) for one in (first, second)] == [("failed", 1, "RuntimeError")] * 2
    assert engine.is_closed


async def test_the_oldest_that_wait_are_dropped_and_counted() -> None:
    sender = webhook("http://127.0.0.1:9")
    deliveries = [delivery(number) for number in range(WAITING_MOST + 3)]

    for one in deliveries:
        sender.offer(one)

    assert [one.outcome for one in deliveries[:4]] == ["dropped", "dropped", "dropped", "waiting"]
    assert sender.outcomes["dropped"] == 3


async def test_no_more_than_the_host_is_shown_logged_or_kept_with_an_outcome(caplog: pytest.LogCaptureFixture) -> None:
    one = delivery()
    with caplog.at_level(logging.DEBUG), Receiver(Answer(status=404)) as receiver:
        sender = webhook(receiver.origin)
        await sent(sender, one)

    assert one.outcome == "failed"
    assert sender.host == "127.0.0.1"
    for shown in (caplog.text, repr(sender), repr(one), one.notification.body().decode()):
        assert "the-secret-part" not in shown


async def test_a_watch_posts_to_the_webhook_of_its_settings(receiver: Receiver) -> None:
    watch = open_watch(AlertSettings(webhook=Secret(receiver.origin + PATH), for_s=0))
    for _ in range(20):
        watch.observe(record(500))

    async with running(watch.run()):
        await watch.judge_requests()
        await ended(*watch.deliveries())
    await watch.close()

    assert [one.outcome for one in watch.deliveries()] == ["delivered"]
    assert watch.webhook_host == "127.0.0.1"
    (arrived,) = receiver.requests
    told = [(change["alert"], change["subject"]) for change in json.loads(arrived.body)["tierway"]["changes"]]
    assert told == [("error_rate", "all"), ("error_rate", "team 'search'")]
    counted = {sample.labels["result"]: sample.value for sample in list(watch.gauges())[1].samples}
    assert counted == {"delivered": 1.0, "failed": 0.0, "dropped": 0.0}
