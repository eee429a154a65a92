"""`tierway eval routing`: what the router makes of a file of prompts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from gateway import settings as settings_file
from gateway.cli.base import add_verb
from gateway.cli.evaluate.rows import Progress, read_rows, write_rows

_CALIBRATED_ON: Final = 500
"""Prompts whose scores set the thresholds, where the file has so many."""


def add_suites(suites: Any) -> None:
    """Add `routing`."""
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
    rows = read_rows(arguments.file, {"id": str, "prompt": str})
    progress = Progress(len(rows))
    found = tiers_of([row["prompt"] for row in rows], settings.router.target, arguments.calibrate, progress.tell)
    write_rows({"id": row["id"], "score": score, "tier": tier} for row, (score, tier) in zip(rows, found, strict=True))
    return 0
