"""Every kind of upstream, and how it is built from its settings."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.upstreams import anthropic as anthropic_api
from gateway.upstreams import openai_compatible as openai_api
from gateway.upstreams.anthropic import anthropic
from gateway.upstreams.base import Upstream
from gateway.upstreams.echo import Echo
from gateway.upstreams.engines.http1 import Http1Engine
from gateway.upstreams.openai_compatible import openai_compatible
from gateway.upstreams.settings import AnthropicUpstream, AnyUpstream, EchoUpstream, HttpUpstream, OpenAIUpstream
from gateway.upstreams.transport import Engine, Transport


def _openai(name: str, settings: OpenAIUpstream) -> Upstream:
    return openai_compatible(name, settings, Transport(make_engine(settings), settings.timeouts))


def _anthropic(name: str, settings: AnthropicUpstream) -> Upstream:
    return anthropic(name, settings, Transport(make_engine(settings), settings.timeouts))


UPSTREAMS: Final[dict[type[Any], Callable[[str, Any], Upstream]]] = {
    OpenAIUpstream: _openai,
    AnthropicUpstream: _anthropic,
    EchoUpstream: Echo,
}
"""Settings struct to the function that builds the upstream. A new kind is one line here."""


FORWARDED: Final = openai_api.FORWARDED | anthropic_api.FORWARDED
"""Request headers that any kind of upstream gets to see."""


def build_upstream(name: str, settings: AnyUpstream) -> Upstream:
    """Build one upstream.

    Raises:
        OSError: `ca_file` cannot be read.
        ssl.SSLError: it holds no certificate.
    """
    return UPSTREAMS[type(settings)](name, settings)


def make_engine(settings: HttpUpstream) -> Engine:
    """Choose the HTTP client: HTTP/1.1 without a proxy has an engine of its own, the rest is httpx2's."""
    url = urlsplit(settings.base_url)
    tls = _tls(settings.ca_file) if url.scheme == "https" else None
    most, connect_s = settings.max_connections, settings.timeouts.connect_s
    if (settings.http2 and tls) or settings.proxy:
        # Imported here because it costs 80 ms and 14 MB, and most installations need neither HTTP/2 nor a proxy.
        from gateway.upstreams.engines.httpx2 import Httpx2Engine, make_client  # noqa: PLC0415

        client = make_client(
            tls=tls, http2=settings.http2, proxy=settings.proxy, max_connections=most, connect_s=connect_s
        )
        return Httpx2Engine(f"{url.scheme}://{url.netloc.rpartition('@')[2]}", client)
    if tls:
        tls.set_alpn_protocols(["http/1.1"])
    port = url.port or (443 if tls else 80)
    return Http1Engine(url.hostname or "", port, tls=tls, max_connections=most, connect_s=connect_s)


def _tls(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(cadata=Path(ca_file).read_text())
    return context
