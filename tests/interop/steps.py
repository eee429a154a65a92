"""What every journey in Python has in common: its settings, its steps, and the lines it prints."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import time
import traceback
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, Final

IMAGE: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel, in base64."""

IMAGE_URL: Final = f"data:image/png;base64,{IMAGE}"

WEATHER_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}

_Step = Callable[[], Any]


class Journey:
    """The steps of one client; what they need comes from the environment.

    Attributes:
        origin: `INTEROP_URL`, the gateway's address without `/v1`.
        api: the same with `/v1`.
        key: `INTEROP_KEY`.
        model: `INTEROP_MODEL`.
        upstream: `INTEROP_UPSTREAM`, `full`, `chat` or `claude`: what answers behind the model.
        embeddings_model: `INTEROP_EMBEDDINGS_MODEL`; empty where the upstream has none, and its steps are left out.
    """

    def __init__(self) -> None:
        self.origin = os.environ["INTEROP_URL"].rstrip("/")
        self.api = self.origin + "/v1"
        self.key = os.environ["INTEROP_KEY"]
        self.model = os.environ["INTEROP_MODEL"]
        self.upstream = os.environ.get("INTEROP_UPSTREAM", "")
        self.embeddings_model = os.environ.get("INTEROP_EMBEDDINGS_MODEL", "")
        self._routes = set(filter(None, os.environ.get("INTEROP_ROUTES", "").split(",")))
        self._steps: list[tuple[str, _Step]] = []

    def step(self, name: str, route: str) -> Callable[[_Step], _Step]:
        """Add a step, unless `INTEROP_ROUTES` or the upstream leaves its route out."""
        offered = bool(self.embeddings_model) or route not in {"embeddings", "completions"}
        wanted = offered and (not self._routes or route in self._routes)

        def add(body: _Step) -> _Step:
            if wanted:
                self._steps.append((f"{route}: {name}", body))
            return body

        return add

    def run(self) -> int:
        """Run every step, print a JSON line for each; return 1 when one failed."""
        failures = 0
        with asyncio.Runner() as runner:
            for name, body in self._steps:
                detail = _problem(body, runner)
                failures += detail != ""
                print(json.dumps({"step": name, "ok": not detail, "detail": detail}), flush=True)  # noqa: T201  the report
        return min(failures, 1)


def _problem(body: _Step, runner: asyncio.Runner) -> str:
    """Run a step; return what went wrong, or nothing."""
    try:
        result = body()
        if inspect.iscoroutine(result):
            runner.run(result)
    except Exception as error:  # noqa: BLE001  the next steps must run as well
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith("journey.py")]
        where = f"line {own[-1].lineno}: {own[-1].line} -> " if own else ""
        return f"{where}{type(error).__name__}: {error}"[:1500]
    return ""


def says(answer: str | None, *parts: str) -> None:
    """Fail unless an answer contains every part."""
    for part in parts:
        assert answer is not None, f"no answer that could say {part!r}"
        assert part in answer, f"{part!r} is not in {answer!r}"


def equals(found: object, wanted: object) -> None:
    """Fail with both values unless they are equal."""
    assert found == wanted, f"{found!r} is not {wanted!r}"


def raises(kind: type[Exception], call: Callable[[], object]) -> Any:
    """Return the error of that class that a call ends in; fail when it ends in anything else."""
    try:
        result = call()
    except kind as error:
        return error
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} instead of {kind.__name__}: {error}") from error
    raise AssertionError(f"no {kind.__name__} but {result!r}")


def marker() -> str:
    """Return a word that the upstream knows a stream by."""
    return f"marker-{uuid.uuid4().hex[:12]}"


async def told_cut_async(name: str, ask: Callable[[str], Coroutine[Any, Any, str]]) -> None:
    """Do what `told_cut` does, in an event loop."""
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(told_cut, name, lambda words: asyncio.run_coroutine_threadsafe(ask(words), loop).result())


def told_cut(name: str, ask: Callable[[str], str | None]) -> None:
    """Fail unless the upstream says within three seconds that the stream of that marker lost its reader."""
    until = time.monotonic() + 3.0
    while True:
        answer = ask(f"Was it {time.monotonic_ns()}, and was {name} cut?")
        if answer and "cut: yes" in answer:
            return
        assert time.monotonic() < until, f"the upstream was not told: {answer!r}"
        time.sleep(0.1)
