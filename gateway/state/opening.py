"""Which stores an address means."""

from __future__ import annotations

from gateway.state.base import State, StateSettings
from gateway.state.embedded import open_embedded


def open_state(settings: StateSettings) -> State:
    """Open every store. Files that are there are read: not on a loop.

    Raises:
        JournalInUseError: another process has the files.
        OSError: they cannot be read or written.
        ValueError: the address is none, or a file is of another kind.
    """
    if settings.address.startswith("sqlite:"):
        return open_embedded(settings)
    # Imported here because the client costs 0.2 s and 20 MB, which one process by itself does not need.
    from gateway.state.shared import open_shared  # noqa: PLC0415

    return open_shared(settings)
