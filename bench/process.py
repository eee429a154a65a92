"""Starting the mock and the gateway, and reading what a process has used."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bench.load import request

ROOT: Final = Path(__file__).resolve().parents[1]

KEY: Final = "sk-bench-0123456789abcdef"
"""The caller's key in bench/relay.yaml."""

_PATIENCE_S: Final = 30.0


@contextlib.contextmanager
def upstream() -> Iterator[int]:
    """Run the mock; yields its port."""
    command = [sys.executable, str(ROOT / "bench" / "upstream.py")]
    with _running(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None  # noqa: S101  it was asked for
        yield int(process.stdout.readline())


@contextlib.contextmanager
def gateway(
    mock_port: int, folder: Path, core: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], int, float]]:
    """Run the gateway with bench/relay.yaml, on one core if one is named.

    Yields:
        The process, its port and the seconds to its first 200.
    """
    port = free_port()
    config = ROOT / "bench" / "relay.yaml"
    command = [sys.executable, "-c", "from gateway.cli.main import main; main()"]
    started = time.perf_counter()
    with (folder / "gateway.log").open("w") as log, _on(core):
        process = subprocess.Popen(
            [*command, "serve", "--config", str(config), "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, **environment(mock_port, folder)},
            stdout=log,
            stderr=log,
            text=True,
        )
    with _running(process):
        yield process, port, _first_answer(process, port, folder) - started


def environment(mock_port: int, folder: Path) -> Mapping[str, str]:
    """Return what bench/relay.yaml reads."""
    mock = f"http://127.0.0.1:{mock_port}"
    return {
        "BENCH_MOCK": f"{mock}/v1",
        "BENCH_STREAM_S0": f"{mock}/v1",
        "BENCH_STREAM_S10": f"{mock}/s10",
        "BENCH_STATE": str(folder),
        "BENCH_KEY": KEY,
    }


def cpu_s(pid: int) -> float:
    """Return the processor seconds a process has used, all threads together."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        fields = stat.read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    text = _ps(pid, "cputime")  # [[days-]hours:]minutes:seconds
    days, _, clock = text.rpartition("-")
    total = float(days or 0) * 24
    for part in clock.split(":"):
        total = total * 60 + float(part)
    return total


def rss_mb(pid: int) -> float:
    """Return the resident set of a process in megabytes (2^20 bytes)."""
    return int(_ps(pid, "rss")) / 1024


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ps(pid: int, what: str) -> str:
    command = ["ps", "-o", f"{what}=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _first_answer(process: subprocess.Popen[str], port: int, folder: Path) -> float:
    """Ask until there is a 200; return that moment."""
    message = request("/v1/chat/completions", "gpt-4o-mini", KEY, stream=False)
    until = time.perf_counter() + _PATIENCE_S
    while time.perf_counter() < until and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as connection:
                connection.sendall(message)
                if connection.recv(64).startswith(b"HTTP/1.1 200"):
                    return time.perf_counter()
        except OSError:
            pass
        time.sleep(0.002)
    raise SystemExit(f"bench: the gateway did not answer; it said:\n{(folder / 'gateway.log').read_text()}")


@contextlib.contextmanager
def _on(core: int | None) -> Iterator[None]:
    """Have what is started here run on one core."""
    if core is None:
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextlib.contextmanager
def _running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
