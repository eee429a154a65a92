from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gateway.cli.main import main
from gateway.domain.embedding import TextTooLongError
from tests.support.embedding import FakeEmbedder

Run = Callable[..., tuple[int, list[dict[str, Any]], str]]


class FakeEncoder:
    """Embeds the words of a text; see `FakeEmbedder`."""

    opened: Path | None = None
    encoded: list[str]

    def __init__(self, folder: Path) -> None:
        FakeEncoder.opened, FakeEncoder.encoded = folder, []
        self._embedder = FakeEmbedder()
        self.meta = SimpleNamespace(dimension=self._embedder.dimension)

    def encode(self, text: str) -> Any:
        self.encoded.append(text)
        if len(text) > 1000:
            raise TextTooLongError("too long")
        return np.asarray(self._embedder.vector(text), np.float32)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Have a folder pass for a model's."""
    pytest.importorskip("cache.embedders.encoder", reason="the semantic extra is not installed")
    monkeypatch.setattr("cache.embedders.encoder.Encoder", FakeEncoder)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "meta.json").write_text("{}")
    return folder


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    def start(suite: str, rows: list[Any], *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        with pytest.raises(SystemExit) as ended:
            main(["eval", suite, str(path), *arguments])
        printed = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, [json.loads(line) for line in printed.out.splitlines()], printed.err

    return start


QUERIES = ["how do I boil an egg", "what is the capital of Peru", "how do I boil an egg", "boil an egg how do I"]


def test_a_stream_is_answered_from_what_came_before(run: Run, model: Path) -> None:
    rows = [{"i": i, "query": query, "class": i} for i, query in enumerate(QUERIES)]

    status, found, told = run("cache-stream", rows, "--embedder", str(model))

    assert status == 0
    assert found[:3] == [
        {"i": 0, "hit": False, "served_from": None},
        {"i": 1, "hit": False, "served_from": None},
        {"i": 2, "hit": True, "served_from": 0},
    ]
    assert FakeEncoder.opened == model
    assert len(FakeEncoder.encoded) == len(set(QUERIES))
    assert "4 rows" in told


def test_pairs_are_judged_and_labels_are_not_read(run: Run, model: Path) -> None:
    rows = [
        {"id": "same", "query_a": QUERIES[0], "query_b": QUERIES[0], "same_answer": "unread"},
        {"id": "number", "query_a": "the sum of 3 and 4", "query_b": "the sum of 3 and 5"},
        {"id": "long", "query_a": "egg " * 400, "query_b": "egg " * 401},
    ]

    status, found, _ = run("cache-pairs", rows, "--embedder", str(model))

    assert status == 0
    assert found[0] == {"id": "same", "score": 1.0, "accept": True}
    assert [(one["score"], one["accept"]) for one in found[1:]] == [(-1.0, False)] * 2


def test_conversations_share_an_answer_only_after_the_same_turns(run: Run, model: Path) -> None:
    turns = [{"role": "user", "content": "Peru"}, {"role": "assistant", "content": "yes"}]
    last = {"role": "user", "content": QUERIES[1]}
    rows = [
        {"id": "same", "messages_a": [*turns, last], "messages_b": [*turns, last]},
        {"id": "other", "messages_a": [*turns, last], "messages_b": [last]},
    ]

    status, found, _ = run("cache-multiturn", rows, "--embedder", str(model))

    assert status == 0
    assert [one["accept"] for one in found] == [True, False]


@pytest.mark.parametrize(
    ("suite", "row", "why"),
    [
        ("cache-stream", {"i": "0", "query": "x"}, "'i' must be a number"),
        ("cache-stream", {"i": True, "query": "x"}, "'i' must be a number"),
        ("cache-pairs", {"id": "a", "query_a": "x"}, "'query_b' must be a text"),
        (
            "cache-multiturn",
            {"id": "a", "messages_a": [], "messages_b": [{"role": "user", "content": "x"}]},
            "messages_a",
        ),
        ("cache-multiturn", {"id": "a", "messages_a": [{"role": "user"}], "messages_b": []}, "messages_a"),
    ],
)
def test_rows_of_another_kind_are_refused_with_their_column(
    run: Run, model: Path, suite: str, row: dict[str, Any], why: str
) -> None:
    status, found, told = run(suite, [row], "--embedder", str(model))

    assert (status, found) == (2, [])
    assert why in told


@pytest.mark.parametrize("share", ["0", "-1", "1.5", "nan"])
def test_an_error_budget_is_a_share(run: Run, model: Path, share: str) -> None:
    status, _, told = run("cache-stream", [], "--error-budget", share, "--embedder", str(model))

    assert status == 2
    assert "--error-budget" in told


def test_without_a_model_the_command_that_makes_it_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    status, _, told = run("cache-pairs", [])

    assert status == 1
    assert "make setup-semantic" in told
