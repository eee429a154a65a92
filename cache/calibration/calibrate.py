"""Measures the threshold for each error budget on streams of labelled questions, and writes the table.

    python -m cache.calibration.calibrate DATA_DIR ARTEFACT [--out FILE]

DATA_DIR holds `stream_mixed.jsonl.gz` and `stream_intent.jsonl.gz`, lines of `{"i", "query", "class", "source",
"not_same"}`; ARTEFACT is the folder of an exported embedder. A stream is replayed online, a miss becoming an entry, as
`cache.evaluation` does it; a hit on an entry of another class is an error. Nothing of the questions is written.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cache.calibration.search import MIXED, Stream, steps
from cache.calibration.table import Table
from cache.embedders.encoder import Encoder
from gateway.domain.embedding import TextTooLongError

_STREAMS: Final = (MIXED, "stream_intent")
_BESIDE: Final = Path(__file__).with_name("thresholds.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="cache.calibration.calibrate", description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("artefact", type=Path)
    parser.add_argument("--out", type=Path, default=_BESIDE)
    asked = parser.parse_args(arguments)
    encoder = Encoder(asked.artefact)
    streams = {name: _read(asked.data_dir / f"{name}.jsonl.gz", encoder) for name in _STREAMS}
    table = Table(
        embedder=encoder.meta.identity,
        made_by="python -m cache.calibration.calibrate DATA_DIR ARTEFACT",
        steps=tuple(steps(streams, _say)),
    )
    asked.out.write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=1) + b"\n")
    return 0


def _read(path: Path, encoder: Encoder) -> Stream:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    _say(f"embedding {len(rows)} texts of {path.name}")
    return rows, np.stack([_vector(encoder, row["query"]) for row in rows])


def _vector(encoder: Encoder, text: str) -> NDArray[np.float32]:
    try:
        return encoder.encode(text)
    except TextTooLongError:  # nothing resembles it, as nothing would when serving
        return np.zeros(encoder.meta.dimension, np.float32)


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
