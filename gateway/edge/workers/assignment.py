"""What a worker inherits from the supervisor that starts it."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from gateway.edge.listening import Listeners


class Assignment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A worker's place, and the descriptors that it inherits; it is handed over as an argument of the command.

    Attributes:
        number: how manieth of all workers it is; no two have the same.
        slot: its place among those that serve at a time, from 1; the one that replaces it takes it over.
        folder: private to the supervisor and its workers, who find each other's sockets there.
        line: the worker's end of a socket pair: it says there that it is ready, and reads there whether the supervisor
            still lives.
        main, admin: the listening sockets.
    """

    number: int
    slot: int
    folder: str
    line: int
    main: int
    admin: int | None = None

    def as_argument(self) -> str:
        """Return it in the form that `from_argument` reads."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_argument(cls, text: str) -> Assignment:
        """Read it.

        Raises:
            ValueError: it is none.
        """
        return msgspec.json.decode(text, type=cls)

    def take_listeners(self) -> Listeners:
        """Return the listening sockets, which processes started from here do not inherit in turn."""
        return Listeners(_take(self.main), None if self.admin is None else _take(self.admin))

    def take_line(self) -> socket.socket:
        """Return this end of the line to the supervisor."""
        return _take(self.line)

    def tally_socket(self) -> Path:
        """Return where this worker tells others what it has counted."""
        return Path(self.folder, f"{self.number}.sock")

    def last_tally(self) -> Path:
        """Return where it leaves that at its end."""
        return Path(self.folder, f"{self.number}.tally")


def _take(descriptor: int) -> socket.socket:
    taken = socket.socket(fileno=descriptor)
    taken.set_inheritable(False)
    return taken
