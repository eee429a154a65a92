"""This gateway against its own mock, as a Markdown table: `make bench`.

For a comparison with other gateways, run them in turn on the same machine: figures from two machines say nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from bench.load import Result, load, quantile_ms, request
from bench.process import KEY, cpu_s, gateway, rss_mb, upstream

_MANY: Final = 32
"""Requests in flight in the rows that measure throughput."""

_STARTS: Final = 3
_WARM_UP_S: Final = 1.0


class Row(msgspec.Struct, frozen=True):
    """One line of the table: what is measured, through the gateway and without it."""

    what: str
    through: str
    direct: str = ""


def main() -> int:
    """Measure and print; exit 1 when a request failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (default: 3)")
    seconds = parser.parse_args().seconds
    core = _keep_a_core()
    with tempfile.TemporaryDirectory() as name, upstream() as mock_port:
        folder = Path(name)
        starts = []
        for _ in range(_STARTS - 1):
            with gateway(mock_port, folder, core) as (_, _, start_s):
                starts.append(start_s)
        with gateway(mock_port, folder, core) as (process, port, start_s):
            starts.append(start_s)
            bench = Bench(process.pid, port, mock_port, seconds)
            rows = bench.measure()
    rows.append(Row(f"cold start to the first 200, median of {_STARTS}", f"{statistics.median(starts):.2f} s"))
    print(_head(seconds, pinned=core is not None))
    print("| | through the gateway | the mock alone |\n|---|---|---|")
    for row in rows:
        print(f"| {row.what} | {row.through} | {row.direct} |")
    for error in bench.errors[:5]:
        print(f"bench: {error}", file=sys.stderr)
    return 1 if bench.errors else 0


class Bench:
    """The measurements of one running gateway.

    Args:
        pid: its process.
        port: where it listens.
        mock_port: where the mock behind it listens.
        seconds: how long each measurement takes.

    Attributes:
        errors: what went wrong with requests.
    """

    def __init__(self, pid: int, port: int, mock_port: int, seconds: float) -> None:
        self._pid = pid
        self._port = port
        self._mock_port = mock_port
        self._seconds = seconds
        self.errors: list[str] = []

    def measure(self) -> list[Row]:
        """Run every measurement, plain requests first."""
        self._run("gpt-4o-mini", _MANY, seconds=_WARM_UP_S)
        rows = [*self._plain(1), *self._plain(_MANY)]
        for model in ("mock-s0", "mock-s10"):
            self._run(model, _MANY, stream=True, seconds=_WARM_UP_S)
        rows += [*self._first_bytes(1), *self._first_bytes(_MANY), *self._chunks()]
        rows.append(Row("resident memory after all this", f"{rss_mb(self._pid):.0f} MB"))
        return rows

    def _plain(self, connections: int) -> list[Row]:
        direct, _ = self._run("gpt-4o-mini", connections, direct=True)
        through, cpu = self._run("gpt-4o-mini", connections)
        name = f"plain, {connections} in flight"
        return [
            Row(f"{name}: requests/s", f"{through.rate:.0f}", f"{direct.rate:.0f}"),
            Row(f"{name}: p50 / p99", _quantiles(through.latencies), _quantiles(direct.latencies)),
            Row(f"{name}: gateway CPU a request", f"{1000 * cpu / max(len(through.latencies), 1):.3f} ms"),
        ]

    def _first_bytes(self, connections: int) -> list[Row]:
        direct, _ = self._run("mock-s10", connections, stream=True, direct=True)
        through, _ = self._run("mock-s10", connections, stream=True)
        what = f"stream, 10 ms between chunks, {connections} in flight: first byte p50 / p99"
        return [Row(what, _quantiles(through.first_bytes), _quantiles(direct.first_bytes))]

    def _chunks(self) -> list[Row]:
        direct, _ = self._run("mock-s0", _MANY, stream=True, direct=True)
        through, cpu = self._run("mock-s0", _MANY, stream=True)
        name = f"stream, no pause, {_MANY} in flight"
        rate, direct_rate = through.chunks / through.seconds, direct.chunks / direct.seconds
        return [
            Row(f"{name}: chunks/s", f"{rate:.0f}", f"{direct_rate:.0f}"),
            Row(f"{name}: gateway CPU a chunk", f"{1e6 * cpu / max(through.chunks, 1):.1f} us"),
        ]

    def _run(
        self, model: str, connections: int, *, stream: bool = False, direct: bool = False, seconds: float = 0.0
    ) -> tuple[Result, float]:
        """Load the gateway, or the mock alone; return the result and the gateway's processor seconds."""
        root = "/s10" if direct and model == "mock-s10" else "/v1"
        message = request(f"{root}/chat/completions", model, KEY, stream=stream)
        port = self._mock_port if direct else self._port
        before = cpu_s(self._pid)
        result = uvloop.run(load(port, message, connections=connections, seconds=seconds or self._seconds))
        self.errors += [f"{model}, {connections} in flight: {error}" for error in result.errors]
        return result, cpu_s(self._pid) - before


def _keep_a_core() -> int | None:
    """Leave one core to the gateway, where that can be said: the mock and this process stay off it."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        return None
    os.sched_setaffinity(0, others)
    return first


def _head(seconds: float, *, pinned: bool) -> str:
    cores = os.cpu_count()
    where = "on one core of its own" if pinned else "on any core"
    return (
        f"bench/relay.yaml (keys, usage, cost, metrics and the request log on), Python {platform.python_version()}, "
        f"{platform.system()}, {cores} cores; the gateway runs {where}.\n"
        f"The mock and the load share the rest of the machine, so requests/s and latencies are theirs too; CPU is the "
        f"gateway's alone.\n1 KB requests, 1 KB answers, streams of 30 chunks; {seconds:g} s each.\n"
    )


def _quantiles(values: list[float]) -> str:
    return f"{quantile_ms(values, 0.5):.2f} / {quantile_ms(values, 0.99):.2f} ms"


if __name__ == "__main__":
    sys.exit(main())
