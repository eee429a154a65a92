"""`tierway serve`."""

from __future__ import annotations

import argparse
import logging
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gateway import settings as settings_file
from gateway.cli.base import add_verb, fail
from gateway.settings import Settings


def add_verbs(verbs: Any) -> None:
    """Add `serve`."""
    one = add_verb(verbs, "serve", serve, "start the gateway")
    one.add_argument("--host", help="address to listen on (default: server.host, 127.0.0.1)")
    one.add_argument(
        "--port", type=int, help="port to listen on; 0 lets the system choose (default: server.port, 8080)"
    )
    one.add_argument("--workers", type=int, help="processes (default: server.workers, 1)")


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
        fail(f"--workers {workers}: {message}; this version keeps state in {settings.state}", status=2)
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


def _banner(settings: Settings, url: str, *, is_open: bool, config: Path | None) -> list[str]:
    lines = [f"Tierway {version('tierway')} answers on {url}/v1"]
    lines.append(f"  settings: {config or 'built in (offline models, no provider is called)'}")
    lines.append(f"  models:   {', '.join([*settings.models, *settings.aliases][:12])}")
    if is_open:
        lines.append("  keys:     none yet, so anyone on this machine is the caller 'demo', with any key or none;")
        lines.append("            the first `tierway keys create --team TEAM --name NAME` ends that")
    return lines
