"""What becomes of a caller's headers: docs/http.md says it, row by row, and is held to it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import UPSTREAM_KEY
from tests.support.mixed import ANTHROPIC_KEY, RED, Mixed, claude_message, messages_request, response, responses_request
from tests.support.scripted_upstream import ScriptedUpstream, plain
from tests.support.wire import chat

PAGE = Path(__file__).resolve().parents[2] / "docs" / "http.md"
COLUMNS = ("openai", "anthropic", "relayed")

SENT = {
    "Authorization": f"Bearer {RED}",
    "x-api-key": RED,
    "api-key": RED,
    "Content-Type": "application/vnd.sent+json",
    "X-Stainless-Read-Timeout": "60",
    "X-Tierway-Timeout-Ms": "60000",
    "X-Tierway-Explain": "full",
    "Host": "gateway.test",
    "Accept-Encoding": "br, sent",
}
"""Values for headers that the gateway reads; the rest is sent as `sent-value`."""

_NUMBERS = itertools.count()


def value_of(name: str) -> str:
    """Return what a header is sent as; an idempotency key is another one for each request."""
    return f"key-{next(_NUMBERS)}" if name == "Idempotency-Key" else SENT.get(name, "sent-value")


def _rows() -> Iterator[tuple[str, str, str]]:
    table = PAGE.read_text().partition("<!-- request-headers")[2].partition("<!-- /request-headers")[0]
    for line in table.splitlines()[3:]:
        names, *fates = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(fates) == len(COLUMNS), line
        for name in re.findall(r"`([^`]+)`", names):
            yield from ((name, column, fate) for column, fate in zip(COLUMNS, fates, strict=True))


ROWS = list(_rows())


@pytest.fixture(scope="module")
def mixed() -> Iterator[Mixed]:
    with Mixed() as started:
        yield started


def ask(mixed: Mixed, column: str, shape: str, *headers: tuple[str, str], key: str | None = RED) -> ScriptedUpstream:
    """Send a request that ends at an upstream of one kind, and return that upstream."""
    mixed.reset()
    name = "claude" if column == "anthropic" else "one"
    upstream = mixed[name]
    if column == "relayed":
        assert mixed.ask("POST", "/v1/files", b"abc", *headers, key=key).status == 200
        return upstream
    path, document, answer = {
        "chat": ("/v1/chat/completions", chat(name), None),
        "responses": ("/v1/responses", responses_request(name, store=False), plain(response())),
        "messages": ("/v1/messages", messages_request(name), None),
    }[shape]
    if name == "claude":
        answer = plain(claude_message())
    if answer is not None:
        upstream.script(answer)
    assert mixed.ask("POST", path, document, *headers, key=key).status == 200
    return upstream


def test_the_table_has_every_header_that_matters() -> None:
    named = {name.lower() for name, _, _ in ROWS}

    assert named >= {
        "authorization", "x-api-key", "api-key", "traceparent", "tracestate", "openai-beta", "anthropic-beta",
        "anthropic-version", "anthropic-dangerous-direct-browser-access", "idempotency-key", "openai-organization",
        "openai-project", "cookie", "x-forwarded-for", "x-stainless-lang", "x-tierway-explain", "x-unheard-of",
    }  # fmt: skip
    assert {fate for _, _, fate in ROWS} == {"kept", "dropped", "replaced"}


@pytest.mark.parametrize(("name", "column", "fate"), ROWS, ids=[f"{name}-{column}" for name, column, _ in ROWS])
def test_header_has_the_fate_that_the_page_tells(mixed: Mixed, name: str, column: str, fate: str) -> None:
    shapes = ["-"] if column == "relayed" else ["chat", "responses", "messages"]
    has_key = name in ("Authorization", "x-api-key", "api-key")
    for shape in shapes:
        value = value_of(name)
        sent = [] if name == "Host" else [(name.lower(), value)]  # every request of the client has one
        received = ask(mixed, column, shape, *sent, key=None if has_key else RED).last

        lines = [text for found, text in received.header_lines if found == name.lower()]
        if fate == "kept":
            assert lines == [value]
        elif fate == "dropped":
            assert lines == []
            assert value not in received.head.decode("latin-1") or value in ("full", "60", "60000")
        else:
            assert value not in lines
            assert len(lines) <= 1
            assert RED not in received.head.decode("latin-1")


@pytest.mark.parametrize("column", COLUMNS)
def test_the_gateways_own_headers_are_sent_once(mixed: Mixed, column: str) -> None:
    received = ask(mixed, column, "chat").last

    names = [name for name, _ in received.header_lines]
    assert len(names) == len(set(names))
    assert received.headers["user-agent"] == "tierway"
    if column == "anthropic":
        assert received.headers["x-api-key"] == ANTHROPIC_KEY
        assert received.headers["anthropic-version"] == "2023-06-01"
    else:
        assert received.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"


@pytest.mark.parametrize(("column", "shape"), [("openai", "chat"), ("anthropic", "messages"), ("anthropic", "chat")])
def test_every_header_at_once_changes_nothing(mixed: Mixed, column: str, shape: str) -> None:
    headers = [(name.lower(), value_of(name)) for name, found, _ in ROWS if found == column]
    sent: list[tuple[str, str]] = [line for line in headers if line[0] != "host"]

    received = ask(mixed, column, shape, *sent, key=None).last

    kept = {name.lower() for name, found, fate in ROWS if found == column and fate == "kept"}
    arrived: set[Any] = {name for name, value in received.header_lines if value in dict(sent).values()}
    assert arrived == kept


def test_fates_of_a_stream_are_those_of_a_plain_answer(mixed: Mixed) -> None:
    mixed.reset()

    mixed.post("/v1/chat/completions", chat("one", stream=True), ("cookie", "a=b"), ("traceparent", "00-1"))

    received = mixed["one"].last
    assert received.headers["accept"] == "text/event-stream"
    assert received.headers["traceparent"] == "00-1"
    assert "cookie" not in received.headers
