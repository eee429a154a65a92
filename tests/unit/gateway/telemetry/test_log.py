from __future__ import annotations

import io
import json
import select
import sys
import threading
from typing import Any

import pytest

from gateway.domain.usage import Usage
from gateway.telemetry import LogWriter, Record, Telemetry, standard_output
from gateway.telemetry import log as log_module
from tests.support.moment import PATIENCE_S


def record(**fields: Any) -> Record:
    return Record(**{"at": 1.0, "request_id": "req-1", "route": "chat", "status": 200, "team": "search", **fields})


def test_a_request_is_logged_as_one_line() -> None:
    out = io.BytesIO()
    telemetry = Telemetry(log_to=out)

    telemetry.record(record(team="search", key="ci", usage=Usage(input_tokens=3)))
    telemetry.record(record(request_id="req-2"))
    telemetry.close()

    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["request_id"] for line in lines] == ["req-1", "req-2"]
    assert lines[0]["usage"] == {"input_tokens": 3}
    assert "stream" not in lines[0]


def test_a_record_has_no_place_for_content() -> None:
    fields = set(Record.__struct_fields__)

    assert fields == {
        "at", "request_id", "route", "status", "team", "key", "requested_model", "routed_model", "answered_model",
        "upstream", "tier", "stream", "code", "source", "cache", "attempts", "usage", "cost_microusd",
        "duration_us", "overhead_us", "first_byte_us", "retries", "reason", "kind", "score", "guard",
        "prompt",
    }  # fmt: skip


def test_telemetry_without_a_log_closes() -> None:
    Telemetry().close()


class Stuck(io.RawIOBase):
    """A reader that takes nothing until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.written = b""

    def write(self, data: Any) -> int:
        self.entered.set()
        assert self.go_on.wait(PATIENCE_S)
        self.written += bytes(data)
        return len(data)


def test_a_slow_reader_drops_lines_and_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "_LOG_LINES", 10)
    out = Stuck()
    telemetry = Telemetry(log_to=out)  # type: ignore[arg-type]  # it writes, which is all that is asked
    telemetry.record(record(request_id="taken"))
    assert out.entered.wait(PATIENCE_S)

    for number in range(25):
        telemetry.record(record(request_id=f"req-{number}"))

    assert telemetry.log is not None
    assert telemetry.log.dropped == 15
    assert b"\ntierway_log_dropped_lines_total 15.0\n" in telemetry.exposition()
    out.go_on.set()
    telemetry.close()
    assert out.written.count(b"\n") == 11


class Broken(io.RawIOBase):
    def write(self, data: Any) -> int:
        raise BrokenPipeError


def test_lines_that_cannot_be_written_are_counted() -> None:
    writer = LogWriter(Broken())  # type: ignore[arg-type]  # it writes, which is all that is asked

    writer.write(record())
    writer.close()

    assert writer.dropped == 1


def test_the_log_goes_to_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)

    assert standard_output() is out.buffer


class Pieces(io.RawIOBase):
    """Keeps what is written, write by write."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def write(self, data: Any) -> int:
        self.taken.append(bytes(data))
        return len(data)


def test_lines_are_written_whole_and_in_pieces_a_pipe_does_not_mix() -> None:
    out = Pieces()
    writer = LogWriter(out, is_shared=True)  # type: ignore[arg-type]  # it writes, which is all that is asked
    for number in range(300):
        writer.write(record(request_id=f"req-{number}"))

    writer.close()

    lines = [json.loads(line) for piece in out.taken for line in piece.splitlines()]
    assert [line["request_id"] for line in lines] == [f"req-{number}" for number in range(300)]
    assert len(out.taken) > 1
    assert all(len(piece) <= select.PIPE_BUF and piece.endswith(b"\n") for piece in out.taken)


def test_a_line_longer_than_a_pipe_takes_is_written_alone() -> None:
    out = Pieces()
    writer = LogWriter(out, is_shared=True)  # type: ignore[arg-type]  # it writes, which is all that is asked
    for name in ("a", "b" * select.PIPE_BUF, "c"):
        writer.write(record(key=name))

    writer.close()

    assert [piece.count(b"\n") for piece in out.taken] == [1, 1, 1]
