"""What an answer must be like, whatever was asked and whatever the upstream said."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from tests.fuzz.client import Answer
from tests.fuzz.mutations import Case
from tests.fuzz.seeds import ANTHROPIC, Kind

_BELOW_THE_APP: Final = "invalid_http"
"""The code of what the HTTP server itself says to bytes that are no HTTP request."""

_OUR_FAULT: Final = "The gateway failed to handle this request."

_HELD: Final[Mapping[Kind, tuple[str, Any]]] = {
    "chat": ("object", "chat.completion"),
    "responses": ("object", "response"),
    "input_tokens": ("object", "response.input_tokens"),
    "compact": ("output", None),
    "messages": ("type", "message"),
    "count_tokens": ("input_tokens", None),
    "embeddings": ("object", "list"),
    "completions": ("object", "text_completion"),
}
"""A member that every answer of a kind has, and its value where it is always the same."""

_ENDS: Final[Mapping[Kind, frozenset[str]]] = {
    "responses": frozenset({"response.completed", "response.incomplete", "response.failed"}),
    "messages": frozenset({"message_stop"}),
}
"""Events that end a stream; the streams of other kinds end with `[DONE]`."""

_PASSED_ON: Final = frozenset({"relayed", "stored"})
"""Kinds whose answers may be the upstream's as they are, cut where it cut them."""

Event = dict[str, Any]


def fault_of(answer: Answer, case: Case) -> str | None:  # noqa: PLR0911  one return a rule
    """Tell what is wrong with one answer, if anything."""
    shown = f"status {answer.status} with {answer.body[:300]!r}"
    is_stream = answer.headers.get(b"content-type", b"").startswith(b"text/event-stream")
    if _OUR_FAULT.encode() in answer.body or (answer.status >= 500 and not _may_fail(answer, case)):
        return shown
    if case.kind in _PASSED_ON and answer.status != 405 and _is_passed_on(answer, case):
        return None
    if case.kind != "open" and b"x-request-id" not in answer.headers:
        return f"{shown}, without x-request-id"
    if case.framed and is_below_the_app(answer):
        return "sound framing was refused below the app"
    if case.statuses and answer.status not in case.statuses:
        return f"{shown}, not one of {case.statuses}"
    if answer.status == 200 and is_stream:
        return _fault_of_stream(answer, case)
    if not answer.complete:
        return f"status {answer.status} with a body that ended early"
    if answer.status >= 400:
        return _fault_of_error(answer, case)
    if answer.status == 200:
        return _fault_of_plain(answer, case)
    return None if answer.status in (201, 204) else shown


def _may_fail(answer: Answer, case: Case) -> bool:
    """Tell whether a status of 500 or more is right: the upstream failed, or the caller's own deadline passed."""
    return case.is_answered_badly or (case.name == "headers" and answer.status == 504)


def is_below_the_app(answer: Answer) -> bool:
    """Tell whether the HTTP server refused a request by itself."""
    document = _json(answer.body) if answer.status == 400 else None
    error = document.get("error") if isinstance(document, dict) else None
    return isinstance(error, dict) and error.get("code") == _BELOW_THE_APP


def _is_passed_on(answer: Answer, case: Case) -> bool:
    """Tell whether an answer is the upstream's: the gateway's own errors name their source."""
    if case.kind == "stored" and not case.is_answered_badly:
        return False
    document = _json(answer.body)
    error = document.get("error") if isinstance(document, dict) else None
    return not isinstance(error, dict) or error.get("source") not in ("gateway", "provider")


def _fault_of_error(answer: Answer, case: Case) -> str | None:
    document = _json(answer.body)
    shown = f"status {answer.status} with {answer.body[:300]!r}"
    if answer.headers.get(b"content-type") != b"application/json" or not isinstance(document, dict):
        return shown
    if case.kind is None:
        is_right = _is_anthropics(document) or _is_openais(document)
    else:
        is_right = _is_anthropics(document) if case.kind in ANTHROPIC else _is_openais(document)
    error = document.get("error")
    if is_right and isinstance(error, dict) and error.get("source") == "provider" and not case.is_answered_badly:
        return f"{shown}, which the upstream never said"
    return None if is_right else shown


def _is_openais(document: Event) -> bool:
    """Hold an error against OpenAI's shape: `message` and `type` are text, `param` and `code` text or null."""
    error = document.get("error")
    if not isinstance(error, dict):
        return False
    text = all(isinstance(error.get(name), str) and error[name] for name in ("message", "type"))
    nullable = all(name in error and isinstance(error[name], str | None) for name in ("param", "code"))
    return text and nullable and error.get("source") in ("gateway", "provider")


def _is_anthropics(document: Event) -> bool:
    error = document.get("error")
    if (
        document.get("type") != "error"
        or not isinstance(error, dict)
        or not isinstance(document.get("request_id"), str)
    ):
        return False
    return all(isinstance(error.get(name), str) and error[name] for name in ("message", "type"))


def _fault_of_plain(answer: Answer, case: Case) -> str | None:
    if case.kind in ("open", None) or (case.is_answered_badly and not case.is_translated):
        return None
    document = _json(answer.body)
    shown = f"200 with {answer.body[:300]!r}"
    if not isinstance(document, dict):
        return shown
    if case.kind not in _HELD:
        return None
    name, value = _HELD[case.kind]
    return shown if name not in document or value not in (None, document[name]) else None


def _fault_of_stream(answer: Answer, case: Case) -> str | None:  # noqa: PLR0911  one return a rule
    """Hold a stream against its kind: framed, JSON throughout, and ended as its clients expect or with an error."""
    shown = f"a stream that ends with {answer.body[-300:]!r}"
    *blocks, rest = answer.body.split(b"\n\n")
    events = [_event(block) for block in blocks]
    if rest or not events:
        return shown
    name, payload = events[-1]
    documents = [_json(text) for _, text in events if text != b"[DONE]"]
    is_passed_on = case.is_answered_badly and not case.is_translated  # what is inside is the upstream's own
    if not is_passed_on and not all(isinstance(document, dict) for document in documents):
        return f"a stream with an odd event: {answer.body[:300]!r}"
    last = documents[-1] if documents and isinstance(documents[-1], dict) else {}
    if is_passed_on and not last and payload != b"[DONE]":
        return None  # it may say anything, and bytes that are no text
    if case.is_answered_badly and (name == "error" or last.get("error") is not None):
        return None if _is_error_event(last) else shown
    if not answer.complete:
        return f"{shown} and was cut"
    ends = _ENDS.get(case.kind or "chat")
    if ends is None:
        has_ended = payload == b"[DONE]" or (is_passed_on and b'"finish_reason":' in answer.body.replace(b" ", b""))
        return None if case.kind is None or has_ended else shown
    return None if last.get("type") in ends else shown


def _is_error_event(document: Event) -> bool:
    error = document.get("error")
    return isinstance(error, dict) and isinstance(error.get("message"), str) and isinstance(error.get("type"), str)


def _event(block: bytes) -> tuple[str, bytes]:
    """Return an event's name and payload."""
    name = re.search(rb"^event: ?(.*)$", block, re.MULTILINE)
    lines = re.findall(rb"^data: ?(.*)$", block, re.MULTILINE)
    return (name[1].decode("latin-1") if name else ""), b"\n".join(lines)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text, parse_int=float)  # as Python reads no integer of 5,000 digits
    except (ValueError, RecursionError):
        return None
