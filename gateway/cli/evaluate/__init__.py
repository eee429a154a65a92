"""`tierway eval`: parts of the gateway on files of one's own, one JSON object a line on standard output."""

from __future__ import annotations

from typing import Any

from gateway.cli.evaluate import caching, guarding, routing


def add_verbs(verbs: Any) -> None:
    """Add `eval`."""
    parser = verbs.add_parser("eval", help="evaluate parts of the gateway on files of your own")
    suites = parser.add_subparsers(required=True, metavar="SUITE")
    routing.add_suites(suites)
    caching.add_suites(suites)
    guarding.add_suites(suites)
