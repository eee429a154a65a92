"""What the settings file says about upstreams and the models they serve."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from gateway.domain.money import Price
from gateway.domain.secret import Secret

Seconds = Annotated[float, msgspec.Meta(gt=0)]
"""A duration in seconds, more than 0."""

Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]+$")]
"""An absolute http or https address."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long an upstream may be silent. A request's own deadline can only shorten these."""

    connect_s: Seconds = 5.0
    """Seconds for the TCP and TLS handshakes together."""
    first_byte_s: Seconds = 60.0
    """Seconds from the end of the request to the first byte of an answer."""
    idle_s: Seconds = 60.0
    """Seconds between two bytes of an answer."""
    total_s: Seconds = 600.0
    """Seconds for the whole call; the OpenAI clients' own default."""


class OpenAIUpstream(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="openai"
):
    """Any server that speaks OpenAI's API: OpenAI itself, Azure, vLLM, Ollama, another gateway."""

    base_url: Url
    """The address that `/chat/completions` is appended to, usually ending in `/v1`."""
    api_key: Secret | None = None
    """The gateway's credential there. Callers never see it, and their own is never sent."""
    auth_header: str = "Authorization"
    """The header the key is sent in; `Authorization` adds `Bearer`, any other name (Azure: `api-key`) does not."""
    query: dict[str, str] = {}
    """Query parameters of every call (Azure: `api-version`)."""
    headers: dict[str, str] = {}
    """Headers added to every call."""
    features: tuple[Literal["chat", "responses", "embeddings", "completions", "messages"], ...] | None = None
    """What the server offers; other requests are translated where they can be. Absent: what OpenAI offers, and a
    server that turns out not to know `/responses` is asked for chat completions instead."""
    timeouts: Timeouts = Timeouts()
    """How long it may be silent."""
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 512
    """Calls in flight at once; one more waits up to `timeouts.connect_s`, then another candidate is tried."""
    http2: bool = False
    """Offer HTTP/2 in the TLS handshake; plain-text upstreams stay on HTTP/1.1."""
    proxy: Url | None = None
    """The proxy for this upstream. Proxy variables of the environment are ignored."""
    ca_file: str | None = None
    """A PEM file of certificate authorities to trust besides the system's."""

    def __repr__(self) -> str:  # headers, queries and proxies may hold credentials
        return f"OpenAIUpstream({urlsplit(self.base_url).hostname})"


class AnthropicUpstream(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="anthropic"
):
    """Anthropic's API, or a server that speaks it."""

    base_url: Url = "https://api.anthropic.com"
    """The address that `/v1/messages` is appended to."""
    api_key: Secret | None = None
    """The gateway's credential there, sent as `x-api-key`. Callers never see it, and their own is never sent."""
    headers: dict[str, str] = {}
    """Headers added to every call."""
    cache_prompts: bool = False
    """Have Anthropic keep prompts for 5 minutes: put `cache_control` on the last tool, the last system block and the
    newest user turn of requests whose caller set none. Pays where prompts begin alike, as turns of a conversation and
    long system prompts do: what is kept costs 1.25 times the input price once and 0.1 times after that, so that it has
    paid with the first repeat; prompts that never come again cost a quarter more, hence off. Anthropic keeps nothing
    below 512 to 4,096 tokens, by model (platform.claude.com, "Prompt caching", 2026-11)."""
    timeouts: Timeouts = Timeouts()
    """How long it may be silent."""
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 512
    """Calls in flight at once; one more waits up to `timeouts.connect_s`, then another candidate is tried."""
    http2: bool = False
    """Offer HTTP/2 in the TLS handshake; plain-text upstreams stay on HTTP/1.1."""
    proxy: Url | None = None
    """The proxy for this upstream. Proxy variables of the environment are ignored."""
    ca_file: str | None = None
    """A PEM file of certificate authorities to trust besides the system's."""

    def __repr__(self) -> str:  # headers, queries and proxies may hold credentials
        return f"AnthropicUpstream({urlsplit(self.base_url).hostname})"


class EchoUpstream(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="echo"):
    """The built-in offline upstream: answers from the request itself, always the same way."""

    delay_ms: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Milliseconds before each chunk of a stream and before a plain answer."""


HttpUpstream = OpenAIUpstream | AnthropicUpstream
"""Upstreams reached over HTTP."""

AnyUpstream = OpenAIUpstream | AnthropicUpstream | EchoUpstream


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name callers may ask for, and who answers it."""

    upstream: str
    """The name of an entry of `upstreams`."""
    model: str | None = None
    """The model's name at the upstream; the same name where absent."""
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Its share among the candidates of a tier, where `router.balance` is not `ordered`."""
    context_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The context window in tokens, prompt and answer together."""
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The longest answer the model gives, in tokens."""
    supports: tuple[Literal["vision", "audio", "files", "tools", "structured_output"], ...] | None = None
    """What the model can besides reading and writing text; requests that need more go to other candidates of its tier,
    or the next one. Absent: everything."""
    image_tokens: Annotated[int, msgspec.Meta(ge=0)] = 40_000
    """The most prompt tokens that one image is billed as; budgets hold so many. The default is above the 36,835 that
    OpenAI's formula gives for the largest image on gpt-4o-mini; most models need far less."""
    price: Price | None = None
    """What it costs; taken from genai-prices by the model's name where absent."""
