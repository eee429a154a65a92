"""The text that a verb is given: in its arguments, in a file, or on standard input."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gateway.cli.base import fail


def add_text(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `TEXT` and `--file`."""
    parser.add_argument("text", nargs="?", metavar="TEXT", help=f"{what}; `-` or nothing reads standard input")
    parser.add_argument("--file", type=Path, help="a file to read instead")


def text_given(arguments: argparse.Namespace, verb: str) -> str:
    """Return the text; exit with a message where its file cannot be read."""
    if arguments.file is not None:
        try:
            return str(arguments.file.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            fail(f"{verb}: {arguments.file}: cannot be read ({error.strerror})", status=2)
    if arguments.text is not None and arguments.text != "-":
        return str(arguments.text)
    return sys.stdin.read()
