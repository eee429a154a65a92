from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cache.semantic import stream
from tests.support.semantic import CAPITAL, DIMENSION, EGG, THE_EGG, embedder


class FakeEncoder:
    """Gives the vectors of `FakeEmbedder`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._fake = folder, embedder()
        self.meta = SimpleNamespace(identity=self._fake.identity, dimension=DIMENSION, is_multilingual=False)

    def encode(self, text: str) -> NDArray[np.float32]:
        return self._fake.vector(text).copy()


def decisions(path: Path, out: Path) -> list[dict[str, Any]]:
    assert stream.main([str(path), "--artefact", "any", "--decisions", str(out)]) == 0
    return [json.loads(line) for line in out.read_text().splitlines()]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_a_stream_is_answered_in_order_and_what_it_cost_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    monkeypatch.setattr(stream, "Encoder", FakeEncoder)
    path = tmp_path / f"stream.{suffix}"
    text = "".join(json.dumps({"i": i, "query": query}) + "\n" for i, query in enumerate([EGG, CAPITAL, THE_EGG]))
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())

    found = decisions(path, tmp_path / "out")

    assert [(one["i"], one["hit"], one["served_from"]) for one in found] == [
        (0, False, None),
        (1, False, None),
        (2, True, 0),
    ]
    told = capsys.readouterr().out
    assert "2 misses" in told
    assert "2 that did not" in told
    assert "1 that waited for a vector" in told
