"""The server below the scripted providers, and what all of them make of a conversation."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.moment import PATIENCE_S, Moment

Document = dict[str, Any]
"""A decoded JSON object."""

SLOW_PIECES: Final = 100
"""Pieces of an answer that was asked for `slowly`."""

SLOW_PAUSE_S: Final = 0.05
"""Seconds between two of them: five for all, more than a test takes to leave."""

_MARKER: Final = re.compile(r"marker-\w+")
_SUBJECT: Final = re.compile(r"\b(?:for|about) ([^.,;?!\n]+)")


class RefusedError(Exception):
    """The provider answers with an error.

    Args:
        status: of the answer.
        document: its body.
        headers: more headers.
    """

    def __init__(self, status: int, document: Document, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(document)
        self.status, self.document, self.headers = status, document, dict(headers or {})


@dataclass(frozen=True)
class Request:
    """One request; header names are in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What goes back: a body, or framed events with a pause before each.

    Attributes:
        marker: the word by which the conversation asks later whether this stream was cut.
    """

    body: bytes = b""
    events: Sequence[bytes] = ()
    pause_s: float = 0.0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    marker: str = ""


class ScriptedApi:
    """A provider on a loopback port, in a thread of its own. Use as a context manager.

    Attributes:
        requests: what came, in order.
        refusals: status and body of each error that was answered, with the path that was asked.
        cut: markers of the streams whose reader left before the end.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="scripted-api", daemon=True)
        self._stopping = asyncio.Event()
        self._listening = Moment("listening")
        self.requests: list[Request] = []
        self.refusals: list[tuple[str, int, Document]] = []
        self.cut: set[str] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(PATIENCE_S)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, request: Request) -> Answer:
        """Return what is answered.

        Raises:
            RefusedError: the request is wrong.
        """
        raise NotImplementedError

    def broken(self, problem: Exception) -> Document:
        """Return the body of a 500."""
        return {"error": {"message": repr(problem), "type": "server_error", "param": None, "code": None}}

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.happen()
        await self._stopping.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                answer = self._answer(request)
                if not await _write(answer, reader, writer):
                    self.cut.add(answer.marker)
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    def _answer(self, request: Request) -> Answer:
        self.requests.append(request)
        try:
            return self.answer(request)
        except RefusedError as refused:
            self.refusals.append((request.path, refused.status, refused.document))
            return Answer(encoded(refused.document), status=refused.status, headers=refused.headers)
        except Exception as problem:  # noqa: BLE001  a fault of the script must show in the test, not hang it
            self.refusals.append((request.path, 500, {"fault": repr(problem)}))
            return Answer(encoded(self.broken(problem)), status=500)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    url = urlsplit(target)
    return Request(method, url.path, parse_qs(url.query), headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


async def _write(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Send an answer; False when its reader left before the end."""
    kind = "text/event-stream" if answer.events else answer.kind
    framing = {"transfer-encoding": "chunked"} if answer.events else {"content-length": str(len(answer.body))}
    headers = {"content-type": kind, **framing, **answer.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {answer.status} Scripted\r\n{lines}\r\n".encode("latin-1") + answer.body)
    for event in answer.events:
        await asyncio.sleep(answer.pause_s)
        if writer.transport.is_closing() or reader.at_eof():
            return False
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
    if answer.events:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


# ---------------------------------------------------------------- what a conversation says


@dataclass
class Heard:
    """A conversation, whatever shape it came in.

    Attributes:
        text: of the last user message.
        system: every instruction, in order.
        previous: the last text of the assistant before that message.
        results: of the tools that were called since.
        turns: user messages, results of tools apart.
    """

    text: str = ""
    system: list[str] = field(default_factory=list)
    previous: str = ""
    results: list[str] = field(default_factory=list)
    images: int = 0
    files: int = 0
    turns: int = 0

    def user(self, text: str, images: int = 0, files: int = 0) -> None:
        """Take in a user message; one without words adds to the message before it."""
        self.images += images
        self.files += files
        if text:
            self.text, self.results = text, []
            self.turns += 1

    def answer(self, cut: set[str]) -> str:
        """Return an answer from which one can tell what arrived."""
        facts = {
            "heard": self.text,
            "system": " / ".join(self.system),
            "images": self.images,
            "files": self.files,
            "turns": self.turns,
            "previous": self.previous[:60],
            "results": "; ".join(self.results),
        }
        if "was marker-" in self.text:
            facts["cut"] = "yes" if self.marker in cut else "no"
        return " | ".join(f"{name}: {value}" for name, value in facts.items() if value != "")

    @property
    def subject(self) -> str:
        """What the last message is `for` or `about`; all of it otherwise."""
        found = _SUBJECT.search(self.text)
        return found[1].strip() if found else self.text

    @property
    def marker(self) -> str:
        found = _MARKER.search(self.text)
        return found[0] if found else ""

    @property
    def pause_s(self) -> float:
        return SLOW_PAUSE_S if "slowly" in self.text else 0.002

    def pieces(self, answer: str) -> list[str]:
        """Cut an answer as a model would, into more pieces when it was asked for slowly."""
        if "slowly" in self.text:
            answer += " and on" * SLOW_PIECES
        return re.findall(r"(?s).{1,7}", answer)

    @property
    def tokens(self) -> int:
        """The length of the prompt, a word a token."""
        return len(" ".join([*self.system, self.text, self.previous, *self.results]).split()) + 50 * self.images


@dataclass(frozen=True)
class Tool:
    """A tool that was offered."""

    name: str
    schema: Any


def chosen(heard: Heard, tools: Sequence[Tool], choice: str, *, parallel: bool) -> list[tuple[str, Document]]:
    """Return name and arguments of each tool that is called.

    Every tool that the last message names is called, in the order there, unless results are there already.

    Args:
        choice: `auto`, `none`, `required`, or the name of a tool after a colon.
        parallel: whether more than one may be called.
    """
    named = sorted((tool for tool in tools if tool.name in heard.text), key=lambda tool: heard.text.index(tool.name))
    if choice == "none":
        calls: Sequence[Tool] = ()
    elif choice.startswith(":"):
        calls = [tool for tool in tools if tool.name == choice[1:]]
    elif choice == "required":
        others = [tool for tool in tools if tool not in named]
        calls = named if named and not heard.results else (others or tools)[-1:]
    else:
        calls = [] if heard.results else named
    return [(tool.name, filled(tool.schema, heard.subject)) for tool in (calls if parallel else calls[:1])]


def filled(schema: Any, text: str, root: Any = None) -> Any:
    """Return a value that fits a schema, in which every free text is `text`."""
    root = schema if root is None else root
    if not isinstance(schema, dict):
        return text
    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/") if schema["$ref"] != "#" else ():
            target = target[step]
        return filled(target, text, root)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return filled(schema[word][0], text, root)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    return _of_type(schema, text, root)


def _of_type(schema: Document, text: str, root: Any) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: filled(of, text, root) for name, of in schema.get("properties", {}).items()}
    if kind == "array":
        return [filled(schema.get("items"), text, root)]
    return {"integer": 7, "number": 7.5, "boolean": True, "null": None}.get(kind, text)


# ---------------------------------------------------------------- JSON and its checks


def encoded(document: Any) -> bytes:
    """Return a document as compact JSON."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def decoded(body: bytes) -> Document:
    """Return the object in a body; an empty one for what is no object."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def words(text: str) -> frozenset[str]:
    """Return the names in a text."""
    return frozenset(text.split())


def is_strict(schema: Any) -> bool:
    """Tell whether every object of a schema lists all its members as required and allows no others."""
    if isinstance(schema, list):
        return all(is_strict(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    if isinstance(members := schema.get("properties"), dict) and (
        schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(members)
    ):
        return False
    return all(is_strict(item) for name, item in schema.items() if name not in {"enum", "const", "default"})
