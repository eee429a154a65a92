"""`tierway serve`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from gateway import settings as settings_file
from gateway.cli.base import add_verb, fail
from gateway.settings import Settings

_BEYOND_DRAIN_S: Final = 15.0
"""Seconds that a worker gets to end after `drain_s`, before it is killed; its drain may take 6."""


def add_verbs(verbs: Any) -> None:
    """Add `serve`."""
    one = add_verb(verbs, "serve", serve, "start the gateway")
    one.add_argument("--host", help="address to listen on (default: server.host, 127.0.0.1)")
    one.add_argument(
        "--port", type=int, help="port to listen on; 0 lets the system choose (default: server.port, 8080)"
    )
    one.add_argument("--workers", type=int, help="processes (default: server.workers, 1)")
    one.add_argument("--assignment", help=argparse.SUPPRESS)  # what a worker is given by its supervisor


def serve(arguments: argparse.Namespace) -> int:
    """Start the gateway."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if arguments.config is None:
        settings, fingerprint = settings_file.built_in(), "built-in"
    else:
        settings, fingerprint = settings_file.load(arguments.config)
    workers = arguments.workers or settings.server.workers
    host = arguments.host or settings.server.host
    port = settings.server.port if arguments.port is None else arguments.port
    if workers > 1 and arguments.assignment is None:
        return _serve_with_workers(settings, workers, host, port, has_file=arguments.config is not None)
    return _serve_here(arguments, settings, fingerprint, host, port)


def _serve_with_workers(settings: Settings, count: int, host: str, port: int, *, has_file: bool) -> int:
    # Imported here: this process serves nobody, and stays small without the server.
    from gateway.edge.listening import open_listeners  # noqa: PLC0415
    from gateway.edge.workers.supervisor import Plan, supervise  # noqa: PLC0415

    if settings.state.startswith("sqlite:"):
        message = "more than one worker needs shared state (redis), or each would count limits for itself"
        fail(f"--workers {count}: {message}; state is {settings.state}", status=2)
    plan = Plan(
        command=[sys.executable, *sys.orig_argv[1:]],
        count=count,
        end_s=settings.server.drain_s + _BEYOND_DRAIN_S,
        label_top_n=settings.telemetry.metrics.label_top_n,
        has_file=has_file,
    )
    return supervise(plan, open_listeners(settings.server, host, port), _print)


def _serve_here(arguments: argparse.Namespace, settings: Settings, fingerprint: str, host: str, port: int) -> int:
    # Imported here: the other verbs do not need the server, and answer five times as fast without it.
    from gateway.app import Gateway, is_loopback  # noqa: PLC0415
    from gateway.edge.listening import open_listeners  # noqa: PLC0415
    from gateway.edge.server import serve as run_server  # noqa: PLC0415
    from gateway.edge.workers.assignment import Assignment  # noqa: PLC0415
    from gateway.edge.workers.post import HURRIED_BY, Post  # noqa: PLC0415

    assignment = arguments.assignment and Assignment.from_argument(arguments.assignment)
    tells = assignment is None or assignment.slot == 1
    gateway = Gateway(
        settings,
        fingerprint,
        host=host,
        path=arguments.config,
        tells_of_budgets=tells,
        shares_output=assignment is not None,
    )
    assert is_loopback(host) or not gateway.is_open  # noqa: S101  Gateway refuses this

    def banner(url: str) -> str:
        lines = _banner(settings, url, is_open=gateway.is_open, config=arguments.config)
        if gateway.unpriced:
            lines.append(f"  cost unknown for: {', '.join(gateway.unpriced)} (give them a price)")
        return "\n".join(lines)

    if assignment is None:
        listeners = open_listeners(settings.server, host, port)
        run_server(gateway.current, gateway.running, listeners=listeners, when_ready=lambda url: _print(banner(url)))
        return 0
    post = Post(assignment)

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        """Hold the post until everything that is counted has ended."""
        async with post.held(gateway.current.telemetry), gateway.running():
            yield

    run_server(
        gateway.current,
        running,
        listeners=post.listeners,
        when_ready=lambda url: post.report(banner(url)),
        hurried_by=HURRIED_BY,
    )
    return 0


def _print(banner: str) -> None:
    print(banner, file=sys.stderr, flush=True)


def _banner(settings: Settings, url: str, *, is_open: bool, config: Path | None) -> list[str]:
    lines = [f"Tierway {version('tierway')} answers on {url}/v1"]
    lines.append(f"  settings: {config or 'built in (offline models, no provider is called)'}")
    lines.append(f"  models:   {', '.join([*settings.models, *settings.aliases][:12])}")
    if is_open:
        lines.append("  keys:     none yet, so anyone on this machine is the caller 'demo', with any key or none;")
        lines.append("            the first `tierway keys create --team TEAM --name NAME` ends that")
    return lines
