from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cache.embedders.artefact import ArtefactError, default_root
from cache.embedders.onnx import OnnxEmbedder
from cache.embedders.settings import LocalEmbedder
from gateway.domain.embedding import EmbedderUnavailableError, TextTooLongError
from tests.support.artefact import write_artefact

PATIENT_S = 30.0
NO_MODEL = (
    "no embedding model is here: write one with `make setup-semantic`, or name its folder in TIERWAY_TEST_EMBEDDER"
)


class FourDirections:
    """Stands for an `Encoder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def encode(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(4, np.float32)
        vector[len(text) % 4] = 1.0
        return vector


def make(folder: Path, open_encoder: Any = FourDirections) -> OnnxEmbedder:
    write_artefact(folder / "tiny")
    return OnnxEmbedder(LocalEmbedder(model=str(folder / "tiny"), budget_ms=PATIENT_S * 1000), open_encoder)


def test_what_it_is_can_be_read_before_it_is_loaded(tmp_path: Path) -> None:
    embedder = make(tmp_path)

    assert (embedder.identity, embedder.dimension) == ("tiny@abababababab+q", 4)
    assert embedder.is_multilingual is False


async def test_before_it_is_loaded_it_is_unavailable(tmp_path: Path) -> None:
    embedder = make(tmp_path)

    with pytest.raises(EmbedderUnavailableError, match="not loaded"):
        await embedder.embed(["a"])


async def test_loaded_it_gives_a_row_for_each_text(tmp_path: Path) -> None:
    embedder = make(tmp_path)
    await embedder.load()

    vectors = await embedder.embed(["a", "bb", "a"])

    assert vectors.tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]]
    assert vectors.dtype == np.float32
    assert embedder.complaint == ""
    embedder.close()


async def test_no_texts_give_no_rows(tmp_path: Path) -> None:
    embedder = make(tmp_path)
    await embedder.load()

    assert (await embedder.embed([])).shape == (0, 4)
    embedder.close()


async def test_closed_it_is_unavailable(tmp_path: Path) -> None:
    embedder = make(tmp_path)
    await embedder.load()

    embedder.close()

    with pytest.raises(EmbedderUnavailableError, match="closed"):
        await embedder.embed(["a"])


async def test_a_model_that_cannot_be_read_is_unavailable_and_says_why(tmp_path: Path) -> None:
    embedder = make(tmp_path, open_encoder=None)

    with pytest.raises(EmbedderUnavailableError):
        await embedder.load()

    assert "cannot be read" in embedder.complaint
    with pytest.raises(EmbedderUnavailableError, match="cannot be read"):
        await embedder.embed(["a"])


def test_a_model_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="make setup-semantic"):
        OnnxEmbedder(LocalEmbedder(folder=str(tmp_path)))


def real_folder() -> Path | None:
    named = os.environ.get("TIERWAY_TEST_EMBEDDER")
    if named:
        return Path(named)
    found = sorted(default_root().glob("all-MiniLM-L6-v2@*/meta.json"))
    return found[0].parent if found else None


@pytest.fixture
async def real() -> AsyncIterator[OnnxEmbedder]:
    folder = real_folder()
    if folder is None:
        pytest.skip(NO_MODEL)
    embedder = OnnxEmbedder(LocalEmbedder(model=str(folder), budget_ms=PATIENT_S * 1000))
    await embedder.load()
    yield embedder
    embedder.close()


async def test_the_real_model_puts_a_rewording_nearer_than_another_question(real: OnnxEmbedder) -> None:
    asked, reworded, other = await real.embed(
        ["How long should I boil an egg?", "How many minutes must an egg be boiled?", "Who painted the ceiling?"]
    )

    assert float(asked @ reworded) > 0.8
    assert float(asked @ other) < 0.3


async def test_the_real_models_vectors_are_unit_norm_and_do_not_depend_on_their_neighbours(real: OnnxEmbedder) -> None:
    texts = ["hello", "How long should an egg boil?", "Where is the harbour? " * 10]
    together = await real.embed(texts)
    real.recent._vectors.clear()

    alone = np.concatenate([await real.embed([text]) for text in reversed(texts)])[::-1]

    assert np.array_equal(alone, together)
    assert np.linalg.norm(together, axis=1) == pytest.approx([1.0] * 3, abs=1e-5)


async def test_the_real_model_refuses_what_it_would_cut(real: OnnxEmbedder) -> None:
    fits, does_not = "word " * (real.meta.max_tokens - 2), "word " * (real.meta.max_tokens - 1)

    assert (await real.embed([fits])).shape == (1, real.dimension)
    with pytest.raises(TextTooLongError):
        await real.embed([does_not])
    with pytest.raises(TextTooLongError, match="characters"):
        await real.embed(["word " * 100_000])


def test_serving_the_real_model_imports_neither_torch_nor_sentence_transformers() -> None:
    folder = real_folder()
    if folder is None:
        pytest.skip(NO_MODEL)
    script = (
        "import asyncio, sys\n"
        "from cache.embedders.onnx import OnnxEmbedder\n"
        "from cache.embedders.settings import LocalEmbedder\n"
        f"asyncio.run(OnnxEmbedder(LocalEmbedder(model={str(folder)!r})).load())\n"
        "print(sorted({'torch', 'sentence_transformers', 'transformers', 'onnx'} & set(sys.modules)))\n"
    )

    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"
