from __future__ import annotations

import zlib

import pytest

from cache.semantic.readings import restore, shrink
from cache.verifier.reader import read
from cache.verifier.reading import pack

READING = read("How long should 2 eggs boil until they are firm in the city of Oslo?")


def test_a_reading_comes_back_as_it_was() -> None:
    assert restore(shrink(READING)) == READING


def test_it_takes_less_than_packed() -> None:
    assert len(shrink(READING)) < 0.7 * len(pack(READING))


@pytest.mark.parametrize("broken", [b"", b"none", zlib.compress(b"none", wbits=-15)])
def test_what_is_no_reading_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError, match=r"no (shrunk|packed) reading"):
        restore(broken)
