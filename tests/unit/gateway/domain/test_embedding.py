from __future__ import annotations

import subprocess
import sys

from gateway.domain.embedding import (
    EmbedderLateError,
    EmbedderUnavailableError,
    EmbeddingError,
    TextTooLongError,
)


def test_every_way_to_have_no_vector_can_be_caught_as_one() -> None:
    assert all(
        issubclass(error, EmbeddingError) for error in (EmbedderLateError, EmbedderUnavailableError, TextTooLongError)
    )


def test_the_vocabulary_does_not_import_numpy() -> None:
    script = "import sys, gateway.domain.embedding; print('numpy' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "False"
