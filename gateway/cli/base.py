"""What the verbs of the command have in common."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn


def add_verb(verbs: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    """Add a verb that may be given a settings file.

    Args:
        verbs: of the parser, or of the verb that this one stands under.
        name: what is typed.
        run: does it; returns the exit status.
        text: one line for the list of verbs; the docstring of `run` is its description.
    """
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=run.__doc__)
    default = os.environ.get("TIERWAY_CONFIG")
    parser.add_argument("--config", type=Path, default=default and Path(default), help="the settings file")
    parser.set_defaults(run=run)
    return parser


def fail(message: str, status: int = 1) -> NoReturn:
    """Say why, on standard error, and exit."""
    print(f"tierway: {message}", file=sys.stderr)
    sys.exit(status)
