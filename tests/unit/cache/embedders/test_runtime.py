from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if name not in {"CI", "ORT_DISABLE_TELEMETRY"}}
    return subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, env={**plain, **environment}
    )


@pytest.mark.parametrize("name", ["cache.embedders.encoder", "cache.index.hnsw", "cache.embedders.export"])
def test_onnxruntime_is_imported_without_its_telemetry(tmp_path: Path, name: str) -> None:
    done = run(f"import {name}", XDG_CACHE_HOME=str(tmp_path), HOME=str(tmp_path))

    assert done.returncode == 0
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    "order", ["cache.index.hnsw, cache.embedders.encoder", "cache.embedders.encoder, cache.index.hnsw"]
)
def test_index_and_model_can_be_imported_in_either_order(order: str) -> None:
    done = run(f"import {order}")

    assert (done.returncode, done.stderr) == (0, "")
