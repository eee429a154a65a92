"""A thousand streams at once through the gateway, for a minute: no error, and memory stays flat.

`make soak` runs it. The upstream is bench/upstream.py in a process of its own: 30 chunks, 10 ms apart. The
first third of the time is the warm-up: buffers, queues and the allocator's heaps take about 25 s to reach their size.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

import uvloop

from bench.load import Result, load, quantile_ms, request
from bench.process import KEY, gateway, rss_mb, upstream

RSS_SHARE: Final = 0.10
"""How much larger than after the warm-up the process may be at the end."""


def main() -> int:
    """Run the streams; exit 1 on an error or when memory has grown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000, help="at once (default: 1000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="after the warm-up (default: 60)")
    arguments = parser.parse_args()
    _allow_files(3 * arguments.streams + 200)
    message = request("/v1/chat/completions", "mock-s10", KEY, stream=True)

    warm_up_s = arguments.seconds / 2
    seen: list[float] = []

    with (
        tempfile.TemporaryDirectory() as folder,
        upstream() as mock_port,
        gateway(mock_port, Path(folder)) as (process, port, _),
    ):
        reading = threading.Timer(warm_up_s, lambda: seen.append(rss_mb(process.pid)))
        reading.start()
        running = load(port, message, connections=arguments.streams, seconds=warm_up_s + arguments.seconds)
        result: Result = uvloop.run(running)
        reading.cancel()
        after = rss_mb(process.pid)
    errors = result.errors
    before = seen[0] if seen else 0.0
    print(
        f"soak: {arguments.streams} streams at once for {result.seconds:.0f} s: {len(result.latencies)} streams, "
        f"{result.chunks / result.seconds:.0f} chunks/s, first byte p50 {quantile_ms(result.first_bytes, 0.5):.0f} ms, "
        f"RSS {before:.1f} -> {after:.1f} MB ({100 * (after / (before or after) - 1):+.1f} %), {len(errors)} errors"
    )
    for error in errors[:10]:
        print(f"soak: {error}", file=sys.stderr)
    return 1 if errors or after > before * (1 + RSS_SHARE) or not result.latencies else 0


def _allow_files(count: int) -> None:
    """Raise the bound on open files, which macOS sets to 256; processes started from here inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
