"""A process that stores things one after the other, and is killed in the midst of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time


def write_until_killed(program: str, where: str) -> tuple[list[tuple[int, float]], float]:
    """Let a process store entries for two seconds and kill it; return when each was stored, and when it was killed.

    Args:
        program: in Python; prints the number and the moment (seconds since the epoch) of each entry that it has stored.
        where: its argument.
    """
    with subprocess.Popen([sys.executable, "-c", program, where], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        time.sleep(2.0)
        process.send_signal(signal.SIGKILL)
        killed_at = time.time()
        lines += process.stdout.readlines()
    pairs = [line.split() for line in lines if line.endswith("\n")]
    return [(int(number), float(at)) for number, at in pairs], killed_at
