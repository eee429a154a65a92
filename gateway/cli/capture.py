"""`tierway capture`: read what captures have kept, with the settings' encryption key."""

from __future__ import annotations

import argparse
import datetime as dt
import getpass
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.capture.audit import AuditLine, moment, write_audit
from gateway.capture.file import (
    SUFFIX,
    UnreadableError,
    capture_ids,
    folder_of,
    read_capture,
    read_opening,
    sealer_of,
)
from gateway.capture.records import Captured, Closing, Entry, Opening
from gateway.cli.base import add_verb, fail
from gateway.cli.ledger import settings_of
from gateway.sealing import Sealer


def add_verbs(verbs: Any) -> None:
    """Add `capture list`, `capture show` and `capture delete`."""
    capture = verbs.add_parser("capture", help="read what /admin/capture has kept")
    verbs = capture.add_subparsers(required=True, metavar="VERB")
    add_verb(verbs, "list", list_, "list captures, without what they have kept")
    one = add_verb(verbs, "show", show, "print what a capture has kept: prompts and answers in plain text")
    one.add_argument("id", help="of the capture")
    one.add_argument("--json", action="store_true", help="one JSON object a line")
    add_verb(verbs, "delete", delete, "delete what a capture has kept").add_argument("id", help="of the capture")


def list_(arguments: argparse.Namespace) -> int:
    """List captures that have ended or run, without what they have kept. Leaves an audit line."""
    folder, sealer = _place(arguments)
    _audit(folder, "list")
    rows: list[tuple[str, ...]] = [("ID", "KEY", "STARTED", "BY", "KEPT", "DROPPED", "ENDED", "REASON")]
    rows += [_row(folder, capture_id, sealer) for capture_id in capture_ids(folder)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Print what a capture has kept, in plain text. Leaves an audit line; without one, nothing is printed."""
    folder, sealer = _place(arguments)
    try:
        _audit(folder, "show", read_opening(folder, arguments.id, sealer))
        for entry in read_capture(folder, arguments.id, sealer):
            print(_as_json(entry) if arguments.json else _as_text(entry))
    except UnreadableError as error:
        fail(f"capture show: {error}")
    return 0


def delete(arguments: argparse.Namespace) -> int:
    """Delete what a capture has kept. Leaves an audit line."""
    folder, sealer = _place(arguments)
    try:
        opening = read_opening(folder, arguments.id, sealer)
    except UnreadableError as error:
        fail(f"capture delete: {error}")
    _audit(folder, "delete", opening)
    (folder / (opening.id + SUFFIX)).unlink(missing_ok=True)
    print(f"{opening.id}  deleted")
    return 0


def _place(arguments: argparse.Namespace) -> tuple[Path, Sealer]:
    settings = settings_of(arguments)
    folder = folder_of(settings.state)
    if folder is None:
        fail("capture: captures are kept beside a state file; these settings keep their state elsewhere")
    if settings.encryption_key is None:
        fail("capture: captures are sealed with 'encryption_key', and these settings have none")
    return folder, sealer_of(settings.encryption_key, settings.encryption_keys_before)


def _audit(folder: Path, did: str, opening: Opening | None = None) -> None:
    by = f"cli:{_user()}@{socket.gethostname()}"
    line = AuditLine(
        at=moment(time.time()),
        did=did,
        by=by,
        capture=opening.id if opening else "",
        key=opening.key if opening else "",
        reason=opening.reason if opening else "",
    )
    try:
        if folder.is_dir():
            write_audit(folder, line)
    except OSError as error:
        fail(f"capture {did}: the audit line cannot be written ({error.strerror}), and nothing is done without it")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user, as in some containers
        return str(os.getuid())


def _row(folder: Path, capture_id: str, sealer: Sealer) -> tuple[str, ...]:
    try:
        entries = list(read_capture(folder, capture_id, sealer))
    except UnreadableError:
        return (capture_id, "cannot be opened with this encryption key", *[""] * 6)
    opening, closing = entries[0], entries[-1]
    if not isinstance(opening, Opening):
        return (capture_id, "does not begin as a capture does", *[""] * 6)
    kept = sum(isinstance(entry, Captured) for entry in entries)
    dropped, ended = "-", "-"
    if isinstance(closing, Closing):
        dropped, ended = str(closing.dropped), f"{moment(closing.at)} ({closing.ended})"
    return (
        capture_id, opening.key, moment(opening.started_at), opening.by, str(kept), dropped, ended, opening.reason
    )  # fmt: skip


def _as_json(entry: Entry) -> str:
    document: dict[str, Any] = {"record": type(entry).__name__.lower()}
    for name in entry.__struct_fields__:
        value = getattr(entry, name)
        document[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return json.dumps(document, ensure_ascii=False)


def _as_text(entry: Entry) -> str:
    return _TEXTS[type(entry)](entry)


def _exchange_text(entry: Captured) -> str:
    at = dt.datetime.fromtimestamp(entry.at, dt.UTC).isoformat(timespec="milliseconds")
    code = f" {entry.code}" if entry.code else ""
    cut = "\n(cut here)" if entry.is_cut else ""
    head = f"== {at}  {entry.request_id}  {entry.route}  {entry.model} -> {entry.routed_model or '-'}"
    sent, answered = (part.decode("utf-8", "replace") for part in (entry.request, entry.answer))
    return f"{head}  {entry.status}{code}\n>> {sent}\n<< {answered}{cut}"


def _opening_text(entry: Opening) -> str:
    until = f"until {moment(entry.ends_at)}"
    return f"{entry.id}  {entry.key}  {moment(entry.started_at)} {until}  by {entry.by}: {entry.reason}"


def _closing_text(entry: Closing) -> str:
    return f"ended {moment(entry.at)} ({entry.ended}): {entry.kept} kept, {entry.dropped} dropped"


_TEXTS: dict[type, Callable[[Any], str]] = {
    Opening: _opening_text,
    Captured: _exchange_text,
    Closing: _closing_text,
}
