"""The `tierway` command: its verbs, and what becomes of their failures."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from gateway.cli import capture, check, evaluate, keys, plan, reconcile, route, scan, serve, usage
from gateway.cli.base import fail
from gateway.settings import SettingsError

VERBS = (serve, check, route, scan, plan, keys, usage, reconcile, evaluate, capture)
"""The modules that add verbs, in the order in which help lists them."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and exit: 0 well, 1 wrong settings or a verb that failed, 2 called wrongly, 141 nobody reads on."""
    parsed = _parser().parse_args(arguments)
    try:
        status = parsed.run(parsed)
        sys.stdout.flush()
        sys.exit(status)
    except BrokenPipeError:  # `tierway route ... | head`: nobody reads on, which is no failure worth a traceback
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except SettingsError as error:
        fail(f"{parsed.config or 'settings'}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tierway", description="An OpenAI-compatible gateway for organisations.")
    parser.add_argument("--version", action="version", version=f"tierway {version('tierway')}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for module in VERBS:
        module.add_verbs(verbs)
    return parser
