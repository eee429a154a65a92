from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.domain.errors import (
    DeadlineExceededError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    UpstreamRefusedError,
    UpstreamTimeoutError,
)
from gateway.flights.idempotency import Idempotency, digest_of, read_key
from gateway.flights.local import Flights
from gateway.flights.once.base import Attached, New, OnceStore, Stored
from gateway.flights.once.memory import MemoryOnceStore
from gateway.flights.once.redis import RedisOnceStore
from gateway.flights.records import Record
from gateway.flights.settings import FlightSettings, IdempotencySettings
from tests.support.flying import SEALER, FedStream, Request, Shelf, Upstream, connect, plain
from tests.support.redis_server import reached, shared_server

DIGEST = digest_of("chat", b'{"model":"x"}')
OTHER = digest_of("chat", b'{"model":"y"}')
Make = Callable[[], Idempotency]


@pytest.fixture(params=["memory", "redis"])
async def replica(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Make replicas that share a store."""
    organisation = secrets.token_hex(8)
    settings = IdempotencySettings(lease_s=0.6)
    memory = MemoryOnceStore(settings)
    connections, made = [], []

    def make() -> Idempotency:
        store: OnceStore = memory
        if request.param == "redis":
            connections.append(connect(shared_server().url, organisation))
            store = RedisOnceStore(connections[-1], organisation, settings, SEALER)
        made.append(Idempotency(store, Flights(FlightSettings()), lease_s=settings.lease_s))
        return made[-1]

    yield make
    for one in made:
        assert one._flights.in_flight == one._flights.room.used == 0
        await one.close()
    for connection in connections:
        await connection.close()


def send(
    once: Idempotency,
    upstream: Upstream,
    *,
    scope: str = "search/ci",
    key: str = "key-1",
    digest: bytes = DIGEST,
    shelf: Shelf | None = None,
    deadline: float = float("inf"),
) -> Request:
    request = Request(None, upstream, shelf)
    return request.start_with(lambda errand: once.answer(scope, key, digest, errand), deadline=deadline)


async def test_a_request_that_is_sent_again_gets_the_same_answer_and_owes_nothing(replica: Make) -> None:
    once, upstream = replica(), Upstream(plain(b"first"), plain(b"second"))
    first = send(once, upstream)
    await first.answer()
    again = [send(one, upstream) for one in (once, replica())]

    assert [await request.answer() for request in again] == [b"first", b"first"]
    assert upstream.calls == 1
    assert [request.is_shared for request in (first, *again)] == [False, True, True]
    assert once.replayed == 1


async def test_a_request_that_is_sent_while_the_first_runs_is_attached(replica: Make) -> None:
    once, upstream = replica(), Upstream(plain(b"answer"), is_open=False)
    requests = [send(once, upstream)]
    await reached(lambda: upstream.calls == 1)
    other = replica()
    requests += [send(one, upstream) for one in (once, other, once, other)]
    await asyncio.sleep(0.1)
    upstream.gate.set()

    assert await asyncio.gather(*(request.answer() for request in requests)) == [b"answer"] * 5
    assert upstream.calls == 1
    assert [request.is_shared for request in requests] == [False, True, True, True, True]


async def test_streams_are_attached_to_as_they_come_and_replayed_when_they_are_whole(replica: Make) -> None:
    once, stream = replica(), FedStream(b"a")
    upstream = Upstream(stream)
    first = send(once, upstream)
    await reached(lambda: first.body == b"a")
    near, far = send(once, upstream), send(replica(), upstream)
    await reached(lambda: near.body == b"a")
    stream.feed(b"b", None)
    bodies = await asyncio.gather(first.answer(), near.answer(), far.answer())
    later = send(once, upstream)

    assert [*bodies, await later.answer()] == [b"ab"] * 4
    assert upstream.calls == 1


async def test_a_call_goes_on_for_a_caller_who_lost_its_connection(replica: Make) -> None:
    once, upstream = replica(), Upstream(plain(b"answer"), is_open=False)
    lost = send(once, upstream)
    await reached(lambda: upstream.calls == 1)
    lost.leave()
    await asyncio.sleep(0)
    again = send(replica(), upstream)
    await asyncio.sleep(0.05)
    upstream.gate.set()

    assert await again.answer() == b"answer"
    await lost.is_over()
    assert (upstream.calls, again.is_shared) == (1, True)


async def test_a_stream_goes_on_for_a_caller_who_lost_its_connection(replica: Make) -> None:
    once, stream = replica(), FedStream(b"a")
    upstream = Upstream(stream)
    lost = send(once, upstream)
    await reached(lambda: lost.body == b"a")
    lost.leave()
    await asyncio.sleep(0)
    stream.feed(b"b", None)
    await lost.is_over()

    assert await send(replica(), upstream).answer() == b"ab"
    assert upstream.calls == 1


async def test_another_request_with_the_key_is_refused_at_any_time(replica: Make) -> None:
    once, upstream = replica(), Upstream(is_open=False)
    first = send(once, upstream)
    await reached(lambda: upstream.calls == 1)
    with pytest.raises(IdempotencyKeyReusedError):
        await send(once, upstream, digest=OTHER).answer()
    upstream.gate.set()
    await first.answer()
    with pytest.raises(IdempotencyKeyReusedError):
        await send(replica(), upstream, digest=OTHER).answer()

    assert upstream.calls == 1


async def test_keys_belong_to_whoever_sends_them(replica: Make) -> None:
    once, upstream = replica(), Upstream(plain(b"1"), plain(b"2"), plain(b"3"))
    scopes = [("a", "b/c"), ("a/b", "c"), ("", "a/b/c")]

    bodies = [await send(once, upstream, scope=scope, key=key).answer() for scope, key in scopes]

    assert bodies == [b"1", b"2", b"3"]


async def test_a_failure_is_not_kept(replica: Make) -> None:
    once, upstream = replica(), Upstream(UpstreamTimeoutError("silent"), plain(b"answer"))
    with pytest.raises(UpstreamTimeoutError):
        await send(once, upstream).answer()

    assert await send(replica(), upstream).answer() == b"answer"
    assert upstream.calls == 2


async def test_a_refusal_of_the_body_is_kept(replica: Make) -> None:
    once, upstream = replica(), Upstream(UpstreamRefusedError("too long", status=400, code="context_length_exceeded"))
    for one in (once, once, replica()):
        with pytest.raises(UpstreamRefusedError, match="too long") as caught:
            await send(one, upstream).answer()
        assert caught.value.code == "context_length_exceeded"

    assert upstream.calls == 1


async def test_a_stream_that_broke_is_made_anew(replica: Make) -> None:
    once, broken = replica(), FedStream(b"a")
    upstream = Upstream(broken, FedStream(b"whole", None))
    first = send(once, upstream)
    await reached(lambda: first.body == b"a")
    broken.feed(UpstreamTimeoutError("silent"))
    await first.is_over()

    assert await send(replica(), upstream).answer() == b"whole"


async def test_who_waits_until_its_deadline_is_told_so_and_calls_nobody(replica: Make) -> None:
    once, upstream = replica(), Upstream(plain(b"answer"), is_open=False)
    first = send(once, upstream)
    await reached(lambda: upstream.calls == 1)
    soon = asyncio.get_running_loop().time() + 0.1
    hurried = [send(one, upstream, deadline=soon) for one in (once, replica())]
    outcomes = await asyncio.gather(*(request.answer() for request in hurried), return_exceptions=True)
    upstream.gate.set()
    await first.answer()

    assert [type(outcome) for outcome in outcomes] == [DeadlineExceededError] * 2
    assert upstream.calls == 1


async def test_a_call_that_takes_longer_than_its_lease_keeps_its_key(replica: Make) -> None:
    once, upstream = replica(), Upstream(plain(b"answer"), is_open=False)
    first = send(once, upstream)
    await reached(lambda: upstream.calls == 1)
    other = send(replica(), upstream)
    await asyncio.sleep(1.0)
    upstream.gate.set()

    assert list(await asyncio.gather(first.answer(), other.answer())) == [b"answer", b"answer"]
    assert upstream.calls == 1


async def test_the_key_of_a_process_that_died_is_free(replica: Make) -> None:
    dying, stuck, upstream = replica(), Upstream(is_open=False), Upstream(plain(b"answer"))
    first = send(dying, stuck)
    await reached(lambda: stuck.calls == 1)
    await dying.close()

    assert await send(replica(), upstream).answer() == b"answer"
    stuck.gate.set()
    await first.answer()


async def test_what_else_an_answer_is_kept_for_hears_of_it_once(replica: Make) -> None:
    once, upstream, shelf = replica(), Upstream(plain(b"answer")), Shelf()
    await send(once, upstream, shelf=shelf).answer()
    await send(once, upstream, shelf=shelf).answer()

    assert shelf.outcomes == [plain(b"answer")]


async def test_the_verbs_alone(replica: Make) -> None:
    once = replica()
    state = await once.begin("a", "k", DIGEST)
    assert isinstance(state, New)
    assert await once.begin("a", "k", DIGEST) == Attached()

    await once.fail(state)
    state = await once.begin("a", "k", DIGEST)
    assert isinstance(state, New)

    await once.complete(state, Record(body=b"{}"))
    assert await once.begin("a", "k", DIGEST) == Stored(Record(body=b"{}"))


@pytest.mark.parametrize("sent", [b"k", b"x" * 255, b'"8e03978e-40d5-43dd-bc93-6894a57f9324"', b"two words", b"~!"])
def test_keys_of_printable_characters_are_taken_as_they_are(sent: bytes) -> None:
    assert read_key(sent) == sent.decode()


@pytest.mark.parametrize("sent", [b"", b"x" * 256, b"tab\there", b"nul\0", b"\x7f", b"\xc3\xa4", b"a\r\nb"])
def test_anything_else_is_no_key(sent: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_key(sent)

    assert (caught.value.status, caught.value.param) == (400, "Idempotency-Key")


def test_a_request_without_the_header_has_no_key() -> None:
    assert read_key(None) is None


def test_requests_to_other_operations_and_with_other_bodies_differ() -> None:
    digests = {digest_of(name, body) for name in ("chat", "completions", "count_tokens") for body in (b"a", b"b", b"")}

    assert len(digests) == 9
    assert digest_of("chat", b"a") == digest_of("chat", b"a")
