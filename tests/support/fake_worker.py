"""A worker that serves nobody: it notes what it is told, for tests of who tells it.

Arguments: a folder, in which `behaviour` says what it does and `events` takes its notes, and what a supervisor adds.
`serve` is ready at once and ends when told to; `fail` ends before it is ready; `linger` ends when there is a file `go`;
`deaf` ends for nothing but SIGKILL; `mute` is never ready.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Final

FAILED: Final = 3
"""The exit status of one that fails."""


def main() -> None:
    """Be a worker."""
    folder = Path(sys.argv[1])
    assignment = json.loads(sys.argv[-1])
    behaviour = (folder / "behaviour").read_text()
    told = False

    def note(event: str) -> None:
        with (folder / "events").open("a") as events:
            events.write(f"{assignment['number']} {event}\n")

    def drain(number: int, frame: FrameType | None) -> None:
        nonlocal told
        del number, frame
        if not told:
            note("drains")
        told = True

    def hurry(number: int, frame: FrameType | None) -> None:
        del number, frame
        note("ends at once")
        if behaviour != "deaf":
            sys.exit(1)

    signal.signal(signal.SIGTERM, drain)
    signal.signal(signal.SIGINT, hurry)
    signal.signal(signal.SIGHUP, lambda number, frame: note("reloads"))
    if behaviour == "fail":
        note("fails")
        sys.exit(FAILED)
    line = socket.socket(fileno=assignment["line"])
    note("serves" if behaviour != "mute" else "hangs")  # before the supervisor knows, who goes on at once
    if behaviour != "mute":
        line.sendall(json.dumps(f"banner {assignment['number']} {os.getpid()}").encode() + b"\n")
    while behaviour == "deaf" or not told or (behaviour == "linger" and not (folder / "go").exists()):
        time.sleep(0.01)
    note("has ended")


if __name__ == "__main__":
    main()
