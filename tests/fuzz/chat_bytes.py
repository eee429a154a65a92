"""A byte-level fuzzer over POST /v1/chat/completions: no 5xx, no hang, no crash, no leak, whatever is sent.

`make fuzz` runs it. A case is a number: `--seed S --only N` sends one again and shows both sides of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.fuzz.mutations import BODY_LIMIT, KEY, Case, make_case, valid_request
from tests.support.live import LiveGateway

CASE_S: Final = 15.0
"""Seconds for one case, then it counts as a hang; the slowest sound one takes a tenth."""

BODY_TIMEOUT_S: Final = 0.4
"""How long the gateway under test waits for the rest of a body, and the fuzzer for an answer that may never come."""

RSS_SHARE: Final = 0.10
"""How much larger than after the warm-up the process may be at the end."""

WARM_UP_SHARE: Final = 0.5
"""Of the cases: the heap takes about 5,000 of them to reach its size, and stays there for 40,000 (measured)."""

_BELOW_THE_APP: Final = "invalid_http"
"""The code of what the HTTP server itself says to bytes that are no HTTP request."""

SETTINGS: Final[dict[str, Any]] = {
    "server": {"body_limit_mb": BODY_LIMIT / 2**20, "body_timeout_s": BODY_TIMEOUT_S, "drain_s": 1},
    "upstreams": {"offline": {"kind": "echo"}},
    "models": {"echo-simple": {"upstream": "offline"}, "echo-complex": {"upstream": "offline"}},
    "aliases": {"nick": "auto"},
    "router": {"tiers": {"simple": ["echo-simple"], "complex": ["echo-complex"]}, "default_tier": "simple"},
    "guard": {"limits": {"characters": 50_000, "messages": 50, "images": 3}},
    "cache": {"exact": True, "max_mb": 1},
    "organisation": {"teams": {"fuzz": {"keys": [{"name": "bytes", "secret": KEY.decode()}]}}},
}


class Answer(msgspec.Struct):
    """One answer as it came; `complete` tells whether its body ended as its framing said."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    complete: bool


class Report(msgspec.Struct):
    """What came of a run."""

    cases: int = 0
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    statuses: Counter[int] = msgspec.field(default_factory=Counter)
    below_the_app: int = 0
    violations: list[str] = msgspec.field(default_factory=list)
    rss_before_kb: int = 0
    rss_after_kb: int = 0
    seconds: float = 0.0

    def summary(self) -> str:
        """Return the run in one line."""
        statuses = ", ".join(f"{status} x {count}" for status, count in sorted(self.statuses.items()))
        growth = 100 * (self.rss_after_kb / self.rss_before_kb - 1) if self.rss_before_kb else 0.0
        return (
            f"fuzz: {self.cases} cases of {len(self.kinds)} kinds in {self.seconds:.0f} s; {statuses}; "
            f"{self.below_the_app} refused below the app; RSS {self.rss_before_kb / 1024:.1f} -> "
            f"{self.rss_after_kb / 1024:.1f} MB ({growth:+.1f} %); {len(self.violations)} violations"
        )


class Connection:
    """A client connection that reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: tuple[str, int]) -> Connection:
        """Connect."""
        return cls(*await asyncio.open_connection(*address, limit=2**22))

    async def send(self, data: bytes) -> None:
        """Send; a server that hangs up meanwhile is no error, as its answer may be there to read."""
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError:
            return

    async def answer(self) -> Answer | None:
        """Read one answer; None when the connection ended instead."""
        head = await self._head()
        while head is not None and head.startswith(b"HTTP/1.1 1"):  # an interim answer
            head = await self._head()
        if head is None:
            return None
        first, *lines = head.split(b"\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(b":") for line in lines if line)}
        body, complete = await self._body(headers)
        return Answer(int(first.split(b" ")[1]), headers, body, complete)

    async def _head(self) -> bytes | None:
        try:
            return await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def _body(self, headers: dict[bytes, bytes]) -> tuple[bytes, bool]:
        pieces: list[bytes] = []
        try:
            if headers.get(b"transfer-encoding") == b"chunked":
                while size := int(await self._reader.readuntil(b"\r\n"), 16):
                    pieces.append((await self._reader.readexactly(size + 2))[:-2])
                await self._reader.readexactly(2)
            elif b"content-length" in headers:
                pieces.append(await self._reader.readexactly(int(headers[b"content-length"])))
            else:
                pieces.append(await self._reader.read(-1))
        except (asyncio.IncompleteReadError, ConnectionError):
            return b"".join(pieces), False
        return b"".join(pieces), True

    async def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return


def fault_of(answer: Answer, case: Case) -> str | None:  # noqa: PLR0911  one return a rule
    """Tell what is wrong with one answer, if anything."""
    if answer.status >= 500:
        return f"status {answer.status}: {answer.body[:200]!r}"
    if not answer.complete:
        return f"status {answer.status} with a body that ended early"
    if case.framed and _code_of(answer) == _BELOW_THE_APP:
        return "sound framing was refused below the app"
    if b"x-request-id" not in answer.headers:
        return f"status {answer.status} without x-request-id"
    if answer.status >= 400:
        return _fault_of_error(answer)
    if answer.status == 200 and answer.headers.get(b"content-type", b"").startswith(b"text/event-stream"):
        return _fault_of_stream(answer.body)
    if answer.status == 200:
        return None if isinstance(_json(answer.body), dict) else f"200 with {answer.body[:200]!r}"
    return None if answer.status == 204 else f"status {answer.status}"


def _fault_of_error(answer: Answer) -> str | None:
    """Hold an error against OpenAI's shape: `message` and `type` are text, `param` and `code` text or null."""
    document = _json(answer.body)
    error = document.get("error") if isinstance(document, dict) else None
    shown = f"status {answer.status} with {answer.body[:200]!r}"
    if answer.headers.get(b"content-type") != b"application/json" or not isinstance(error, dict):
        return shown
    text = all(isinstance(error.get(name), str) and error[name] for name in ("message", "type"))
    nullable = all(name in error and isinstance(error[name], str | None) for name in ("param", "code"))
    return None if text and nullable and error.get("source") == "gateway" else shown


def _fault_of_stream(body: bytes) -> str | None:
    *events, rest = body.split(b"\n\n")
    payloads = [event.removeprefix(b"data: ") for event in events]
    if rest or not events or not all(event.startswith(b"data: ") for event in events) or payloads[-1] != b"[DONE]":
        return f"a stream that ends with {body[-200:]!r}"
    documents = [_json(payload) for payload in payloads[:-1]]
    if not all(isinstance(d, dict) and d.get("object") == "chat.completion.chunk" for d in documents):
        return f"a stream with an odd chunk: {body[:200]!r}"
    return None


def _code_of(answer: Answer) -> Any:
    document = _json(answer.body) if answer.status == 400 else None
    error = document.get("error") if isinstance(document, dict) else None
    return error.get("code") if isinstance(error, dict) else None


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


class Fuzzer:
    """Sends cases to one gateway over several connections.

    Args:
        gateway: the one under test.
        seed: of the cases.
    """

    def __init__(self, gateway: LiveGateway, seed: int) -> None:
        self._gateway = gateway
        self._seed = seed
        self.report = Report()

    async def run(self, numbers: Sequence[int], connections: int) -> None:
        """Send the cases of these numbers."""
        waiting = iter(numbers)
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(self._work(waiting))

    async def _work(self, waiting: Any) -> None:
        """Send cases one after another, on one connection for as long as it stays sound."""
        kept: Connection | None = None
        for number in waiting:
            if self._gateway.process.poll() is not None:
                self._blame(number, "any", "the process is gone")
                return
            case = make_case(self._seed, number)
            if not case.framed and kept is not None:
                await kept.close()
                kept = None
            connection, kept = kept or await Connection.open(self._gateway.address), None
            goes_on = False
            try:
                async with asyncio.timeout(CASE_S):
                    goes_on = await self._send(number, case, connection)
            except TimeoutError:
                self._blame(number, case.kind, f"no answer within {CASE_S:g} s", case.data)
            except (ValueError, ConnectionError) as error:
                self._blame(number, case.kind, f"{type(error).__name__}: {error}", case.data)
            self.report.cases += 1
            self.report.kinds[case.kind] += 1
            if goes_on:
                kept = connection
            else:
                await connection.close()
        if kept is not None:
            await kept.close()

    async def _send(self, number: int, case: Case, connection: Connection) -> bool:
        """Send one case, judge every answer to it, and tell whether the connection may be used again."""
        sending = asyncio.create_task(connection.send(case.data))
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
                self._blame(number, case.kind, f"the connection ended before answer {position + 1}", case.data)
                return False
            self._judge(number, case, answer)
            if answer.headers.get(b"connection") == b"close":
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
        self.report.below_the_app += _code_of(answer) == _BELOW_THE_APP
        fault = fault_of(answer, case)
        if case.kind == "unchanged" and answer.status != 200:
            fault = fault or f"a valid request was answered with {answer.status}: {answer.body[:200]!r}"
        if fault is not None:
            self._blame(number, case.kind, fault, case.data)

    def _blame(self, number: int, kind: str, fault: str, data: bytes = b"") -> None:
        self.report.violations.append(f"case {number} ({kind}): {fault}; sent {data[:300]!r}")

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
        for line in gateway.messages:
            if " ERROR " in line or line.startswith("Traceback"):
                blame(f"on standard error: {line}")


def fuzz(folder: Path, *, seed: int, cases: int, connections: int, progress: bool = False) -> Report:
    """Start a gateway in `folder` and send it `cases` cases; memory is compared after the warm-up and at the end."""
    with LiveGateway(folder, SETTINGS) as gateway:
        fuzzer = Fuzzer(gateway, seed)
        started = time.monotonic()
        asyncio.run(_run(fuzzer, gateway, cases, connections, progress=progress))
        fuzzer.report.seconds = time.monotonic() - started
    return fuzzer.report


async def _run(fuzzer: Fuzzer, gateway: LiveGateway, cases: int, connections: int, *, progress: bool) -> None:
    report = fuzzer.report
    warm_up = int(cases * WARM_UP_SHARE)
    step = max(cases // 20, 1)
    for first in range(0, cases, step):
        if report.rss_before_kb == 0 and first >= warm_up:
            report.rss_before_kb = rss_kb(gateway.pid)
        await fuzzer.run(range(first, min(first + step, cases)), connections)
        if progress:
            memory = f"RSS {rss_kb(gateway.pid) / 1024:.1f} MB" if gateway.process.poll() is None else "gone"
            done = f"fuzz: {report.cases} of {cases}, {len(report.violations)} violations, {memory}"
            print(done, file=sys.stderr)
    await fuzzer.check_the_end()
    if gateway.process.poll() is None:
        report.rss_after_kb = rss_kb(gateway.pid)
        if report.rss_after_kb > report.rss_before_kb * (1 + RSS_SHARE):
            report.violations.append(f"RSS grew from {report.rss_before_kb} to {report.rss_after_kb} KB")


def rss_kb(pid: int) -> int:
    """Return the resident set of a process in kilobytes, on Linux and macOS."""
    return int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True).stdout)  # noqa: S607


def main() -> int:
    """Fuzz; exit 1 on a violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--only", type=int, help="send this one case and show it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.only is not None:
            return _show(Path(folder), arguments.seed, arguments.only)
        report = fuzz(
            Path(folder),
            seed=arguments.seed,
            cases=arguments.cases,
            connections=arguments.connections,
            progress=True,
        )
    for violation in report.violations[:50]:
        print(violation, file=sys.stderr)
    print(report.summary(), f"(seed {arguments.seed})")
    return 1 if report.violations else 0


def _show(folder: Path, seed: int, number: int) -> int:
    case = make_case(seed, number)
    print(f"{case.kind}, {len(case.data)} bytes:\n{case.data[:2000]!r}")

    async def send(gateway: LiveGateway) -> None:
        connection = await Connection.open(gateway.address)
        await connection.send(case.data)
        for _ in range(max(case.answers, 1)):
            print(await asyncio.wait_for(connection.answer(), CASE_S))

    with LiveGateway(folder, SETTINGS) as gateway:
        asyncio.run(send(gateway))
    return 0


if __name__ == "__main__":
    sys.exit(main())
