from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from cache.calibration.calibrate import main
from cache.calibration.table import FILE, folder_for, load_table, table_for
from cache.embedders.artefact import default_root
from tests.support.embedding import FakeEmbedder

DIMENSION = 64
IDENTITY = f"there/m@1+{DIMENSION}"
SAME = ("what is a volcano", "what is the volcano")
LINES = [
    {"query": SAME[0], "class": "v"},
    {"query": SAME[1], "class": "v"},
    {"query": "how do magnets work", "class": "m"},
]


class Answering(BaseHTTPRequestHandler):
    """An embedding server: equal words give near vectors."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers["authorization"] != "Bearer sk-a-key":
            self.send_error(401)
            return
        vector = FakeEmbedder(DIMENSION).vector
        rows = [{"index": at, "embedding": vector(text).tolist()} for at, text in enumerate(asked["input"])]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": rows}).encode())

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("A_KEY", "sk-a-key")


def written(folder: Path, *lines: Any, name: str = "stream_mixed") -> Path:
    folder.mkdir(exist_ok=True)
    with gzip.open(folder / f"{name}.jsonl.gz", "wt") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)
    return folder


def run(folder: Path, url: str, *more: str) -> int:
    server = ["--url", url, "--upstream", "there", "--model", "m", "--dimension", str(DIMENSION)]
    return main([str(folder), *server, "--api-key-env", "A_KEY", *more])


def test_the_table_of_a_server_lies_where_the_gateway_looks(tmp_path: Path, url: str) -> None:
    assert run(written(tmp_path / "data", *LINES), url) == 0

    found = table_for(IDENTITY, folder_for(IDENTITY, default_root()))
    assert found is not None
    assert found.steps[0].measured["stream_mixed"].hits == pytest.approx(1 / 3)
    assert found.steps[0].measured["stream_mixed"].errors == 0


def test_every_stream_of_the_folder_keeps_the_budgets(tmp_path: Path, url: str) -> None:
    folder = written(tmp_path / "data", *LINES)
    written(folder, *({**line, "class": line["query"]} for line in LINES), name="stream_ours")

    assert run(folder, url, "--out", str(tmp_path / FILE)) == 0

    found = load_table(tmp_path / FILE)
    assert {name for step in found.steps for name in step.measured} >= {"stream_mixed", "stream_ours/all"}
    assert all(step.measured["stream_ours"].errors == 0 for step in found.steps)


def test_a_budget_that_no_threshold_keeps_has_no_step(tmp_path: Path, url: str, capsys: Any) -> None:
    folder = written(tmp_path / "data", {"query": "magnets", "class": "a"}, {"query": "MAGNETS", "class": "b"})

    assert run(folder, url, "--out", str(tmp_path / FILE)) == 1

    assert "no threshold keeps any of the budgets" in capsys.readouterr().err
    assert not (tmp_path / FILE).exists()


def test_a_folder_without_the_mixed_stream_is_refused(tmp_path: Path, url: str, capsys: Any) -> None:
    assert run(written(tmp_path / "data", *LINES, name="stream_ours"), url) == 1
    assert "holds no stream_mixed.jsonl.gz" in capsys.readouterr().err


def test_a_line_without_a_label_is_named(tmp_path: Path, url: str, capsys: Any) -> None:
    assert run(written(tmp_path / "data", {"query": "x"}), url) == 1
    assert "missing required field `class`" in capsys.readouterr().err


def test_a_server_that_refuses_ends_the_command(
    tmp_path: Path, url: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "another")

    assert run(written(tmp_path / "data", *LINES), url) == 1
    assert "401" in capsys.readouterr().err


def test_a_key_that_is_not_set_ends_the_command(
    tmp_path: Path, url: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("A_KEY")

    assert run(written(tmp_path / "data", *LINES), url) == 1
    assert "A_KEY is not set" in capsys.readouterr().err


def test_a_folder_without_a_model_ends_the_command(tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("onnxruntime")

    assert main([str(written(tmp_path / "data", *LINES)), str(tmp_path)]) == 1
    assert "meta.json" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--url", "http://h"], ["artefact", "--url", "http://h"]])
def test_either_a_model_or_a_server_is_named(arguments: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["data", *arguments])

    assert "error:" in capsys.readouterr().err
