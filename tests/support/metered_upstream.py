"""A provider whose every request says how it is to be answered and at what usage, and the callers who ask it so.

Both run in one event loop, so that a race of a thousand callers needs no process besides the gateway's, and what the
provider says it generated can be compared with what the gateway recorded.
"""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

from tests.support.admin_client import parsed

INPUT_MICROUSD: Final = 1
OUTPUT_MICROUSD: Final = 2
"""What a token costs: 1 and 2 US dollars a million."""

PRICE: Final = {"input": 1.0, "output": 2.0}

MAX_TOKENS: Final = 50
BODY_BYTES: Final = 500
"""Every request is as long, so that every ceiling is the same."""

CEILING: Final = BODY_BYTES * INPUT_MICROUSD + MAX_TOKENS * OUTPUT_MICROUSD
"""Micro-dollars held for each request: a token is a byte of its body at least, and the answer as long as it may be."""

Fault = Literal["", "error", "garbage", "silent", "cut", "cut_stream"]
"""What the provider does instead of answering: 500; an HTML page; nothing; the end of the connection before the first
byte; or in the middle of a stream."""

Leave = Literal["", "at_once", "before", "mid"]
"""When the caller leaves: as soon as it has asked, some time before the answer, after the first piece of a stream."""

PATIENCE_S: Final = 60.0
_DEADLINE_MS: Final = 400
"""What callers allow whose provider stays silent."""

_TEXT: Final = "word"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How one request is to go.

    Attributes:
        id: of the request, and of its record.
        prompt_tokens, completion_tokens: what the provider will report.
        answer_s, gap_s: seconds before the answer, and between the pieces of a stream.
        leave_s: seconds after which the caller leaves, for `before`.
    """

    id: str
    stream: bool = False
    prompt_tokens: int = 20
    completion_tokens: int = 10
    fault: Fault = ""
    leave: Leave = ""
    answer_s: float = 0.0
    gap_s: float = 0.0
    leave_s: float = 0.0

    @property
    def cost(self) -> int:
        """Micro-dollars of the answer, if it comes whole."""
        return self.prompt_tokens * INPUT_MICROUSD + self.completion_tokens * OUTPUT_MICROUSD


class Outcome(msgspec.Struct):
    """What a caller saw of one request.

    Attributes:
        status: of the answer; 0 when none came.
        is_whole: whether its last byte was received, and a stream had no error in it.
        left_microusd: what the answer said was left of the tightest budget; None where it said nothing.
    """

    plan: Plan
    status: int = 0
    is_whole: bool = False
    left_microusd: int | None = None

    @property
    def is_answer(self) -> bool:
        """Whether the provider's own answer arrived whole."""
        return self.status == 200 and self.is_whole


class MeteredUpstream:
    """The provider. Use as an asynchronous context manager.

    Attributes:
        said: what it reported for each request whose usage it sent, by id: micro-dollars.
        waiting: how many requests wait for the gate.
        gate: closed, nobody is answered.
    """

    def __init__(self) -> None:
        self.said: dict[str, int] = {}
        self.waiting = self.port = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while True:
                document = json.loads(await _body(reader))
                if not await self._answer(msgspec.convert(json.loads(_prompt(document)), Plan), writer):
                    return
                await writer.drain()
        except (OSError, EOFError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            writer.transport.abort()

    async def _answer(self, plan: Plan, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection is to end."""
        self.waiting += 1
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        await asyncio.sleep(plan.answer_s)
        if plan.fault == "error":
            writer.write(_plain(b'{"error": {"message": "broken"}}', b"500 Broken"))
            return True
        if plan.fault == "garbage":
            writer.write(_plain(b"<html>garbage</html>", b"200 OK"))
            return True
        if plan.fault == "silent":
            await asyncio.sleep(PATIENCE_S)
        if plan.fault in ("cut", "silent"):
            return False
        usage = _usage(plan)
        if not plan.stream:
            self.said[plan.id] = plan.cost
            writer.write(_plain(json.dumps(_completion(plan, usage)).encode(), b"200 OK"))
            return True
        return await self._stream(plan, usage, writer)

    async def _stream(self, plan: Plan, usage: dict[str, int], writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        tokens = min(plan.completion_tokens, MAX_TOKENS)
        for number in range(tokens):
            writer.write(_event(_chunk(_TEXT)))
            await writer.drain()
            await asyncio.sleep(plan.gap_s)
            if writer.transport.is_closing():
                return False
            if plan.fault == "cut_stream" and number >= tokens // 2:
                return False
        if plan.fault == "cut_stream":
            return False
        self.said[plan.id] = plan.cost
        writer.write(_event(_chunk(None, "stop")))
        writer.write(_event({**_chunk(None), "choices": [], "usage": usage}))
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        return True


async def ask(address: tuple[str, int], key: str, plan: Plan) -> Outcome:
    """Ask a gateway once, on a connection of its own, and leave when the plan says so."""
    outcome = Outcome(plan)
    try:
        reader, writer = await asyncio.open_connection(*address)
    except OSError:
        return outcome
    try:
        writer.write(_request(key, plan))
        async with asyncio.timeout(PATIENCE_S):
            await _read(reader, outcome)
    except (OSError, EOFError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.transport.abort()
    return outcome


async def _read(reader: asyncio.StreamReader, outcome: Outcome) -> None:
    plan = outcome.plan
    if plan.leave == "at_once":
        await asyncio.sleep(0)
        return
    if plan.leave == "before":
        try:
            async with asyncio.timeout(plan.leave_s):
                head = await reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            return
    else:
        head = await reader.readuntil(b"\r\n\r\n")
    outcome.status, headers = parsed(head)
    if "x-tierway-budget" in headers:
        outcome.left_microusd = round(float(headers["x-tierway-budget"].split(";")[2]) * 1_000_000)
    length = headers.get("content-length")
    if length is not None:
        await reader.readexactly(int(length))
        outcome.is_whole = True
        return
    content = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        content = await reader.readexactly(size + 2)
        if plan.leave == "mid":
            return
    await reader.readexactly(2)
    outcome.is_whole = b"[DONE]" in content


def _request(key: str, plan: Plan) -> bytes:
    message = {"role": "user", "content": msgspec.json.encode(plan).decode()}
    document = {"model": "metered", "stream": plan.stream, "max_tokens": MAX_TOKENS, "messages": [message]}
    message["content"] += " " * (BODY_BYTES - len(json.dumps(document)))
    body = json.dumps(document).encode()
    assert len(body) == BODY_BYTES, len(body)
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: race.test",
        f"authorization: Bearer {key}",
        f"x-request-id: {plan.id}",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    if plan.fault == "silent":
        lines.append(f"x-tierway-timeout-ms: {_DEADLINE_MS}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _body(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    return await reader.readexactly(int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]))


def _prompt(document: dict[str, list[dict[str, str]]]) -> str:
    return document["messages"][0]["content"]


def _usage(plan: Plan) -> dict[str, int]:
    prompt, completion = plan.prompt_tokens, plan.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _plain(body: bytes, status: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
    return head + body


def _completion(plan: Plan, usage: dict[str, int]) -> dict[str, object]:
    message = {"role": "assistant", "content": _TEXT * min(plan.completion_tokens, MAX_TOKENS), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": usage}


def _chunk(content: str | None, finish: str | None = None) -> dict[str, object]:
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**_HEAD, "object": "chat.completion.chunk", "choices": [choice]}


def _event(document: dict[str, object]) -> bytes:
    payload = b"data: %b\n\n" % json.dumps(document).encode()
    return b"%x\r\n%b\r\n" % (len(payload), payload)


_HEAD: Final = {"id": "chatcmpl-metered", "created": 1_700_000_000, "model": "metered-1"}
