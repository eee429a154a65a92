"""Measures the threshold for each error budget on streams of labelled questions, and writes the table.

    python -m cache.calibration.calibrate DATA_DIR ARTEFACT [--out FILE]
    python -m cache.calibration.calibrate DATA_DIR --url URL --upstream NAME --model MODEL --dimension N [--out FILE]

DATA_DIR holds `stream_mixed.jsonl.gz`, and any other `stream_*.jsonl.gz`: lines of `{"query", "class", "source",
"not_same"}` in the order they were asked. Questions of one class have the same answer; `source` (part of a stream that
is bounded by itself) and `not_same` (classes known to differ) may be left out. ARTEFACT is the folder of an exported
embedder. The table is written where the gateway looks for it: to ARTEFACT, or for a server to a folder of its own
beside those of artefacts. A stream is replayed online, a miss becoming an entry, as `cache.evaluation` does it;
a hit on an entry of another class is an error. Nothing of the questions is written.
"""

from __future__ import annotations

import argparse
import gzip
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from cache.calibration.search import MIXED, Stream, steps
from cache.calibration.table import FILE, Table, folder_for
from cache.calibration.vectors import LocalVectors, RemoteVectors, Vectors, asking
from cache.embedders.artefact import default_root
from cache.embedders.settings import RemoteEmbedder
from gateway.domain.embedding import EmbeddingError

_ENDING: Final = ".jsonl.gz"


class _Line(msgspec.Struct):
    query: str
    class_: str = msgspec.field(name="class")
    source: str = "all"
    not_same: list[str] = []


_LINE: Final = msgspec.json.Decoder(_Line)


class _RefusedError(Exception):
    """The command cannot go on; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    asked = _parse(arguments)
    try:
        written = _calibrate(asked)
    except (_RefusedError, EmbeddingError, OSError) as error:
        _say(f"calibrate: {error}")
        return 1
    _say(f"wrote {written}")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m cache.calibration.calibrate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("artefact", type=Path, nargs="?", help="folder of an exported embedder")
    parser.add_argument("--out", type=Path, help=f"file to write (default: {FILE} where the gateway looks)")
    server = parser.add_argument_group("instead of an artefact, an OpenAI-compatible server")
    server.add_argument("--url", default="", help="address without /embeddings")
    server.add_argument("--upstream", default="", help="its name in the gateway's settings")
    server.add_argument("--model", default="", help="as in `cache.embedder`")
    server.add_argument("--dimension", type=int, default=0, help="length of its vectors")
    server.add_argument("--revision", default="1", help="as in `cache.embedder`")
    server.add_argument("--api-key-env", default="", help="environment variable that holds its key")
    asked = parser.parse_args(arguments)
    if (asked.artefact is None) != bool(asked.url):
        parser.error("name either an ARTEFACT or a --url")
    if asked.url and not (asked.upstream and asked.model and asked.dimension > 0):
        parser.error("--url needs --upstream, --model and --dimension")
    return asked


def _calibrate(asked: argparse.Namespace) -> Path:
    vectors = _vectors(asked)
    streams = {path.name.removesuffix(_ENDING): _read(path, vectors) for path in _paths(asked.data_dir)}
    found = tuple(steps(streams, _say))
    if not found:
        raise _RefusedError("no threshold keeps any of the budgets: the streams are too hard for this embedder")
    table = Table(vectors.identity, "python -m cache.calibration.calibrate DATA_DIR ARTEFACT", found)
    folder = asked.artefact or folder_for(vectors.identity, default_root())
    out: Path = asked.out or folder / FILE
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=1) + b"\n")
    return out


def _vectors(asked: argparse.Namespace) -> Vectors:
    if asked.artefact is not None:
        return LocalVectors(asked.artefact)
    api_key = os.environ.get(asked.api_key_env, "") if asked.api_key_env else ""
    if asked.api_key_env and not api_key:
        raise _RefusedError(f"{asked.api_key_env} is not set")
    settings = RemoteEmbedder(model=asked.model, dimension=asked.dimension, revision=asked.revision, recent=0)
    try:
        return RemoteVectors(settings, asking(asked.url, api_key), asked.upstream)
    except ValueError as error:
        raise _RefusedError(str(error)) from error


def _paths(folder: Path) -> list[Path]:
    paths = sorted(folder.glob(f"stream_*{_ENDING}"))
    if folder / f"{MIXED}{_ENDING}" not in paths:
        raise _RefusedError(f"{folder} holds no {MIXED}{_ENDING}")
    return paths


def _read(path: Path, vectors: Vectors) -> Stream:
    with gzip.open(path, "rb") as lines:
        texts = [line for line in lines if line.strip()]
    try:
        read = [_LINE.decode(line) for line in texts]
    except msgspec.DecodeError as error:
        raise _RefusedError(f"{path} has a line that is no labelled question: {error}") from error
    if not read:
        raise _RefusedError(f"{path} is empty")
    _say(f"embedding {len(read)} texts of {path.name}")
    rows = [
        {"i": i, "query": line.query, "class": line.class_, "source": line.source, "not_same": line.not_same}
        for i, line in enumerate(read)
    ]
    return rows, vectors.of([line.query for line in read])


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
