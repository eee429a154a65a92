"""Every store of answers by idempotency key."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from gateway.domain.errors import IdempotencyKeyReusedError
from gateway.domain.usage import Usage
from gateway.flights.once.base import Attached, New, OnceStore, Stored
from gateway.flights.once.memory import MemoryOnceStore
from gateway.flights.once.redis import RedisOnceStore
from gateway.flights.records import Record, Refusal
from gateway.flights.settings import IdempotencySettings
from tests.support.flying import SEALER, connect
from tests.support.redis_server import shared_server

SETTINGS = IdempotencySettings(ttl_s=0.5, lease_s=0.25, record_mb=0.01, memory_mb=0.02)
ANSWER = Record(
    body=b"data: \xff\r\n",
    is_stream=True,
    usage=Usage(input_tokens=1, output_tokens=2),
    headers=((b"x-a", b"\xe9"),),
    answered_model="gpt-x",
    response_id="resp_1",
    dropped=("user",),
    final=b"{}",
)


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[OnceStore]:
    if request.param == "memory":
        yield MemoryOnceStore(SETTINGS)
        return
    organisation = secrets.token_hex(8)
    connection = connect(shared_server().url, organisation)
    yield RedisOnceStore(connection, organisation, SETTINGS, SEALER)
    await connection.close()


def attempt(token: bytes = b"1", *, digest: bytes = b"d", name: bytes = b"n") -> New:
    return New(name, digest, token)


async def test_the_first_attempt_is_new_and_others_attach(store: OnceStore) -> None:
    assert await store.begin(attempt(b"1")) == attempt(b"1")
    assert await store.begin(attempt(b"2")) == Attached()
    assert await store.begin(attempt(b"1")) == attempt(b"1")


async def test_an_answer_is_given_to_whoever_asks_the_same(store: OnceStore) -> None:
    await store.begin(attempt())
    await store.complete(attempt(), ANSWER)

    assert await store.begin(attempt(b"2")) == Stored(ANSWER)
    assert await store.begin(attempt(b"1")) == Stored(ANSWER)


async def test_a_refusal_is_kept_too(store: OnceStore) -> None:
    refused = Record(refusal=Refusal(message="no", status=400, code="bad", param="n", type="invalid_request_error"))
    await store.begin(attempt())
    await store.complete(attempt(), refused)

    assert await store.begin(attempt(b"2")) == Stored(refused)


async def test_another_request_with_the_key_is_refused_before_and_after_the_answer(store: OnceStore) -> None:
    await store.begin(attempt())
    with pytest.raises(IdempotencyKeyReusedError):
        await store.begin(attempt(b"2", digest=b"other"))
    await store.complete(attempt(), ANSWER)
    with pytest.raises(IdempotencyKeyReusedError) as caught:
        await store.begin(attempt(b"2", digest=b"other"))

    assert (caught.value.status, caught.value.code, caught.value.type) == (
        422,
        "idempotency_key_reused",
        "invalid_request_error",
    )
    assert caught.value.should_retry is False


async def test_names_do_not_meet(store: OnceStore) -> None:
    await store.begin(attempt())
    await store.complete(attempt(), ANSWER)

    assert await store.begin(attempt(name=b"m", digest=b"other")) == attempt(name=b"m", digest=b"other")


async def test_a_key_whose_attempt_failed_is_free_for_any_request(store: OnceStore) -> None:
    await store.begin(attempt())
    await store.fail(attempt())

    assert await store.begin(attempt(b"2", digest=b"other")) == attempt(b"2", digest=b"other")


async def test_only_the_attempt_that_has_the_key_lets_it_go(store: OnceStore) -> None:
    await store.begin(attempt(b"1"))
    await store.fail(attempt(b"2"))
    assert await store.begin(attempt(b"3")) == Attached()

    await store.complete(attempt(b"1"), ANSWER)
    await store.fail(attempt(b"1"))
    assert await store.begin(attempt(b"3")) == Stored(ANSWER)


async def test_the_key_of_a_process_that_died_is_free_after_its_lease(store: OnceStore) -> None:
    await store.begin(attempt(b"1"))
    await asyncio.sleep(0.3)

    assert await store.renew(attempt(b"1")) is False
    assert await store.begin(attempt(b"2")) == attempt(b"2")


async def test_a_lease_that_is_renewed_goes_on(store: OnceStore) -> None:
    await store.begin(attempt(b"1"))
    for _ in range(3):
        await asyncio.sleep(0.15)
        assert await store.renew(attempt(b"1")) is True
        assert await store.renew(attempt(b"2")) is False

    assert await store.begin(attempt(b"2")) == Attached()


async def test_an_answer_expires_and_is_not_renewed(store: OnceStore) -> None:
    await store.begin(attempt())
    await store.complete(attempt(), ANSWER)
    await asyncio.sleep(0.3)
    assert await store.renew(attempt()) is False
    assert await store.begin(attempt(b"2")) == Stored(ANSWER)
    await asyncio.sleep(0.3)

    assert await store.begin(attempt(b"2", digest=b"other")) == attempt(b"2", digest=b"other")


async def test_the_first_answer_stays(store: OnceStore) -> None:
    await store.begin(attempt(b"1"))
    await asyncio.sleep(0.3)
    await store.begin(attempt(b"2"))
    await store.complete(attempt(b"1"), ANSWER)
    await store.complete(attempt(b"2"), Record(body=b"second"))
    await store.fail(attempt(b"2"))

    assert await store.begin(attempt(b"3")) == Stored(ANSWER)


async def test_an_answer_that_comes_after_its_lease_is_kept(store: OnceStore) -> None:
    await store.begin(attempt(b"1"))
    await asyncio.sleep(0.3)
    await store.complete(attempt(b"1"), ANSWER)

    assert await store.begin(attempt(b"2")) == Stored(ANSWER)


async def test_an_answer_does_not_take_the_key_of_another_request(store: OnceStore) -> None:
    await store.begin(attempt(b"1"))
    await asyncio.sleep(0.3)
    await store.begin(attempt(b"2", digest=b"other"))
    await store.complete(attempt(b"1"), ANSWER)

    assert await store.begin(attempt(b"3", digest=b"other")) == Attached()


async def test_an_answer_that_is_too_long_frees_its_key(store: OnceStore) -> None:
    await store.begin(attempt())
    await store.complete(attempt(), Record(body=b"x" * 11_000))

    assert await store.begin(attempt(b"2")) == attempt(b"2")
    assert store.lost == 1


async def test_of_many_attempts_at_once_one_is_new(store: OnceStore) -> None:
    states = await asyncio.gather(*(store.begin(attempt(bytes([n]))) for n in range(50)))

    assert sum(isinstance(state, New) for state in states) == 1
    assert sum(isinstance(state, Attached) for state in states) == 49
