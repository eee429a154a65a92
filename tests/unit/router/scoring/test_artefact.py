from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from router.scoring.artefact import LEARNED, VERSION, Artefact, Chances, dump, load
from router.scoring.rows import BUCKETS, ROWS


def made() -> Artefact:
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(ROWS, LEARNED)).astype(np.float32)
    weights[BUCKETS:] *= 0.01
    return Artefact(weights, Chances(np.ones((2, 6)), np.ones(3)), np.linspace(0, 1, 30).reshape(10, 3))


def test_weights_come_back_as_near_as_bytes_allow() -> None:
    artefact = made()

    loaded = load(dump(artefact))

    for part in (slice(0, BUCKETS), slice(BUCKETS, None)):
        error = np.abs(loaded.weights[part] - artefact.weights[part]).max()
        assert error <= np.abs(artefact.weights[part]).max() / 250
    assert np.array_equal(loaded.reference, artefact.reference)


def test_the_same_artefact_is_the_same_bytes() -> None:
    assert dump(made()) == dump(made())


def test_what_is_shipped_is_of_this_layout_and_small() -> None:
    shipped = load()

    assert shipped.weights.shape == (ROWS, LEARNED)
    assert len(dump(shipped)) < 3_000_000
    assert np.all(np.diff(shipped.reference[:, 0]) >= 0)
    assert np.all(shipped.reference[:, 1] >= shipped.reference[:, 2])


def test_another_layout_is_refused() -> None:
    out = BytesIO()
    np.savez(out, version=np.int64(VERSION + 1))

    with pytest.raises(ValueError, match="layout"):
        load(out.getvalue())


def test_weights_of_another_shape_are_refused() -> None:
    out = BytesIO()
    np.savez(out, version=np.int64(VERSION), weights=np.zeros((2, 2), np.int8), scales=np.ones((1, 2)))

    with pytest.raises(ValueError, match="shape"):
        load(out.getvalue())
