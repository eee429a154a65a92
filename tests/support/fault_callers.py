"""Callers who ask a gateway again and again, and tell whole answers from broken ones."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from tests.support.admin_client import parsed
from tests.support.faulty_answers import Fault, text_of
from tests.support.faulty_upstream import MARK, POISON

PATIENCE_S: Final = 30.0
"""Seconds after which a request counts as never answered; far more than any of them may take."""

_MODEL: Final = "auto"


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    Attributes:
        id: of the request, and of its line in the log.
        key: of the caller.
        poison: the fault that every model has with it.
        deadline_ms: how long it may take, 0 for as long as is usual.
    """

    id: str
    key: str
    is_stream: bool = False
    poison: Fault | Literal[""] = ""
    deadline_ms: int = 0


class Outcome(msgspec.Struct):
    """What a caller saw of one request.

    Attributes:
        status: of the answer; 0 when none came.
        end: how it ended. `whole`: the answer of one model, complete and unmixed; `broken`: a stream that an error
            event ended after some of the answer, and no `[DONE]`; `refused`: an error with its object; `wrong`:
            anything else.
        code: of the error.
        retry_after: the header.
        seconds: until the last byte.
    """

    ask: Ask
    status: int = 0
    end: Literal["whole", "broken", "refused", "wrong"] = "wrong"
    code: str = ""
    retry_after: str = ""
    seconds: float = 0.0
    seen: bytes = b""


async def ask_all(address: tuple[str, int], asks: Iterator[Ask], concurrency: int) -> list[Outcome]:
    """Make these requests, so many at once, each caller on a connection that it keeps."""

    async def call() -> list[Outcome]:
        caller = Caller(address)
        try:
            return [await caller.ask(ask) for ask in asks]
        finally:
            caller.hang_up()

    return [outcome for found in await asyncio.gather(*(call() for _ in range(concurrency))) for outcome in found]


class Caller:
    """One connection to a gateway, made anew where it has ended."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, ask: Ask) -> Outcome:
        """Make one request."""
        outcome = Outcome(ask)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._exchange(outcome)
        except (OSError, EOFError, TimeoutError):
            self.hang_up()
        outcome.seconds = time.perf_counter() - began
        return outcome

    def hang_up(self) -> None:
        """End the connection."""
        if self._stream is not None:
            self._stream[1].transport.abort()
            self._stream = None

    async def _exchange(self, outcome: Outcome) -> None:
        if self._stream is None or self._stream[0].at_eof():
            self.hang_up()
            self._stream = await asyncio.open_connection(*self._address)
        reader, writer = self._stream
        writer.write(_request(outcome.ask))
        outcome.status, headers = parsed(await reader.readuntil(b"\r\n\r\n"))
        outcome.retry_after = headers.get("retry-after", "")
        length = headers.get("content-length")
        if length is not None:
            _judge_plain(outcome, await reader.readexactly(int(length)))
        else:
            is_complete, body = await _chunks(reader)
            _judge_stream(outcome, body, is_complete=is_complete)
        if outcome.end not in ("whole", "refused") or headers.get("connection") == "close":
            self.hang_up()


async def _chunks(reader: asyncio.StreamReader) -> tuple[bool, bytes]:
    """Return whether a chunked body ended well, and the body."""
    pieces: list[bytes] = []
    try:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            pieces.append((await reader.readexactly(size + 2))[:-2])
        await reader.readexactly(2)
    except (OSError, EOFError):
        return False, b"".join(pieces)
    return True, b"".join(pieces)


def _judge_plain(outcome: Outcome, body: bytes) -> None:
    outcome.seen = body
    document = _document(body)
    if outcome.status != 200:
        error = document.get("error")
        if isinstance(error, dict) and error.get("message"):
            outcome.code, outcome.end = str(error.get("code")), "refused"
    elif not outcome.ask.is_stream:
        message = {"role": "assistant", "content": text_of(str(document.get("model"))), "refusal": None}
        if [choice.get("message") for choice in _choices(document)] == [message]:
            outcome.end = "whole"


def _judge_stream(outcome: Outcome, body: bytes, *, is_complete: bool) -> None:
    outcome.seen = body
    *frames, rest = body.split(b"\n\n")
    if outcome.status != 200 or rest or not frames or any(not frame.startswith(b"data: ") for frame in frames):
        return
    payloads = [frame.removeprefix(b"data: ") for frame in frames]
    documents = [_document(payload) for payload in payloads]
    names = {str(document["model"]) for document in documents if "model" in document}
    text = "".join(map(_delta, documents))
    if len(names) != 1 or not (expected := text_of(*names)).startswith(text):
        return
    if "error" in documents[-1]:
        outcome.code = str(documents[-1]["error"].get("code"))
        outcome.end = "wrong" if b"[DONE]" in payloads else "broken"
    elif is_complete and payloads[-1] == b"[DONE]" and text == expected:
        outcome.end = "whole"


def _document(payload: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _delta(document: dict[str, Any]) -> str:
    return "".join((choice.get("delta") or {}).get("content") or "" for choice in _choices(document))


def _choices(document: dict[str, Any]) -> list[dict[str, Any]]:
    choices = document.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def _request(ask: Ask) -> bytes:
    content = f"Please say a few words. {MARK.decode()}{ask.id};"
    if ask.poison:
        content += f" {POISON.decode()}{ask.poison};"
    document: dict[str, Any] = {"model": _MODEL, "max_tokens": 20, "messages": [{"role": "user", "content": content}]}
    if ask.is_stream:
        document["stream"] = True
    body = json.dumps(document).encode()
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "host: faults.test",
        f"authorization: Bearer {ask.key}",
        f"x-request-id: {ask.id}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *([f"x-tierway-timeout-ms: {ask.deadline_ms}"] if ask.deadline_ms else ()),
    )
    return "\r\n".join([*lines, "", ""]).encode() + body
