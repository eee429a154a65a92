from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cache.backends.memory import MemoryBackend
from cache.base import Entry
from gateway.domain.usage import NO_USAGE

BOUND = 20_000
STEPS = st.lists(
    st.tuples(st.sampled_from(["get", "put", "delete"]), st.integers(0, 9), st.integers(0, 3000)), max_size=60
)


@given(STEPS)
async def test_the_bytes_counted_are_those_kept_and_never_over_the_bound(steps: list[tuple[str, int, int]]) -> None:
    backend = MemoryBackend(BOUND)

    for verb, number, size in steps:
        if verb == "put":
            await backend.put(number, Entry(body=b"x" * size, usage=NO_USAGE, answered_model="", stored_at=0.0))
        elif verb == "delete":
            await backend.delete(number)
        else:
            await backend.get(number)

        assert backend.bytes == sum(entry.size for entry in backend._entries.values())
        assert 0 <= backend.bytes <= BOUND
