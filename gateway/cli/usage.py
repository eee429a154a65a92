"""`tierway usage`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from gateway.accounting.asking import SELECTING, BadQuestionError, read_query
from gateway.accounting.table import as_csv, as_objects, as_text
from gateway.cli.base import add_verb, fail
from gateway.cli.ledger import ask, settings_of
from policies.stores.ledgers.base import GROUPS


def add_verbs(verbs: Any) -> None:
    """Add `usage`."""
    one = add_verb(verbs, "usage", usage, "show what was used and what it cost")
    one.add_argument("--group-by", default="team,model", help=f"with commas: {', '.join(GROUPS)} (default: team,model)")
    one.add_argument("--since", help="from this day, moment or second since the epoch on: 2026-11-01")
    one.add_argument("--until", help="before this one")
    one.add_argument("--team", help="of this team only")
    one.add_argument("--key", help="of this key only: its name, or team/name")
    one.add_argument("--model", help="of this routed model only")
    one.add_argument("--format", choices=("text", "csv", "json"), default="text", help="(default: text)")


def usage(arguments: argparse.Namespace) -> int:
    """Show what was used and what it cost, from the ledger. A running gateway's last half second may be missing."""
    asked = {name: getattr(arguments, name) or "" for name in (*SELECTING, "group_by")}
    try:
        query = read_query(asked)
    except BadQuestionError as error:
        fail(f"usage: {error}", status=2)
    rows = ask(settings_of(arguments), "usage", lambda ledger: ledger.usage(query))
    if arguments.format == "csv":
        print(as_csv(query.group_by, rows), end="")
    elif arguments.format == "json":
        print(json.dumps(as_objects(query.group_by, rows), indent=2))
    else:
        print(as_text(query.group_by, rows))
    return 0
