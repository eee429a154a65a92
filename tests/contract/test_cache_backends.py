"""Every backend of the cache."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from cache.base import Backend, Entry, Selection
from gateway.domain.usage import Usage
from tests.support.cache_backends import BACKENDS

MakeBackend = Callable[[int], Backend]

A, B, C = 1, 2, 2**63 - 1
SIZE = 1512


@pytest.fixture
async def make(tmp_path: Path, backend_name: str) -> AsyncIterator[MakeBackend]:
    made: list[Backend] = []

    def make_one(max_bytes: int) -> Backend:
        made.append(BACKENDS[backend_name](tmp_path, max_bytes))
        return made[-1]

    yield make_one
    for one in made:
        await one.close()


@pytest.fixture(params=BACKENDS)
def backend_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def backend(make: MakeBackend) -> Backend:
    return make(2**20)


def entry(body: bytes = b"{}", stored_at: float = 1.0, **fields: Any) -> Entry:
    usage = Usage(input_tokens=1, cached_tokens=2)
    return Entry(body=body, usage=usage, stored_at=stored_at, **{"answered_model": "m", **fields})


async def test_an_unknown_number_has_no_entry(backend: Backend) -> None:
    assert await backend.get(A) is None


@pytest.mark.parametrize("number", [0, A, C])
async def test_what_is_put_is_got_whole(backend: Backend, number: int) -> None:
    kept = entry(
        '{"text":"grüße"}'.encode(),
        12.5,
        expires_at=1e10,
        key=b"\xff" * 32,
        tenant="team:acme/search",
        scope=b"\x00" * 32,
        cost_microusd=7,
    )

    await backend.put(number, kept)

    assert await backend.get(number) == kept
    assert await backend.get(number) == kept
    assert await backend.get(B) is None


async def test_an_entry_may_live_for_ever(backend: Backend) -> None:
    await backend.put(A, entry(expires_at=math.inf))

    assert await backend.get(A) == entry()


async def test_a_second_put_replaces_the_first(backend: Backend) -> None:
    await backend.put(A, entry(b"1"))
    await backend.put(A, entry(b"2"))

    found = await backend.get(A)
    assert found is not None
    assert found.body == b"2"


async def test_a_deleted_number_has_no_entry(backend: Backend) -> None:
    await backend.put(A, entry())
    await backend.put(B, entry())

    was_there = await backend.delete(A)

    assert was_there
    assert await backend.get(A) is None
    assert await backend.get(B) is not None


async def test_deleting_an_unknown_number_changes_nothing(backend: Backend) -> None:
    assert not await backend.delete(A)
    assert await backend.get(A) is None


async def test_the_least_recently_used_entry_goes_first(make: MakeBackend) -> None:
    backend = make(SIZE * 10)
    for number in range(10, 20):
        await backend.put(number, entry(b"x" * 1000))
    await backend.get(10)

    await backend.put(A, entry(b"x" * 1000))

    assert await backend.get(10) is not None
    assert await backend.get(11) is None
    assert await backend.get(12) is not None
    assert await backend.get(A) is not None


async def test_a_replaced_or_deleted_entry_gives_its_room_back(make: MakeBackend) -> None:
    backend = make(SIZE * 10)
    await backend.put(B, entry(b"x" * 1000))

    for _ in range(100):
        await backend.put(A, entry(b"x" * 1000))
        await backend.put(C, entry(b"x" * 1000))
        await backend.delete(C)

    assert await backend.get(B) is not None


async def test_no_more_than_its_bound_is_kept(make: MakeBackend) -> None:
    bound = 100_000
    backend = make(bound)

    for number in range(1000):
        await backend.put(number, entry(b"x" * 1000))

    kept = [found for number in range(1000) if (found := await backend.get(number)) is not None]
    assert bound - 2 * SIZE < sum(one.size for one in kept) <= bound
    assert backend.bytes == sum(one.size for one in kept)


async def test_one_huge_entry_does_not_push_out_the_rest(make: MakeBackend) -> None:
    backend = make(100_000)
    await backend.put(A, entry())

    await backend.put(B, entry(b"x" * 90_000))

    assert await backend.get(A) is not None
    assert await backend.get(B) is None


async def test_an_entry_that_would_be_replaced_by_a_huge_one_goes(make: MakeBackend) -> None:
    backend = make(100_000)
    await backend.put(A, entry())

    await backend.put(A, entry(b"x" * 90_000))

    assert await backend.get(A) is None


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (Selection(), set()),
        (Selection(tenant="team:a"), {3}),
        (Selection(scope=b"s"), {2, 3}),
        (Selection(answered_model="n"), {1, 3}),
        (Selection(tenant="team:a", answered_model="n"), {1, 3}),
        (Selection(tenant="nobody"), {1, 2, 3}),
    ],
)
async def test_a_selection_is_forgotten(backend: Backend, selection: Selection, left: set[int]) -> None:
    await backend.put(1, entry(tenant="team:a", scope=b"s"))
    await backend.put(2, entry(tenant="team:a", answered_model="n"))
    await backend.put(3, entry(tenant="team:b"))

    cleared = await backend.clear(selection)

    assert cleared == 3 - len(left)
    assert {number for number in (1, 2, 3) if await backend.get(number) is not None} == left


async def test_many_are_forgotten_together(backend: Backend) -> None:
    for number in range(1000):
        await backend.put(number, entry(tenant="team:a" if number % 2 else "team:b"))

    assert await backend.clear(Selection(tenant="team:a")) == 500
    assert [await backend.get(number) is None for number in (0, 1, 998, 999)] == [False, True, False, True]


async def test_closing_twice_is_harmless(backend: Backend) -> None:
    await backend.put(A, entry())

    await backend.close()
    await backend.close()
