"""`tierway eval`: what the router makes of a file of prompts, one JSON object a line on standard output."""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway import settings as settings_file
from gateway.cli.base import add_verb, fail

_CALIBRATED_ON: Final = 500
"""Prompts whose scores set the thresholds, where the file has so many."""

_TELL_S: Final = 2.0
"""Seconds between two lines of progress."""


def add_verbs(verbs: Any) -> None:
    """Add `eval`."""
    parser = verbs.add_parser("eval", help="evaluate parts of the gateway on files of your own")
    suites = parser.add_subparsers(required=True, metavar="SUITE")
    one = add_verb(suites, "routing", routing, "score and tier every prompt of a file: {id, score, tier} a line")
    one.add_argument("file", type=Path, metavar="FILE", help="JSON lines with id and prompt, plain or gzip")
    one.add_argument(
        "--calibrate",
        type=int,
        default=_CALIBRATED_ON,
        metavar="N",
        help=f"set the thresholds on N prompts spread over the file (default: {_CALIBRATED_ON}); 0: as shipped",
    )


def routing(arguments: argparse.Namespace) -> int:
    """Score every prompt and assign it a tier, reading `id` and `prompt` only.

    The target mix is that of the settings (50/30/20 without any). Thresholds are set on some of the prompts
    themselves, without labels, as a gateway sets them on its traffic.
    """
    # Imported here: it brings numpy, which other verbs do not need.
    from router.evaluation import tiers_of  # noqa: PLC0415

    config: Path | None = arguments.config
    settings = settings_file.built_in() if config is None else settings_file.load(config)[0]
    rows = list(_rows(arguments.file, ("id", "prompt")))
    progress = _Progress(len(rows))
    encode = msgspec.json.Encoder().encode
    out = sys.stdout.buffer
    prompts = [row["prompt"] for row in rows]
    found = tiers_of(prompts, settings.router.target, arguments.calibrate, progress.tell)
    for row, (score, tier) in zip(rows, found, strict=True):
        out.write(encode({"id": row["id"], "score": score, "tier": tier}) + b"\n")
    out.flush()
    return 0


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file of JSON lines, the named columns of each, which must be texts."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(line, columns, f"{path}:{number}")
    except OSError as error:
        fail(f"eval: {path}: cannot be read ({error.strerror or error})", status=2)
    except EOFError:
        fail(f"eval: {path}: the gzip file ends too early", status=2)


def _row(line: str, columns: tuple[str, ...], where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        fail(f"eval: {where}: no JSON", status=2)
    if not isinstance(row, dict):
        fail(f"eval: {where}: an object is expected", status=2)
    for column in columns:
        if not isinstance(row.get(column), str):
            fail(f"eval: {where}: '{column}' must be a text", status=2)
    return {column: row[column] for column in columns}


class _Progress:
    """Says on standard error how far it is, every few seconds."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._told_at = self._began = time.monotonic()

    def tell(self, done: int) -> None:
        """Say how many are done."""
        now = time.monotonic()
        if done == self._total:
            print(f"tierway: {done} rows in {now - self._began:.1f} s", file=sys.stderr)
        elif now - self._told_at >= _TELL_S:
            self._told_at = now
            print(f"tierway: {done} of {self._total}", file=sys.stderr)
