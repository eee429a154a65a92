"""The model of an artefact, run by onnxruntime on the calling thread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from tokenizers import Tokenizer

from cache.embedders.artefact import MODEL, TOKENIZER, Meta, check_files, read_meta
from cache.embedders.runtime import onnxruntime
from gateway.domain.embedding import TextTooLongError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_CHARACTERS_A_TOKEN: Final = 16
"""A text with more than this for each token the model reads is refused unread: English has about 4 to 5."""

_OPTIONS: Final = {
    # A spinning thread takes a core from the event loop while it waits for work.
    "session.intra_op.allow_spinning": "0",
    "session.inter_op.allow_spinning": "0",
}


class Encoder:
    """Reads a text and returns its vector. May be called by several threads at once.

    Texts are run one by one. The int8 model scales its activations by the largest of all texts that run together, so
    that a text's vector would follow from its neighbours: over 1,500 questions of the public stream, runs of eight
    texts of equal length move it to a cosine of 0.983 at worst (0.994 in the mean) against its own run, for 1.3 times
    the throughput; padding to the longest of eight has a lower throughput than single runs.

    Args:
        folder: of the artefact.

    Raises:
        ArtefactError: it is not whole.
    """

    def __init__(self, folder: Path) -> None:
        self.meta: Meta = read_meta(folder)
        check_files(folder, self.meta)
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        # The default model's file pads every text to 128 tokens, at six times the cost of a question.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._session = onnxruntime.InferenceSession(
            str(folder / MODEL), _session_options(), providers=["CPUExecutionProvider"]
        )
        self._most_characters = self.meta.max_tokens * _MOST_CHARACTERS_A_TOKEN

    def encode(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a text: (d,) float32, unit-norm.

        Raises:
            TextTooLongError: it has more tokens than the model reads.
        """
        ids = self.tokens(text)
        row = np.array([ids], dtype=np.int64)
        outputs = self._session.run(None, {"input_ids": row, "attention_mask": np.ones_like(row)})
        vector: NDArray[np.float32] = outputs[0][0]
        return vector / np.linalg.norm(vector)

    def tokens(self, text: str) -> list[int]:
        """Return the ids of a text's tokens, special ones included.

        Raises:
            TextTooLongError: as `encode`.
        """
        if len(text) > self._most_characters:
            raise TextTooLongError(f"{len(text)} characters, the model reads {self.meta.max_tokens} tokens")
        ids: list[int] = self._tokenizer.encode(self.meta.prompt + text).ids
        if len(ids) > self.meta.max_tokens:
            raise TextTooLongError(f"{len(ids)} tokens, the model reads {self.meta.max_tokens}")
        return ids


def _session_options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # 4 MB less, and no slower
    for key, value in _OPTIONS.items():
        options.add_session_config_entry(key, value)
    return options
