"""The sockets that are listened on: one for everybody, and one for operators where the settings name it."""

from __future__ import annotations

import contextlib
import socket
from typing import Final, NamedTuple

from gateway.settings import ServerSettings, SettingsError

BACKLOG: Final = 4096

UNSENT_BYTES: Final = 128 * 1024
"""What the kernel takes of an answer beyond what is on its way: without a bound, megabytes for each slow reader."""


class Listeners(NamedTuple):
    """Listening sockets: `main`, and `admin` where `/admin` and `/metrics` have an address of their own."""

    main: socket.socket
    admin: socket.socket | None = None

    def close(self) -> None:
        """Close them in this process."""
        for listener in self:
            if listener is not None:
                listener.close()


def open_listeners(settings: ServerSettings, host: str, port: int) -> Listeners:
    """Listen.

    Args:
        settings: name the operators' address.
        host, port: the main address; port 0 lets the system choose.

    Raises:
        SettingsError: an address cannot be listened on.
    """
    main = _listen("server.port", host, port)
    if settings.admin_listen is None:
        return Listeners(main)
    admin_host, _, admin_port = settings.admin_listen.rpartition(":")
    try:
        return Listeners(main, _listen("server.admin_listen", admin_host.strip("[]"), int(admin_port)))
    except SettingsError:
        main.close()
        raise


def _listen(field: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise SettingsError(f"{field}: cannot listen on {host}:{port}: {reason}") from error
    with contextlib.suppress(OSError):  # some sandboxes do not know the option
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    return listener
