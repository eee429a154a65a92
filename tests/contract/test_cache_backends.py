"""Every backend of the cache."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cache.base import Backend, Entry
from gateway.domain.usage import Usage
from tests.support.members import BACKENDS

MakeBackend = Callable[[int], Backend]

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32


@pytest.fixture(params=BACKENDS)
def make(request: pytest.FixtureRequest) -> MakeBackend:
    return BACKENDS[request.param]


@pytest.fixture
def backend(make: MakeBackend) -> Backend:
    return make(2**20)


def entry(body: bytes = b"{}", stored_at: float = 1.0) -> Entry:
    return Entry(body=body, usage=Usage(input_tokens=1, cached_tokens=2), answered_model="m", stored_at=stored_at)


async def test_an_unknown_key_has_no_entry(backend: Backend) -> None:
    assert await backend.get(A) is None


async def test_what_is_put_is_got_whole(backend: Backend) -> None:
    kept = entry('{"text":"grüße"}'.encode(), stored_at=12.5)

    await backend.put(A, kept)

    assert await backend.get(A) == kept
    assert await backend.get(A) == kept
    assert await backend.get(B) is None


async def test_a_second_put_replaces_the_first(backend: Backend) -> None:
    await backend.put(A, entry(b"1"))
    await backend.put(A, entry(b"2"))

    found = await backend.get(A)
    assert found is not None
    assert found.body == b"2"


async def test_a_deleted_key_has_no_entry(backend: Backend) -> None:
    await backend.put(A, entry())
    await backend.put(B, entry())

    await backend.delete(A)

    assert await backend.get(A) is None
    assert await backend.get(B) is not None


async def test_deleting_an_unknown_key_changes_nothing(backend: Backend) -> None:
    await backend.delete(A)

    assert await backend.get(A) is None


async def test_the_least_recently_used_entry_goes_first(make: MakeBackend) -> None:
    size = entry(b"x" * 1000).size
    backend = make(size * 10)
    keys = [bytes([number]) * 32 for number in range(10)]
    for key in keys:
        await backend.put(key, entry(b"x" * 1000))
    await backend.get(keys[0])

    await backend.put(A, entry(b"x" * 1000))

    assert await backend.get(keys[0]) is not None
    assert await backend.get(keys[1]) is None
    assert await backend.get(keys[2]) is not None
    assert await backend.get(A) is not None


async def test_a_replaced_or_deleted_entry_gives_its_room_back(make: MakeBackend) -> None:
    backend = make(entry(b"x" * 1000).size * 10)
    await backend.put(B, entry(b"x" * 1000))

    for _ in range(100):
        await backend.put(A, entry(b"x" * 1000))
        await backend.put(C, entry(b"x" * 1000))
        await backend.delete(C)

    assert await backend.get(B) is not None


async def test_no_more_than_its_bound_is_kept(make: MakeBackend) -> None:
    bound = 100_000
    backend = make(bound)
    keys = [number.to_bytes(32, "big") for number in range(1000)]

    for key in keys:
        await backend.put(key, entry(b"x" * 1000))

    kept = [found for key in keys if (found := await backend.get(key)) is not None]
    assert bound - 2 * entry(b"x" * 1000).size < sum(one.size for one in kept) <= bound


async def test_one_huge_entry_does_not_push_out_the_rest(make: MakeBackend) -> None:
    backend = make(100_000)
    await backend.put(A, entry())

    await backend.put(B, entry(b"x" * 90_000))

    assert await backend.get(A) is not None
    assert await backend.get(B) is None
