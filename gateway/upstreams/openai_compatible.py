"""Any server that speaks OpenAI's API."""

from __future__ import annotations

from functools import partial
from typing import Final

from gateway.domain.request import Shape
from gateway.upstreams.errors import refusal
from gateway.upstreams.remote import Account, Remote, own_headers
from gateway.upstreams.settings import OpenAIUpstream
from gateway.upstreams.transport import Transport

FORWARDED: Final = frozenset({b"traceparent", b"tracestate", b"openai-beta", b"idempotency-key"})
"""Request headers that travel on. The caller's credentials, cookies and the rest do not: docs/http.md has the table."""

PASSED_ON: Final = (b"openai-processing-ms", b"openai-version", b"openai-model", b"openai-organization")
"""Response headers that tell a caller something of the provider and nothing of the gateway's account limits."""


def openai_compatible(name: str, settings: OpenAIUpstream, transport: Transport) -> Remote:
    """Build one OpenAI-compatible server.

    Args:
        name: its name in the settings.
        settings: address, credential and headers.
        transport: how it is reached; owned.
    """
    shapes: set[Shape] = set(settings.features or ("chat", "responses", "embeddings", "completions"))
    if "responses" in shapes:
        shapes |= {"input_tokens", "compact"}
    account = Account(
        base_url=settings.base_url,
        query=settings.query,
        headers=own_headers(settings.headers, _credential(settings)),
        secret=settings.api_key,
        forwarded=FORWARDED,
        passed_on=PASSED_ON,
    )
    return Remote(name, account, transport, shapes=shapes, refusal=partial(refusal, secret=settings.api_key))


def _credential(settings: OpenAIUpstream) -> dict[str, str]:
    if settings.api_key is None:
        return {}
    key = settings.api_key.reveal()
    is_bearer = settings.auth_header.lower() == "authorization"
    return {settings.auth_header: f"Bearer {key}" if is_bearer else key}
