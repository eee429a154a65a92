"""A worker as the supervisor sees it: a process, and the line on which it says that it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from gateway.edge.listening import Listeners
from gateway.edge.workers.assignment import Assignment

OPTION: Final = "--assignment"
"""The option of `tierway serve` that makes it a worker."""

READY_S: Final = 120.0
"""Seconds from a worker's start to its first answer; it takes 1 to 2 where no model is loaded."""

BANNER_BYTES: Final = 2**20
"""The longest banner; it names each model whose price is not known."""


class Worker:
    """A process that serves.

    Attributes:
        number: how manieth of all workers it is.
        banner: what it said when it was ready; None before.
    """

    def __init__(self, number: int, process: Process, line: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self.number = number
        self.banner: str | None = None
        self._process = process
        self._line = line  # kept open: its end tells the worker that the supervisor is gone

    @classmethod
    async def start(cls, command: Sequence[str], listeners: Listeners, folder: Path, *, number: int, slot: int) -> Self:
        """Start a fresh process, which inherits the listening sockets and nothing else.

        It has a process group of its own: a terminal's Ctrl-C reaches the supervisor alone, which passes it on.

        Raises:
            OSError: the system starts none.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            admin = None if listeners.admin is None else listeners.admin.fileno()
            assignment = Assignment(
                number=number,
                slot=slot,
                folder=str(folder),
                line=theirs.fileno(),
                main=listeners.main.fileno(),
                admin=admin,
            )
            inherited = [assignment.line, assignment.main, *([] if admin is None else [admin])]
            try:
                process = await create_subprocess_exec(
                    *command, OPTION, assignment.as_argument(), stdin=DEVNULL, pass_fds=inherited, process_group=0
                )
            except BaseException:
                ours.close()
                raise
        return cls(number, process, await asyncio.open_connection(sock=ours, limit=BANNER_BYTES))

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    async def becomes_ready(self) -> bool:
        """Wait until requests are answered; False when it ended instead, or took `READY_S` and was killed."""
        with contextlib.suppress(OSError, ValueError, msgspec.DecodeError):
            async with asyncio.timeout(READY_S):
                line = await self._line[0].readline()
            if line.endswith(b"\n"):
                self.banner = msgspec.json.decode(line, type=str)
        if self.banner is None:
            self.kill()
        return self.banner is not None

    async def ended(self) -> int:
        """Wait for the end of the process; return its exit status."""
        status = await self._process.wait()
        self._line[1].close()
        return status

    def reload(self) -> None:
        """Tell it to look at its settings file."""
        self._send(signal.SIGHUP)

    def drain(self) -> None:
        """Tell it to finish what it has begun and end; told again, it goes on with that."""
        self._send(signal.SIGTERM)

    def hurry(self) -> None:
        """Tell it, once it drains, to end at once."""
        self._send(signal.SIGINT)

    def kill(self) -> None:
        """End it without asking."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        """Send a signal, if there is still somebody to hear it."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                # The process's own `send_signal` looks for its end first, and takes the exit status from asyncio.
                os.kill(self.pid, number)
