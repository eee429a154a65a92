from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.verifier.reader import read
from cache.verifier.reading import pack, unpack


@given(st.text(max_size=100))
def test_a_packed_reading_is_the_same_one(text: str) -> None:
    reading = read(text)

    assert unpack(pack(reading)) == reading


def test_a_packed_reading_is_small() -> None:
    assert len(pack(read("Who is the mayor of Springfield, and since when?"))) < 400


@pytest.mark.parametrize("packed", [b"", b"\x90", b"\xc1", b"text"])
def test_what_is_no_packed_reading_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="no packed reading"):
        unpack(packed)
