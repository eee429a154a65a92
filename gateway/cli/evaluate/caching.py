"""`tierway eval cache-*`: what the semantic cache would answer from an entry that is there."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.base import add_verb, fail
from gateway.cli.evaluate.rows import Progress, read_rows, write_rows
from gateway.domain.embedding import EmbedderUnavailableError, TextTooLongError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

_ERROR_BUDGET: Final = 0.01


def add_suites(suites: Any) -> None:
    """Add `cache-stream`, `cache-pairs` and `cache-multiturn`."""
    stream = _add(suites, "cache-stream", stream_of, "answer a stream of requests: {i, hit, served_from} a line")
    stream.add_argument(
        "--error-budget",
        type=float,
        default=_ERROR_BUDGET,
        metavar="SHARE",
        help=f"share of requests that may be answered from a wrong entry (default: {_ERROR_BUDGET})",
    )
    _add(suites, "cache-pairs", pairs, "say which pairs of texts share an answer: {id, score, accept} a line")
    _add(suites, "cache-multiturn", multiturn, "the same for pairs of conversations: {id, score, accept} a line")


def _add(suites: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser = add_verb(suites, name, run, text)
    parser.add_argument("file", type=Path, metavar="FILE", help="JSON lines, plain or gzip")
    parser.add_argument("--embedder", default="", metavar="NAME", help="name or folder of an embedding model")
    return parser


def stream_of(arguments: argparse.Namespace) -> int:
    """Answer requests in their order from those before them, reading `i` and `query` only.

    All are in one scope and every request that is not answered is kept. A look-up takes the guard and the threshold of
    the error budget; nothing is learned from labels.
    """
    from cache.evaluation import replay_stream  # noqa: PLC0415  it brings numpy, which other verbs do not need

    budget = arguments.error_budget
    if not 0.0 < budget <= 1.0:
        fail("eval: --error-budget is a share above 0 and up to 1", status=2)
    rows = read_rows(arguments.file, {"i": int, "query": str})
    embed = _Embed(arguments.embedder)
    write_rows(replay_stream(rows, embed.all(row["query"] for row in rows), budget))
    return 0


def pairs(arguments: argparse.Namespace) -> int:
    """Say for each pair whether the answer to one would be given to the other, at the default error budget.

    Read are `id`, `query_a` and `query_b`. `score` is the cosine, and -1 where the guard refuses or does not ask.
    """
    from cache.evaluation import judge_pairs  # noqa: PLC0415

    rows = read_rows(arguments.file, {"id": str, "query_a": str, "query_b": str})
    write_rows(iter(judge_pairs(rows, _Embed(arguments.embedder).one)))
    return 0


def multiturn(arguments: argparse.Namespace) -> int:
    """Say for each pair of conversations whether the answer to one would be given to the other.

    Read are `id`, `messages_a` and `messages_b`. Only the last turns may differ: everything before them is part of an
    entry's scope.
    """
    from cache.evaluation import judge_conversations  # noqa: PLC0415

    rows = read_rows(arguments.file, {"id": str, "messages_a": list, "messages_b": list})
    for row in rows:
        for column in ("messages_a", "messages_b"):
            if not row[column] or not all(map(_is_message, row[column])):
                fail(f"eval: {row['id']}: '{column}' must be messages with a role and a text", status=2)
    write_rows(iter(judge_conversations(rows, _Embed(arguments.embedder).one)))
    return 0


def _is_message(message: Any) -> bool:
    return isinstance(message, dict) and all(isinstance(message.get(name), str) for name in ("role", "content"))


class _Embed:
    """Embeds texts, each once.

    Args:
        model: name or folder of an artefact, empty for the default one.
    """

    def __init__(self, model: str) -> None:
        from cache.embedders.artefact import DEFAULT_NAME, default_root, find_artefact  # noqa: PLC0415

        try:
            from cache.embedders.encoder import Encoder  # noqa: PLC0415

            self._encoder = Encoder(find_artefact(model or DEFAULT_NAME, default_root()))
        except ImportError as error:
            fail(f"eval: {error.name} is missing: `make setup-semantic` installs it")
        except EmbedderUnavailableError as error:
            fail(f"eval: {error}")
        self._known: dict[str, Vector | None] = {}

    def one(self, text: str) -> Vector | None:
        """Return the vector of a text, None where it is too long for the model."""
        if text not in self._known:
            try:
                self._known[text] = self._encoder.encode(text)
            except TextTooLongError:
                self._known[text] = None
        return self._known[text]

    def all(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, shape (n, d); zeros for those that are too long."""
        import numpy as np  # noqa: PLC0415

        listed = list(texts)
        progress = Progress(len(listed))
        found = np.zeros((len(listed), self._encoder.meta.dimension), np.float32)
        for at, text in enumerate(listed):
            vector = self.one(text)
            if vector is not None:
                found[at] = vector
            progress.tell(at + 1)
        return found
