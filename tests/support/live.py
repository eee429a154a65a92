"""A real gateway in a process of its own, on a port the system chose."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self, TypeVar
from urllib.request import urlopen

from tests.support.confidential import WELL_KNOWN, places_of, secrets_of
from tests.support.moment import PATIENCE_S

COMMAND: Final = (
    sys.executable,
    "-W",
    "error::ResourceWarning",
    "-c",
    "from gateway.cli.main import main; main()",
)
"""The `tierway` command, whether or not its script is on the path."""

ROOT: Final = Path(__file__).resolve().parents[2]

_URL: Final = re.compile(r"answers on (https?://\S+)/v1")

_FAULT: Final = re.compile(r"Traceback|CRITICAL|Warning:|never (?:retrieved|awaited)")

Log = dict[str, Any]

_Found = TypeVar("_Found")


def tierway(
    *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one verb of the command to its end, in `folder`."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=_environment(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


UNASSISTED: Final[dict[str, Any]] = {"strategy": "fixed", "retries": {"attempts": 0}, "breaker": None}
"""A router that asks each candidate once, whatever came of earlier requests: what an upstream does, a caller sees."""


def write_settings(folder: Path, settings: Mapping[str, Any]) -> Path:
    """Write a settings file and return its path. JSON is YAML; the file is swapped in whole."""
    path = folder / "tierway.yaml"
    scratch = folder / "tierway.yaml.new"
    scratch.write_text(json.dumps(settings, indent=2))
    scratch.replace(path)
    return path


def relay_settings(upstream_url: str, **sections: Any) -> dict[str, Any]:
    """Return settings with one upstream, whose model `scripted-1` is also called `relayed`."""
    upstream = {"kind": "openai", "base_url": upstream_url, "api_key": UPSTREAM_KEY}
    model = {"upstream": "scripted", "model": "scripted-1", "price": {"input": 1.0, "output": 2.0}}
    return {
        "upstreams": {"scripted": upstream},
        "models": {"relayed": model, "scripted-1": model},
        "router": UNASSISTED,
        **sections,
    }


UPSTREAM_KEY: Final = WELL_KNOWN[0]
"""The gateway's credential at the scripted upstream: it must never reach a caller."""


class LiveGateway:
    """A running gateway. Use as a context manager.

    Args:
        folder: its working directory; the key store lies here.
        settings: the settings file's content, or None to run on what is built in.
        arguments: more arguments of `serve`.
        environment: more environment variables.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any] | None = None,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.path = None if settings is None else write_settings(folder, settings)
        config = [] if self.path is None else ["--config", str(self.path)]
        self._arguments = ["serve", "--port", "0", *config, *arguments]
        self._environment = _environment(environment)
        self._secrets = {*WELL_KNOWN, *secrets_of(settings)}
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self.log: list[Log] = []
        self.messages: list[str] = []
        self.url = ""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [*COMMAND, *self._arguments],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        for pipe, take in ((self.process.stdout, self._take_log), (self.process.stderr, self._take_message)):
            thread = threading.Thread(target=_follow, args=(pipe, take), daemon=True)
            thread.start()
            self._threads.append(thread)
        try:
            self.url = self._wait(self._announced_url, "the banner", 30.0)
        except AssertionError:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        assert not self.faults(), self.messages
        assert not self.leaks()

    def faults(self) -> list[str]:
        """Return what the process said of faults of its own."""
        return [message for message in self.messages if _FAULT.search(message)]

    def leaks(self) -> list[str]:
        """Return the secrets of the settings that the process has written to its log or to standard error."""
        return places_of(self._secrets, json.dumps(self.log), *self.messages)

    @property
    def api(self) -> str:
        """The base URL for clients."""
        return self.url + "/v1"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for a raw socket."""
        host, _, port = self.url.partition("://")[2].rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def pid(self) -> int:
        return self.process.pid

    def terminate(self) -> None:
        """Send SIGTERM and return at once."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Stop the process as an operator would, and return its exit status."""
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.wait_for_exit()
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def wait_for_exit(self, within_s: float = 20.0) -> int:
        """Wait until the process has ended and its output is read."""
        status = self.process.wait(within_s)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        return status

    def kill(self) -> None:
        self.process.kill()
        self.wait_for_exit()

    def wait_for_log(self, within_s: float = PATIENCE_S, **fields: Any) -> Log:
        """Return the first line of the request log whose fields have these values, once it is written."""

        def found() -> Log | None:
            return next((line for line in self.log if all(line.get(k) == v for k, v in fields.items())), None)

        return self._wait(found, f"a log line with {fields}", within_s)

    async def logged(self, within_s: float = PATIENCE_S, **fields: Any) -> Log:
        """Do what `wait_for_log` does, in an event loop."""
        return await asyncio.to_thread(self.wait_for_log, within_s, **fields)

    def wait_for_message(self, part: str, within_s: float = PATIENCE_S) -> str:
        """Return the first line on standard error that contains `part`, once it is there."""
        return self._wait(lambda: next((m for m in self.messages if part in m), None), repr(part), within_s)

    def wait_for_messages(self, part: str, count: int, within_s: float = PATIENCE_S) -> None:
        """Wait until `count` lines on standard error contain `part`."""

        def found() -> bool | None:
            return sum(part in message for message in self.messages) >= count or None

        self._wait(found, f"{part!r}, {count} times", within_s)

    def get(self, path: str) -> bytes:
        """Return the body of an unauthenticated GET."""
        with urlopen(self.url + path, timeout=PATIENCE_S) as answer:  # noqa: S310  our own address
            body: bytes = answer.read()
            return body

    def metrics(self) -> dict[str, float]:
        """Return every sample of `/metrics`, by its name with labels as written there."""
        lines = self.get("/metrics").decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def wait_for_idle(self, in_flight: int = 1) -> None:
        """Wait until `/metrics` tells of no other request than the one that reads it."""
        wait_until(lambda: self.metrics()["tierway_in_flight"] == in_flight, "an idle gateway")

    def _announced_url(self) -> str | None:
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended with status {self.process.returncode}: {self.messages}")
        return next((found[1] for line in self.messages if (found := _URL.search(line))), None)

    def _wait(self, find: Callable[[], _Found | None], what: str, within_s: float) -> _Found:
        until = time.monotonic() + within_s
        with self._changed:
            while (found := find()) is None:
                if time.monotonic() >= until:
                    raise AssertionError(f"{what} did not come within {within_s:g} s; {self.log} {self.messages}")
                self._changed.wait(0.1)
            return found

    def _take_log(self, line: str) -> None:
        with self._changed:
            self.log.append(json.loads(line))
            self._changed.notify_all()

    def _take_message(self, line: str) -> None:
        with self._changed:
            self.messages.append(line)
            self._changed.notify_all()


def wait_until(holds: Callable[[], bool], what: str, within_s: float = PATIENCE_S) -> None:
    """Wait, looking again and again, until a condition holds that nothing announces."""
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, f"{what} did not come within {within_s:g} s"
        time.sleep(0.02)


def _follow(pipe: IO[bytes], take: Callable[[str], None]) -> None:
    with pipe:
        for line in pipe:
            take(line.decode().rstrip("\n"))


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIERWAY_", "OPENAI_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(more or {})}
