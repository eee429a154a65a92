"""Anthropic's API, called directly; its SDK describes the shapes and does not carry them (docs/decisions/005)."""

from __future__ import annotations

from typing import Final

from gateway.domain.errors import UpstreamError, UpstreamRefusedError
from gateway.domain.secret import Secret
from gateway.upstreams.base import Headers
from gateway.upstreams.breakpoints import breakpoints
from gateway.upstreams.errors import refusal
from gateway.upstreams.remote import Account, Remote, own_headers
from gateway.upstreams.settings import AnthropicUpstream
from gateway.upstreams.transport import Transport

API_VERSION: Final = "2023-06-01"
"""The `anthropic-version` of calls whose caller names none (docs.claude.com, "Versions", 2026-11)."""

FORWARDED: Final = frozenset(
    {b"traceparent", b"tracestate", b"anthropic-beta", b"anthropic-version", b"idempotency-key"}
)
"""Request headers that travel on."""

PASSED_ON: Final = (b"anthropic-ratelimit-",)
"""Response headers that callers get to see; as prefixes."""

_CODES: Final = {
    "authentication_error": "invalid_api_key",
    "billing_error": "insufficient_quota",
    "not_found_error": "not_found",
    "rate_limit_error": "rate_limit_exceeded",
}
"""OpenAI's code for Anthropic's type of error, where it has another name for the same thing."""


def anthropic(name: str, settings: AnthropicUpstream, transport: Transport) -> Remote:
    """Build the upstream.

    Args:
        name: its name in the settings.
        settings: address, credential and headers.
        transport: how it is reached; owned.
    """
    credential = {} if settings.api_key is None else {"x-api-key": settings.api_key.reveal()}
    account = Account(
        base_url=settings.base_url,
        headers=own_headers(settings.headers, credential),
        defaults={"anthropic-version": API_VERSION},
        secret=settings.api_key,
        forwarded=FORWARDED,
        forwards_query=True,  # its clients send `?beta=true`
        passed_on=PASSED_ON,
    )

    def refused(status: int, headers: Headers, body: bytes) -> UpstreamError:
        return refusal_with_code(status, headers, body, settings.api_key)

    edits = breakpoints if settings.cache_prompts else None
    return Remote(name, account, transport, shapes={"messages", "count_tokens"}, refusal=refused, edits=edits)


def refusal_with_code(status: int, headers: Headers, body: bytes, secret: Secret | None) -> UpstreamError:
    """Return the error of an answer with status 300 or more, with the code that OpenAI's clients know."""
    error = refusal(status, headers, body, secret)
    if isinstance(error, UpstreamRefusedError) and error.code is None:
        error.code = _code(error)
    return error


def _code(error: UpstreamRefusedError) -> str:
    if error.type == "not_found_error" and error.message.startswith("model"):
        return "model_not_found"
    if error.type == "invalid_request_error" and error.message.startswith("prompt is too long"):
        return "context_length_exceeded"
    if error.status in (404, 405):  # of servers that only speak like Anthropic's, whatever type they name
        return "not_found"
    return _CODES.get(error.type, error.type)
