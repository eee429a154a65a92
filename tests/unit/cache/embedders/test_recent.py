from __future__ import annotations

import numpy as np

from cache.embedders.recent import Recent, key_of

VECTOR = np.ones(3, np.float32)


def test_the_least_recently_used_vector_goes_first() -> None:
    recent = Recent(2)
    recent.put(b"a", VECTOR)
    recent.put(b"b", VECTOR)
    recent.get(b"a")

    recent.put(b"c", VECTOR)

    assert recent.get(b"b") is None
    assert recent.get(b"a") is VECTOR
    assert len(recent) == 2


def test_a_size_of_none_remembers_nothing() -> None:
    recent = Recent(0)

    recent.put(b"a", VECTOR)

    assert recent.get(b"a") is None


def test_hits_and_misses_are_counted() -> None:
    recent = Recent(2)
    recent.put(b"a", VECTOR)

    recent.get(b"a")
    recent.get(b"b")

    assert (recent.hits, recent.misses) == (1, 1)


def test_texts_have_keys_of_their_own_even_with_a_lone_surrogate() -> None:
    assert len({key_of("a"), key_of("A"), key_of("a "), key_of("\ud800")}) == 4
    assert key_of("a") == key_of("a")
