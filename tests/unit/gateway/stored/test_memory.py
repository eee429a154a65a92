from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.stored.base import Record
from gateway.stored.memory import MemoryResponseStore

BOUND = 20_000
STEPS = st.lists(
    st.tuples(st.sampled_from(["get", "put", "delete", "sweep"]), st.integers(0, 9), st.integers(0, 25_000)),
    max_size=60,
)


@given(STEPS)
async def test_the_bytes_counted_are_those_kept_and_never_over_the_bound(steps: list[tuple[str, int, int]]) -> None:
    now = 0.0
    store = MemoryResponseStore(BOUND, lambda: now)

    for verb, number, size in steps:
        now += 1.0
        key = f"resp_{number}"
        if verb == "put":
            expires_at = now + number
            await store.put(
                Record(
                    id=key,
                    owner="o",
                    upstream="u",
                    model="m",
                    created_at=now,
                    expires_at=expires_at,
                    sealed=bytes(size),
                )
            )
        elif verb == "delete":
            await store.delete(key)
        elif verb == "sweep":
            await store.sweep()
        else:
            await store.get(key)

        assert store.bytes == sum(record.size for record in store._records.values())
        assert 0 <= store.bytes <= BOUND
