"""`tierway keys`: make, list and revoke keys."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import time
from typing import Any

import msgspec

from gateway import settings as settings_file
from gateway.cli.base import add_verb, fail
from gateway.settings import Settings
from gateway.state.base import shown_address
from policies.authenticate import make_key
from policies.catalogue import open_key_store
from policies.effective import check_budgets
from policies.settings import LevelSettings
from policies.stores.keys.base import KeyExistsError, KeyStore


def add_verbs(verbs: Any) -> None:
    """Add `keys create`, `keys list` and `keys revoke`."""
    keys = verbs.add_parser("keys", help="make, list and revoke keys").add_subparsers(required=True, metavar="VERB")
    one = add_verb(keys, "create", create, "make a key; it is printed once")
    one.add_argument("--team", required=True, type=_name)
    one.add_argument("--name", required=True, type=_name)
    one.add_argument("--models", help="comma-separated patterns of models it may use (default: all)")
    one.add_argument("--expires", type=dt.date.fromisoformat, help="first day it is no longer valid: 2027-01-31")
    one.add_argument(
        "--limit", action="append", default=[], metavar="NAME=COUNT", type=_pair,
        help="a limit of its own, such as requests_per_minute=100 or concurrency=5; may be repeated",
    )  # fmt: skip
    one.add_argument(
        "--budget", action="append", default=[], metavar="USD/WINDOW",
        help="a budget of its own, such as 5/day or '20/rolling 7d'; may be repeated",
    )  # fmt: skip
    one.add_argument("--max-output-tokens", type=int, help="the longest answer")
    one.add_argument("--metadata", action="append", default=[], metavar="NAME=VALUE", type=_pair)
    add_verb(keys, "list", list_, "list stored keys")
    add_verb(keys, "revoke", revoke, "revoke a key").add_argument("key", help="its id, or team/name")


def create(arguments: argparse.Namespace) -> int:
    """Make a key and print it, once."""
    expires_at = None
    if arguments.expires is not None:
        expires_at = dt.datetime.combine(arguments.expires, dt.time(), dt.UTC).timestamp()
    metadata = dict(pair.split("=", 1) for pair in arguments.metadata)
    token, record = make_key(
        arguments.team,
        arguments.name,
        now=time.time(),
        expires_at=expires_at,
        metadata=metadata,
        rules=_rules(arguments),
    )
    store = _store(arguments)
    try:
        store.add(record)
    except KeyExistsError:
        fail(f"keys create: team '{arguments.team}' has a key called '{arguments.name}' already; revoke it first")
    print(token)
    print(f"{record.id}  {record.team}/{record.name}  keep it now: it is not shown again", file=sys.stderr)
    where = shown_address(_settings(arguments).state)
    print(f"stored in {where}; its gateways know the key within a second", file=sys.stderr)
    return 0


def list_(arguments: argparse.Namespace) -> int:
    """List the stored keys."""
    rows = [("ID", "KEY", "MODELS", "CREATED", "EXPIRES", "STATE")]
    now = time.time()
    for record in _store(arguments).load():
        state = "valid"
        if record.revoked_at is not None:
            state = "revoked"
        elif record.expires_at is not None and record.expires_at <= now:
            state = "expired"
        expires = "-" if record.expires_at is None else _day(record.expires_at)
        path = f"{record.team}/{record.name}"
        rows.append((record.id, path, ",".join(record.models), _day(record.created_at), expires, state))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def revoke(arguments: argparse.Namespace) -> int:
    """Revoke a key by its id, or by team/name."""
    store = _store(arguments)
    wanted = arguments.key
    ids = [r.id for r in store.load() if wanted in (r.id, f"{r.team}/{r.name}") and r.revoked_at is None]
    if not ids or not store.revoke(ids[0], time.time()):
        fail(f"keys revoke: there is no key '{wanted}' that is not revoked already")
    print(f"{ids[0]}  revoked; running gateways refuse it within a second")
    return 0


def _rules(arguments: argparse.Namespace) -> LevelSettings:
    """Read the limits and budgets of a new key."""
    models = arguments.models.split(",") if arguments.models else ["*"]
    tree: dict[str, Any] = {
        "models": models,
        "limits": dict(pair.split("=", 1) for pair in arguments.limit),
        "budgets": [],
    }
    for text in arguments.budget:
        usd, _, window = text.partition("/")
        tree["budgets"].append({"usd": usd, "window": window or "month"})
    if arguments.max_output_tokens is not None:
        tree["max_output_tokens"] = arguments.max_output_tokens
    try:
        rules = msgspec.convert(tree, LevelSettings, strict=False)
        check_budgets(rules.budgets)
    except ValueError as error:  # msgspec's own is one
        fail(f"keys create: {error}", status=2)
    return rules


def _store(arguments: argparse.Namespace) -> KeyStore:
    settings = _settings(arguments)
    return open_key_store(settings.state, settings.organisation.name)


def _settings(arguments: argparse.Namespace) -> Settings:
    return settings_file.load(arguments.config)[0] if arguments.config else settings_file.built_in()


def _name(text: str) -> str:
    if not text or len(text) > 64 or not all(c.isalnum() or c in "._-" for c in text):
        raise argparse.ArgumentTypeError("letters, digits, dot, dash and underscore, at most 64")
    return text


def _pair(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError("NAME=VALUE is expected")
    return text


def _day(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d")
