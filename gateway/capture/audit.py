"""Who began, ended and read captures: one line each, in a file beside them and in the log. It holds no content."""

from __future__ import annotations

import datetime as dt
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

log = logging.getLogger("tierway")

FILE_NAME: Final = "audit.log"


class AuditLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody did.

    Attributes:
        did: `start`, `end`, `list`, `show` or `delete`.
        by: who.
        capture: its id, empty where it is about all.
        key: whose exchanges it keeps.
        reason: that was given.
    """

    at: str
    did: str
    by: str
    capture: str = ""
    key: str = ""
    reason: str = ""


def write_audit(folder: Path, line: AuditLine) -> None:
    """Append a line, and be sure that it is on the disk.

    Raises:
        OSError: it cannot be written; what it is about must then not be done.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(folder / FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, msgspec.json.encode(line) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
    log.warning("capture %s: %s by %s, key %s: %s", line.did, line.capture or "all", line.by, line.key, line.reason)


def moment(at: float) -> str:
    """Return a moment in UTC as it stands in a line.

    Args:
        at: seconds since the epoch.
    """
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
