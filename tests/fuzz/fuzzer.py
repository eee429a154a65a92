"""Sends cases to a gateway and judges what comes back."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.fuzz.bodies import BODY_LIMIT
from tests.fuzz.client import Answer, Connection
from tests.fuzz.mutations import Case, make_answered_case, make_case, valid_request
from tests.fuzz.provider import Provider
from tests.fuzz.seeds import ADMIN_KEY, CONVERSED, KEY, PLAIN_KEY, STORED_ID
from tests.fuzz.verdict import fault_of, is_below_the_app
from tests.support.live import LiveGateway

CASE_S: Final = 15.0
"""Seconds for one case, then it counts as a hang; the slowest sound one takes a tenth."""

BODY_TIMEOUT_S: Final = 0.4
"""How long the gateway under test waits for the rest of a body, and the fuzzer for an answer that may never come."""

UPSTREAM_TIMEOUT_S: Final = 0.5
"""How long it waits for an upstream that says nothing."""

RSS_SHARE: Final = 0.10
"""How much larger than after the warm-up the process may be at the end."""

WARM_UP_SHARE: Final = 0.5
"""Of the cases: the heap takes about 5,000 of them to reach its size, and stays there for 40,000 (measured)."""

Maker = Callable[[int, int], Case]
"""From seed and number to a case."""

MODES: Final[dict[str, Maker]] = {"requests": make_case, "answers": make_answered_case}
"""What is hostile: the requests of callers, or the answers of upstreams."""


def settings(provider_url: str, *, is_cached: bool, relays: bool = True) -> dict[str, Any]:
    """Return the settings of the gateway under test: an upstream for each way through the translators.

    Args:
        provider_url: where all of them but the echo are.
        is_cached: whether answers are kept.
        relays: whether the relayed endpoints have an upstream.
    """
    timeouts = {"connect_s": 2.0, "first_byte_s": UPSTREAM_TIMEOUT_S, "idle_s": UPSTREAM_TIMEOUT_S, "total_s": 5.0}
    openai = {"kind": "openai", "base_url": provider_url + "/v1", "timeouts": timeouts}
    keys = {"name": "bytes", "secret": KEY.decode()}
    upstreams = {
        "echo": {"kind": "echo"},
        "openai": openai,
        "chat": {**openai, "features": ["chat"]},
        "responses": {**openai, "features": ["responses"]},
        "messages": {"kind": "anthropic", "base_url": provider_url, "timeouts": timeouts},
    }
    named = {"echo-simple": "echo", "echo-complex": "echo"}
    named |= {model: upstream for model, upstream in CONVERSED.items() if model.startswith("by-")}
    return {
        "server": {
            "body_limit_mb": BODY_LIMIT / 2**20,
            "body_timeout_s": BODY_TIMEOUT_S,
            "drain_s": 1,
            "admin_key": ADMIN_KEY.decode(),
        },
        "upstreams": upstreams,
        "relay": {"upstream": "openai" if relays else None},
        "models": {name: {"upstream": upstream} for name, upstream in named.items()},
        "aliases": {"nick": "auto"},
        "router": {
            "breaker": None,
            "retries": {"attempts": 0},
            "tiers": {"simple": ["echo-simple"], "complex": ["echo-complex"]},
            "default_tier": "simple",
        },
        "guard": {"limits": {"characters": 50_000, "messages": 50, "images": 3}},
        "cache": {"exact": is_cached, "max_mb": 1},
        "organisation": {
            "endpoints": ["*"],
            "teams": {
                "fuzz": {"keys": [keys]},
                "plain": {"endpoints": [], "keys": [{"name": "plain", "secret": PLAIN_KEY.decode()}]},
            },
        },
    }


class Report(msgspec.Struct):
    """What came of a run."""

    mode: str = "requests"
    cases: int = 0
    names: Counter[str] = msgspec.field(default_factory=Counter)
    statuses: Counter[int] = msgspec.field(default_factory=Counter)
    below_the_app: int = 0
    upstream_calls: int = 0
    violations: list[str] = msgspec.field(default_factory=list)
    rss_before_kb: int = 0
    rss_after_kb: int = 0
    seconds: float = 0.0

    def summary(self) -> str:
        """Return the run in one line."""
        statuses = ", ".join(f"{status} x {count}" for status, count in sorted(self.statuses.items()))
        growth = 100 * (self.rss_after_kb / self.rss_before_kb - 1) if self.rss_before_kb else 0.0
        return (
            f"fuzz {self.mode}: {self.cases} cases of {len(self.names)} kinds in {self.seconds:.0f} s; {statuses}; "
            f"{self.below_the_app} refused below the app; {self.upstream_calls} upstream calls; "
            f"RSS {self.rss_before_kb / 1024:.1f} -> "
            f"{self.rss_after_kb / 1024:.1f} MB ({growth:+.1f} %); {len(self.violations)} violations"
        )


class Fuzzer:
    """Sends cases to one gateway over several connections.

    Args:
        gateway: the one under test.
        mode: what is hostile.
        seed: of the cases.
    """

    def __init__(self, gateway: LiveGateway, mode: str, seed: int) -> None:
        self._gateway = gateway
        self._make = MODES[mode]
        self._seed = seed
        self._stored_id = STORED_ID.encode()
        self.report = Report(mode=mode)

    async def run(self, numbers: Sequence[int], connections: int) -> None:
        """Send the cases of these numbers."""
        waiting = iter(numbers)
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(self._work(waiting))

    async def _work(self, waiting: Iterator[int]) -> None:
        """Send cases one after another, on one connection for as long as it stays sound."""
        kept: Connection | None = None
        for number in waiting:
            if self._gateway.process.poll() is not None:
                self._blame(number, "any", "the process is gone")
                return
            case = self._make(self._seed, number)
            if not case.framed and kept is not None:
                await kept.close()
                kept = None
            connection, kept = kept or await Connection.open(self._gateway.address), None
            goes_on = False
            try:
                async with asyncio.timeout(CASE_S):
                    goes_on = await self._send(number, case, connection)
            except TimeoutError:
                self._blame(number, case.name, f"no answer within {CASE_S:g} s", case.data)
            except (ValueError, ConnectionError) as error:
                self._blame(number, case.name, f"{type(error).__name__}: {error}", case.data)
            self.report.cases += 1
            self.report.names[case.name] += 1
            if goes_on:
                kept = connection
            else:
                await connection.close()
        if kept is not None:
            await kept.close()

    async def _send(self, number: int, case: Case, connection: Connection) -> bool:
        """Send one case, judge every answer to it, and tell whether the connection may be used again."""
        data = case.data.replace(STORED_ID.encode(), self._stored_id)
        sending = asyncio.create_task(connection.send(data))
        try:
            if case.framed:
                return await self._take_all(number, case, connection)
            await self._take_what_comes(number, case, connection)
            return False
        finally:
            sending.cancel()

    async def _take_all(self, number: int, case: Case, connection: Connection) -> bool:
        for position in range(case.answers):
            answer = await connection.answer()
            if answer is None:
                self._blame(number, case.name, f"the connection ended before answer {position + 1}", case.data)
                return False
            self._judge(number, case, answer)
            if answer.headers.get(b"connection") == b"close" or not answer.complete or case.is_answered_badly:
                return False
        return True

    async def _take_what_comes(self, number: int, case: Case, connection: Connection) -> None:
        """Take one answer if there is one: a request that never becomes complete gets none."""
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S + 0.6):
                answer = await connection.answer()
        except TimeoutError:
            return
        if answer is not None:
            self._judge(number, case, answer)

    def _judge(self, number: int, case: Case, answer: Answer) -> None:
        self.report.statuses[answer.status] += 1
        self.report.below_the_app += is_below_the_app(answer)
        if case.kind == "responses" and answer.status == 200 and answer.body.startswith(b'{"id":"resp_'):
            made = answer.body[7:].partition(b'"')[0]
            if len(made) == len(STORED_ID):
                self._stored_id = made
        if (fault := fault_of(answer, case)) is not None:
            self._blame(number, case.name, fault, case.data)

    def _blame(self, number: int, name: str, fault: str, data: bytes = b"") -> None:
        self.report.violations.append(f"{self.report.mode} case {number} ({name}): {fault}; sent {data[:600]!r}")

    async def check_the_end(self) -> None:
        """See that nothing is left in flight, the log still runs, and the process reported no failure of its own."""
        gateway, blame = self._gateway, self.report.violations.append
        if (status := gateway.process.poll()) is not None:
            blame(f"the process ended with status {status}")
            return
        connection = await Connection.open(gateway.address)
        request = valid_request(random.Random(0)).replace(b"host:", b"x-request-id: the-last-one\r\nhost:")  # noqa: S311
        await connection.send(request)
        answer = await asyncio.wait_for(connection.answer(), CASE_S)
        if answer is None or answer.status != 200:
            blame(f"a valid request at the end was answered with {answer}")
        await connection.close()
        for check in (gateway.wait_for_idle, lambda: gateway.wait_for_log(request_id="the-last-one")):
            try:
                await asyncio.to_thread(check)
            except AssertionError as error:
                blame(f"at the end: {str(error)[:300]}")


def fuzz(folder: Path, mode: str, *, seed: int, cases: int, connections: int, progress: bool = False) -> Report:
    """Start a gateway in `folder` and send it `cases` cases; memory is compared after the warm-up and at the end."""
    provider = Provider(seed)
    gateway = LiveGateway(folder, settings(provider.url, is_cached=mode == "requests"))
    fuzzer = Fuzzer(gateway, mode, seed)
    report = fuzzer.report
    try:
        with gateway:
            started = time.monotonic()
            asyncio.run(_run(fuzzer, gateway, provider, cases, connections, progress=progress))
            report.seconds = time.monotonic() - started
    except AssertionError:
        report.violations += ["in the gateway:\n" + told for told in _tracebacks(gateway.messages)]
    report.upstream_calls = provider.requests
    return report


def _tracebacks(messages: Sequence[str]) -> list[str]:
    """Return the different faults that a gateway told of: the last frames of each traceback."""
    found: dict[str, None] = {}
    for start, message in enumerate(messages):
        if message.startswith("Traceback"):
            lines = list(itertools.takewhile(lambda line: line.startswith(" "), messages[start + 1 :]))
            end = start + 1 + len(lines)
            found["\n".join([*lines[-6:], *messages[end : end + 1]])] = None
    return list(found) or [message for message in messages if "ERROR" in message or "Warning" in message]


async def _run(
    fuzzer: Fuzzer, gateway: LiveGateway, provider: Provider, cases: int, connections: int, *, progress: bool
) -> None:
    report = fuzzer.report
    warm_up = int(cases * WARM_UP_SHARE)
    step = max(cases // 20, 1)
    async with provider:
        for first in range(0, cases, step):
            if report.rss_before_kb == 0 and first >= warm_up:
                report.rss_before_kb = rss_kb(gateway.pid)
            await fuzzer.run(range(first, min(first + step, cases)), connections)
            if progress:
                memory = f"RSS {rss_kb(gateway.pid) / 1024:.1f} MB" if gateway.process.poll() is None else "gone"
                done = f"fuzz {report.mode}: {report.cases} of {cases}, {len(report.violations)} violations, {memory}"
                print(done, file=sys.stderr)
        await fuzzer.check_the_end()
    if gateway.process.poll() is None:
        report.rss_after_kb = rss_kb(gateway.pid)
        if report.rss_after_kb > report.rss_before_kb * (1 + RSS_SHARE):
            report.violations.append(f"RSS grew from {report.rss_before_kb} to {report.rss_after_kb} KB")


def rss_kb(pid: int) -> int:
    """Return the resident set of a process in kilobytes, on Linux and macOS."""
    return int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True).stdout)  # noqa: S607


def show(folder: Path, mode: str, seed: int, number: int) -> None:
    """Send one case and print both sides of it, and what the gateway says of it."""
    case = MODES[mode](seed, number)
    print(f"{case.name}, {len(case.data)} bytes:\n{case.data[:4000]!r}")
    provider = Provider(seed)

    async def send(gateway: LiveGateway) -> None:
        async with provider:
            connection = await Connection.open(gateway.address)
            await connection.send(case.data)
            for _ in range(max(case.answers, 1)):
                answer = await asyncio.wait_for(connection.answer(), CASE_S)
                print(answer)
                print("verdict:", None if answer is None else fault_of(answer, case))

    with LiveGateway(folder, settings(provider.url, is_cached=mode == "requests")) as gateway:
        asyncio.run(send(gateway))
        messages = list(gateway.messages)
    print("\n".join(messages), file=sys.stderr)
    print(json.dumps(gateway.log[-1:]), file=sys.stderr)
