from __future__ import annotations

import numpy as np
import pytest

from cache.index.rows import pack
from tests.support.embedding import unit_rows


def test_each_row_uses_the_whole_range() -> None:
    packed = pack(unit_rows(10, 384))

    assert packed.dtype == np.int8
    assert np.abs(packed.astype(int)).max(axis=1).tolist() == [127] * 10


def test_packing_hardly_moves_a_similarity() -> None:
    rows = unit_rows(200, 384)
    packed = pack(rows).astype(np.float32)
    packed /= np.linalg.norm(packed, axis=1, keepdims=True)

    error = packed @ packed.T - rows @ rows.T

    assert float(error.std()) < 0.001
    assert float(np.abs(error).max()) < 0.006


def test_a_packed_row_comes_back_as_it_is() -> None:
    packed = pack(unit_rows(3, 16))

    assert np.array_equal(pack(packed), packed)
    assert np.array_equal(pack(packed.astype(np.float32)), packed)


def test_a_row_without_a_direction_among_others_is_refused() -> None:
    rows = unit_rows(3, 16)
    rows[1] = 0.0

    with pytest.raises(ValueError, match="direction"):
        pack(rows)
