"""The `tierway` command: one function a verb."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from gateway import settings as settings_file
from gateway.settings import Settings, SettingsError
from policies.authenticate import make_key
from policies.catalogue import open_key_store
from policies.stores.keys.base import KeyExistsError, KeyStore


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and exit: 0 well, 1 the settings are wrong or the verb failed, 2 it was called wrongly."""
    parsed = _parser().parse_args(arguments)
    try:
        sys.exit(parsed.run(parsed))
    except SettingsError as error:
        _fail(f"{parsed.config or 'settings'}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def serve(arguments: argparse.Namespace) -> int:
    """Start the gateway."""
    # Imported here: the other verbs do not need the server, and answer five times as fast without it.
    from gateway.app import BUILT_IN, Gateway, is_loopback  # noqa: PLC0415
    from gateway.edge.server import serve as run_server  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if arguments.config is None:
        settings, fingerprint = settings_file.built_in(), BUILT_IN
    else:
        settings, fingerprint = settings_file.load(arguments.config)
    workers = arguments.workers or settings.server.workers
    if workers > 1:
        message = "more than one worker needs shared state (redis), or each would count limits for itself"
        _fail(f"--workers {workers}: {message}; this version keeps state in {settings.state}", status=2)
    host = arguments.host or settings.server.host
    port = settings.server.port if arguments.port is None else arguments.port
    gateway = Gateway(settings, fingerprint, host=host, path=arguments.config)

    def banner(url: str) -> None:
        for line in _banner(settings, url, is_open=gateway.is_open, config=arguments.config):
            print(line, file=sys.stderr)
        if gateway.unpriced:
            print(f"  cost unknown for: {', '.join(gateway.unpriced)} (give them a price)", file=sys.stderr)
        sys.stderr.flush()

    assert is_loopback(host) or not gateway.is_open  # noqa: S101  Gateway refuses this
    run_server(gateway.current, gateway.running, host=host, port=port, when_ready=banner)
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Validate a settings file and say what it holds."""
    if arguments.config is None:
        _fail("check: name the file with --config", status=2)
    settings, fingerprint = settings_file.load(arguments.config)
    keys = sum(len(team.keys) for team in settings.organisation.teams.values())
    counts = f"{len(settings.upstreams)} upstreams, {len(settings.models)} models, {keys} keys in the file"
    print(f"{arguments.config}: good ({counts}; hash {fingerprint})")
    return 0


def schema(_: argparse.Namespace) -> int:
    """Print the JSON Schema of the settings file."""
    print(json.dumps(settings_file.schema(), indent=2))
    return 0


def keys_create(arguments: argparse.Namespace) -> int:
    """Make a key and print it, once."""
    expires_at = None
    if arguments.expires is not None:
        expires_at = dt.datetime.combine(arguments.expires, dt.time(), dt.UTC).timestamp()
    metadata = dict(pair.split("=", 1) for pair in arguments.metadata)
    models = tuple(arguments.models.split(",")) if arguments.models else ("*",)
    token, record = make_key(
        arguments.team, arguments.name, now=time.time(), models=models, expires_at=expires_at, metadata=metadata
    )
    store = _store(arguments)
    try:
        store.add(record)
    except KeyExistsError:
        _fail(f"keys create: team '{arguments.team}' has a key called '{arguments.name}' already; revoke it first")
    print(token)
    print(f"{record.id}  {record.team}/{record.name}  keep it now: it is not shown again", file=sys.stderr)
    print(f"stored in {_state(arguments)}; its gateways know the key within a second", file=sys.stderr)
    return 0


def keys_list(arguments: argparse.Namespace) -> int:
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


def keys_revoke(arguments: argparse.Namespace) -> int:
    """Revoke a key by its id, or by team/name."""
    store = _store(arguments)
    wanted = arguments.key
    ids = [r.id for r in store.load() if wanted in (r.id, f"{r.team}/{r.name}") and r.revoked_at is None]
    if not ids or not store.revoke(ids[0], time.time()):
        _fail(f"keys revoke: there is no key '{wanted}' that is not revoked already")
    print(f"{ids[0]}  revoked; running gateways refuse it within a second")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tierway", description="An OpenAI-compatible gateway for organisations.")
    parser.add_argument("--version", action="version", version=f"tierway {version('tierway')}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    one = _verb(verbs, "serve", serve, "start the gateway")
    one.add_argument("--host", help="address to listen on (default: server.host, 127.0.0.1)")
    one.add_argument(
        "--port", type=int, help="port to listen on; 0 lets the system choose (default: server.port, 8080)"
    )
    one.add_argument("--workers", type=int, help="processes (default: server.workers, 1)")
    _verb(verbs, "check", check, "validate a settings file; exit 1 says where it is wrong")
    _verb(verbs, "schema", schema, "print the JSON Schema of the settings file, for editors")
    keys = verbs.add_parser("keys", help="make, list and revoke keys").add_subparsers(required=True, metavar="VERB")
    create = _verb(keys, "create", keys_create, "make a key; it is printed once")
    create.add_argument("--team", required=True, type=_name)
    create.add_argument("--name", required=True, type=_name)
    create.add_argument("--models", help="comma-separated patterns of models it may use (default: all)")
    create.add_argument("--expires", type=dt.date.fromisoformat, help="first day it is no longer valid: 2027-01-31")
    create.add_argument("--metadata", action="append", default=[], metavar="NAME=VALUE", type=_pair)
    _verb(keys, "list", keys_list, "list stored keys")
    _verb(keys, "revoke", keys_revoke, "revoke a key").add_argument("key", help="its id, or team/name")
    return parser


def _verb(verbs: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=run.__doc__)
    default = os.environ.get("TIERWAY_CONFIG")
    parser.add_argument("--config", type=Path, default=default and Path(default), help="the settings file")
    parser.set_defaults(run=run)
    return parser


def _store(arguments: argparse.Namespace) -> KeyStore:
    return open_key_store(_state(arguments))


def _state(arguments: argparse.Namespace) -> str:
    settings = settings_file.load(arguments.config)[0] if arguments.config else settings_file.built_in()
    return settings.state


def _banner(settings: Settings, url: str, *, is_open: bool, config: Path | None) -> list[str]:
    lines = [f"Tierway {version('tierway')} answers on {url}/v1"]
    lines.append(f"  settings: {config or 'built in (offline models, no provider is called)'}")
    lines.append(f"  models:   {', '.join([*settings.models, *settings.aliases][:12])}")
    if is_open:
        lines.append("  keys:     none yet, so anyone on this machine is the caller 'demo', with any key or none;")
        lines.append("            the first `tierway keys create --team TEAM --name NAME` ends that")
    return lines


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


def _fail(message: str, status: int = 1) -> NoReturn:
    print(f"tierway: {message}", file=sys.stderr)
    sys.exit(status)
