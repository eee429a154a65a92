"""Journeys of real clients, each in an environment of its own, through a live gateway to three scripted providers.

`make test-interop` runs them all, `make test-interop ARGS='openai anthropic'` those of two clients, and
`make test-interop ARGS=--direct` points every client straight at the provider it was made for, without a gateway:
what fails there is wrong with the journey.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.live import LiveGateway
from tests.support.scripted_anthropic import ScriptedAnthropic
from tests.support.scripted_api import ScriptedApi
from tests.support.scripted_openai import ScriptedOpenAI

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
ENVIRONMENTS: Final = ROOT / ".venv-interop"
KEY: Final = "sk-interop-0123456789abcdef"
UPSTREAM_KEY: Final = "upstream-credential-0123456789abcdef"
UPSTREAMS: Final = ("full", "chat", "claude")
AT_ONCE: Final = 2
"""Environments built, and journeys run, at once."""

PATIENCE_S: Final = 300.0
"""Seconds for one journey; the longest takes about 20."""

DIRECT_ROUTES: Final = {
    "full": "chat,responses,embeddings,completions,models",
    "chat": "chat,models",
    "claude": "messages",
}
"""What each provider serves by itself."""


@dataclass(frozen=True)
class Target:
    """What a journey is pointed at.

    Attributes:
        upstream: who answers in the end.
        url: where the client calls, without `/v1`.
        routes: those to try, by commas; all when empty.
    """

    upstream: str
    url: str
    key: str
    model: str
    routes: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a journey went.

    Attributes:
        passed: number of steps.
        failed: name and detail of each other one.
        refused: what the upstream refused meanwhile, for the search after the cause.
    """

    client: str
    upstream: str
    passed: int
    failed: list[tuple[str, str]]
    refused: list[str]


# ---------------------------------------------------------------- environments


def clients() -> list[str]:
    """Return the name of every client that has a journey."""
    return sorted(path.parent.name for path in HERE.glob("*/journey.*"))


def is_node(client: str) -> bool:
    return (HERE / client / "package.json").exists()


def build(client: str) -> str:
    """Make a client's environment when it is missing or outdated; return what went wrong, or nothing."""
    folder = ENVIRONMENTS / client
    wanted = HERE / client / ("package.json" if is_node(client) else "requirements.txt")
    mark, digest = folder / ".installed", hashlib.sha256(wanted.read_bytes()).hexdigest()
    if not mark.exists() or mark.read_text() != digest:
        say(f"{client}: making its environment ...")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if problem := _install(client, folder, wanted):
            return problem
        mark.write_text(digest)
    if is_node(client):
        shutil.copy(HERE / client / "journey.mjs", folder)
    return ""


def _install(client: str, folder: Path, wanted: Path) -> str:
    if is_node(client):
        shutil.copy(wanted, folder)
        npm = shutil.which("npm") or "npm"
        return _run([npm, "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r", str(wanted)]
    return _run([sys.executable, "-m", "venv", str(folder)], ROOT) or _run(pip, ROOT)


def _run(command: Sequence[str], folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}"


# ---------------------------------------------------------------- journeys


def journey(client: str, target: Target, upstream: ScriptedApi) -> Outcome:
    """Run one client's journey against one target."""
    folder = ENVIRONMENTS / client
    script = [str(folder / "bin" / "python"), str(HERE / client / "journey.py")]
    if is_node(client):
        script = [shutil.which("node") or "node", str(folder / "journey.mjs")]
    before = len(upstream.refusals)
    try:
        done = subprocess.run(
            script,
            cwd=folder,
            env=_environment(target),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        lines, said, status = _lines(late.stdout), f"no end after {PATIENCE_S:g} s", 1
    else:
        lines, said, status = _lines(done.stdout), done.stderr[-1500:], done.returncode
    failed = [(line["step"], line["detail"]) for line in lines if not line["ok"]]
    if (status and not failed) or not (lines or target.routes):
        failed.append(("the journey itself", said))
    refused = [f"{status} {path} {json.dumps(body)[:300]}" for path, status, body in upstream.refusals[before:]]
    outcome = Outcome(client, target.upstream, sum(line["ok"] for line in lines), failed, refused)
    say(f"{client} -> {target.upstream}: {outcome.passed} passed, {len(failed)} failed")
    return outcome


def _lines(output: str | bytes | None) -> list[dict[str, Any]]:
    text = output.decode() if isinstance(output, bytes) else output or ""
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"step"')]


def _environment(target: Target) -> dict[str, str]:
    """Return the process's own environment without what would redirect a client, and the journey's settings."""
    redirecting = ("OPENAI_", "ANTHROPIC_", "LANGCHAIN_", "LANGSMITH_", "TIERWAY_", "INTEROP_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(redirecting) and not name.lower().endswith("_proxy")
    }
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "INTEROP_URL": target.url,
        "INTEROP_KEY": target.key,
        "INTEROP_MODEL": target.model,
        "INTEROP_UPSTREAM": target.upstream,
        "INTEROP_ROUTES": target.routes,
        "INTEROP_EMBEDDINGS_MODEL": target.model if target.upstream == "full" else "",
    }


def settings(upstreams: dict[str, Any]) -> dict[str, Any]:
    """Return the gateway's settings: one model an upstream, and a key."""
    full = {"kind": "openai", "base_url": upstreams["full"].url, "api_key": UPSTREAM_KEY}
    everything = ["chat", "responses", "embeddings", "completions"]
    price = {"input": 1.0, "output": 2.0}
    return {
        "encryption_key": "0123456789abcdef0123456789abcdef",
        "upstreams": {
            "full": {**full, "features": everything},
            "chat": {**full, "base_url": upstreams["chat"].url, "features": ["chat"]},
            "claude": {**full, "kind": "anthropic", "base_url": upstreams["claude"].url},
        },
        "models": {
            f"{name}-model": {"upstream": name, "model": f"scripted-{name}", "price": price} for name in UPSTREAMS
        },
        "organisation": {"teams": {"interop": {"keys": [{"name": "all", "secret": KEY}]}}},
    }


def run(client: str, *, direct: bool) -> tuple[list[Outcome], list[str]]:
    """Run one client's journeys; return how they went, and what the gateway said of faults of its own.

    Each client has a gateway of its own, as one that was given many wrong keys lets nobody in for a minute.
    """
    with ExitStack() as stack:
        upstreams: dict[str, Any] = {
            "full": ScriptedOpenAI(UPSTREAM_KEY, ("scripted-full",)),
            "chat": ScriptedOpenAI(UPSTREAM_KEY, ("scripted-chat",), chat_only=True),
            "claude": ScriptedAnthropic(UPSTREAM_KEY, ("scripted-claude",), bearer=direct),
        }
        for upstream in upstreams.values():
            stack.enter_context(upstream)
        if direct:
            targets = [
                Target(name, upstreams[name].origin, UPSTREAM_KEY, f"scripted-{name}", DIRECT_ROUTES[name])
                for name in UPSTREAMS
            ]
            return _run_all(client, targets, upstreams), []
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gateway = LiveGateway(folder, settings(upstreams))
        try:
            gateway.__enter__()
        except AssertionError as error:
            return [], [f"{client} found no gateway: {error}"]
        try:
            targets = [Target(name, gateway.url, KEY, f"{name}-model") for name in UPSTREAMS]
            outcomes = _run_all(client, targets, upstreams)
        finally:
            gateway.stop()
        return outcomes, list(dict.fromkeys(gateway.messages))[-40:] if gateway.faults() else []


def _run_all(client: str, targets: list[Target], upstreams: dict[str, Any]) -> list[Outcome]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = pool.map(lambda target: journey(client, target, upstreams[target.upstream]), targets)
        return [outcome for outcome in outcomes if outcome.passed or outcome.failed]


# ---------------------------------------------------------------- the report


def say(line: str) -> None:
    print(f"interop: {line}", flush=True)  # noqa: T201  the report of a script


def table(outcomes: list[Outcome]) -> list[str]:
    """Return one line a client: passed/all for each upstream."""
    found = {(outcome.client, outcome.upstream): outcome for outcome in outcomes}
    lines = ["client            " + "".join(f"{name:>10}" for name in UPSTREAMS)]
    for client in dict.fromkeys(outcome.client for outcome in outcomes):
        row = [found.get((client, name)) for name in UPSTREAMS]
        cells = ["-" if one is None else f"{one.passed}/{one.passed + len(one.failed)}" for one in row]
        lines.append(f"{client:<18}" + "".join(f"{cell:>10}" for cell in cells))
    return lines


def report(outcomes: list[Outcome], faults: list[str]) -> int:
    """Print the table and every failure; return how many there were."""
    for outcome in outcomes:
        for step, detail in outcome.failed:
            say(f"FAILED {outcome.client} -> {outcome.upstream} | {step}\n    {detail}")
        if outcome.failed:
            for line in dict.fromkeys(outcome.refused):
                say(f"    upstream {outcome.upstream} answered {outcome.client}: {line}")
    for fault in faults:
        say(f"the gateway said: {fault}")
    for line in table(outcomes):
        say(line)
    return sum(len(outcome.failed) for outcome in outcomes) + bool(faults)


def main() -> int:
    """Build the environments, run the journeys, print the table; exit 1 on a failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "clients", nargs="*", choices=[[], *clients()], help=f"of {', '.join(clients())} (default: all)"
    )
    parser.add_argument("--direct", action="store_true", help="without the gateway")
    arguments = parser.parse_args()
    wanted = arguments.clients or clients()
    if missing := [
        client for client in wanted if is_node(client) and not (shutil.which("node") and shutil.which("npm"))
    ]:
        say(f"SKIPPED, as node or npm is missing: {', '.join(missing)}")
    wanted = [client for client in wanted if client not in missing]
    ENVIRONMENTS.mkdir(exist_ok=True)
    (ENVIRONMENTS / ".gitignore").write_text("*\n")
    shutil.copy(HERE / "steps.mjs", ENVIRONMENTS)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        problems = {client: problem for client, problem in zip(wanted, pool.map(build, wanted), strict=True) if problem}
    for client, problem in problems.items():
        say(f"FAILED {client} | its environment\n    {problem}")
    ran = [run(client, direct=arguments.direct) for client in wanted if client not in problems]
    outcomes = [outcome for found, _ in ran for outcome in found]
    faults = [fault for _, said in ran for fault in said]
    return min(report(outcomes, faults) + len(problems), 1)


if __name__ == "__main__":
    sys.exit(main())
