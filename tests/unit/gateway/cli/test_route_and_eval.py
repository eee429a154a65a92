from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def start(*arguments: str | Path, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in arguments])
        printed = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return start


def rows(path: Path, count: int = 30, **more: Any) -> Path:
    prompts = [
        f"Prove that {n} apples and {n * n} pears are no fewer than {'not ' * (n % 40)}ten." for n in range(count)
    ]
    lines = [{"id": f"q{n}", "prompt": prompt, "weak": 1, **more} for n, prompt in enumerate(prompts)]
    text = "\n".join(map(json.dumps, lines)).encode() + b"\n\n"
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def test_route_shows_kind_score_thresholds_and_candidates(run: Run) -> None:
    status, out, _ = run("route", "What is the capital of France?")

    assert status == 0
    assert "tier        simple" in out
    assert "kind        knowledge" in out
    assert "1.  echo-simple" in out
    assert "medium below" in out


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_route_reads_standard_input(run: Run, arguments: tuple[str, ...]) -> None:
    status, out, _ = run("route", *arguments, "--json", stdin="Hello there")

    assert status == 0
    assert json.loads(out)["target"] == "auto"


def test_route_reads_a_whole_request_from_a_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps({"model": "auto/complex", "messages": [{"role": "user", "content": "Hi"}]}))

    status, out, _ = run("route", "--file", path, "--json")

    assert status == 0
    assert (json.loads(out)["tier"], json.loads(out)["reason"]) == ("complex", "named")


def test_route_says_why_it_cannot(run: Run, tmp_path: Path) -> None:
    assert run("route", "Hi", "--model", "unheard-of")[0] == 1
    assert run("route", "--file", tmp_path / "none")[0] == 2


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_eval_routing_scores_every_prompt(run: Run, tmp_path: Path, name: str) -> None:
    status, out, err = run("eval", "routing", rows(tmp_path / name))

    found = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [one["id"] for one in found] == [f"q{n}" for n in range(30)]
    assert all(0 <= one["score"] <= 1 and one["tier"] in ("simple", "medium", "complex") for one in found)
    assert "30 rows in" in err


def test_eval_routing_reads_no_labels(run: Run, tmp_path: Path) -> None:
    plain = run("eval", "routing", rows(tmp_path / "a.jsonl"))[1]

    labelled = run("eval", "routing", rows(tmp_path / "b.jsonl", dataset="x", category="y", strong=0))[1]

    assert plain == labelled


def test_thresholds_are_set_on_the_prompts_unless_told_otherwise(run: Run, tmp_path: Path) -> None:
    path = rows(tmp_path / "rows.jsonl", 600)

    shares = []
    for arguments in ((), ("--calibrate", "0")):
        found = [json.loads(line)["tier"] for line in run("eval", "routing", path, *arguments)[1].splitlines()]
        shares.append(found.count("simple") / len(found))

    assert abs(shares[0] - 0.5) < 0.2
    assert shares[0] != shares[1]


@pytest.mark.parametrize(
    ("line", "what"),
    [("{", "no JSON"), ("[]", "an object is expected"), ('{"id": "a"}', "'prompt' must be a text")],
)
def test_a_row_that_cannot_be_read_is_named(run: Run, tmp_path: Path, line: str, what: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "a", "prompt": "Hi"}\n' + line + "\n")

    status, out, err = run("eval", "routing", path)

    assert (status, out) == (2, "")
    assert f"{path}:2: {what}" in err


def test_a_file_that_cannot_be_read_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b"{}" * 1000)[:20])
    (tmp_path / "none.gz").write_bytes(b"no gzip")

    for name in ("missing.jsonl", "broken.gz", "none.gz"):
        status, _, err = run("eval", "routing", tmp_path / name)
        assert status == 2
        assert name in err


def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [sys.executable, "-c", "from gateway.cli.main import main; main(['route', 'Hello'])"],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)

    assert done.returncode == 141
    assert done.stderr == b""
