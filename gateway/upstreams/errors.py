"""What an upstream's error answer means: its status and words kept, its secrets not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from gateway.domain.errors import UpstreamError, UpstreamGarbledError, UpstreamRefusedError
from gateway.domain.secret import Secret

_MAX_MESSAGE_CHARACTERS: Final = 2000
_MAX_FIELD_CHARACTERS: Final = 200
_RETRY_HEADERS: Final = frozenset({b"retry-after", b"retry-after-ms", b"x-should-retry"})
_LIMITS: Final = b"anthropic-ratelimit-"
"""What Anthropic's clients read of a limit, by prefix."""

_KEY_LIKE: Final = re.compile(r"\b(?:(?:sk|pk|rk)[-_]|(?:key|api)[-_](?=[\w.-]*[\d*]))[\w*.-]{6,}")
"""Keys and their masked forms (`sk-proj-****abcd`), which providers quote in 401 messages."""

_KEPT_WITHOUT_WORDS: Final = frozenset({413, 429, 503})
"""Statuses that say enough by themselves, so that they survive a body nobody can read."""


def refusal(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, secret: Secret | None) -> UpstreamError:
    """Return the error that an upstream's answer with status 300 or more stands for.

    OpenAI's shape, and those of vLLM (`error` a string, or the fields at top level), FastAPI (`detail`) and
    Google (a list of one) are understood. HTML and other unreadable bodies become a 502.
    """
    found = _read(body)
    if status < 400 or (found is None and status not in _KEPT_WITHOUT_WORDS):
        garbled = UpstreamGarbledError(f"The upstream answered with status {status} and no readable error.")
        garbled.answered_status = status
        return garbled
    fields = found or {}
    message = fields.get("message")
    if not isinstance(message, str) or not message:
        message = f"The upstream answered with status {status}."
    return UpstreamRefusedError(
        _scrub(message, secret),
        status=status,
        code=_text(fields.get("code"), secret),
        param=_text(fields.get("param"), secret),
        type_=_text(fields.get("type"), secret) or ("invalid_request_error" if status < 500 else "api_error"),
        headers=tuple(line for line in headers if line[0] in _RETRY_HEADERS or line[0].startswith(_LIMITS)),
    )


def in_band(
    error: msgspec.Raw, secret: Secret | None, statuses: Mapping[str, int] = MappingProxyType({})
) -> UpstreamError:
    """Return the error that an `error` member inside a stream stands for.

    Args:
        error: the member.
        secret: the gateway's credential.
        statuses: type of error to the status it stands for; 502 unless the error names one.
    """
    fields = _fields({"error": _decode(bytes(error))}) or {}
    message = fields.get("message")
    code = fields.get("code")
    kind = _text(fields.get("type"), secret)
    status = code if isinstance(code, int) and 400 <= code <= 599 else statuses.get(kind or "", 502)
    return UpstreamRefusedError(
        _scrub(message, secret) if isinstance(message, str) and message else "The upstream broke off its answer.",
        status=status,
        code=_text(code, secret) or "upstream_error",
        param=_text(fields.get("param"), secret),
        type_=kind or "api_error",
    )


def _read(body: bytes) -> dict[str, Any] | None:
    document = _decode(body)
    if isinstance(document, list) and document:
        document = document[0]
    return _fields(document) if isinstance(document, dict) else None


def _fields(document: dict[str, Any]) -> dict[str, Any] | None:
    """Find the fields of OpenAI's error object in the shapes that servers send."""
    error = document.get("error", document.get("detail", document))
    if isinstance(error, str):
        return {**{k: v for k, v in document.items() if k in ("type", "code", "param")}, "message": error}
    return error if isinstance(error, dict) else {}


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _text(value: Any, secret: Secret | None) -> str | None:
    """Return one of the short fields of an error, which clients compare: only the credential itself goes."""
    if value is None or isinstance(value, dict | list):
        return None
    return _without(str(value), secret)[:_MAX_FIELD_CHARACTERS]


def _scrub(message: str, secret: Secret | None) -> str:
    """Take the gateway's own credential, and what looks like one, out of an upstream's words."""
    return _KEY_LIKE.sub("***", _without(message, secret))[:_MAX_MESSAGE_CHARACTERS]


def _without(text: str, secret: Secret | None) -> str:
    value = secret.reveal() if secret is not None else ""
    return text.replace(value, "***") if value else text
