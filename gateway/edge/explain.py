"""`X-Tierway-Explain: full`: what was decided about a request, as a member of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.domain.errors import GatewayError
from gateway.domain.money import format_usd
from gateway.domain.usage import Usage
from gateway.exchange import Exchange
from gateway.upstreams.base import StreamReply

_DONE: Final = b"data: [DONE]\n\n"


def explain_document(body: bytes, exchange: Exchange) -> bytes:
    """Return a JSON object with the member `tierway` put last; every other byte stays."""
    text = body.rstrip()
    if not text.endswith(b"}"):
        return body
    head = text[:-1].rstrip()
    comma = b"" if head.endswith(b"{") else b","
    return head + comma + b'"tierway":' + msgspec.json.encode(_explanation(exchange)) + b"}"


class ExplainedStream:
    """A stream whose last chunk carries the explanation. Each block waits for the next, to know which is last."""

    def __init__(self, stream: StreamReply, exchange: Exchange) -> None:
        self._stream = stream
        self._exchange = exchange
        self._held: bytes | None = None
        self._ended = False
        self._failure: GatewayError | None = None
        self.headers: Sequence[tuple[bytes, bytes]] = stream.headers
        self.dropped = stream.dropped
        self.response_id = stream.response_id
        self.final = b""

    @property
    def is_ended(self) -> bool:
        """Whether the answer has been read to its end."""
        return self._stream.is_ended

    async def block(self) -> bytes | None:
        """Return the block before the newest one; see `StreamReply.block`."""
        if self._failure is not None:
            raise self._failure
        while not self._ended:
            try:
                block = await self._stream.block()
            except GatewayError as error:
                if self._held is None:
                    raise
                self._failure = error
                return self._held
            if block is None or block.endswith(_DONE):
                self._ended = True
                return self._explained((self._held or b"") + (block or b""))
            held, self._held = self._held, block
            if held is not None:
                return held
        return None

    def usage(self) -> Usage:
        """Return what has been consumed so far."""
        return self._stream.usage()

    async def close(self) -> None:
        """Close the stream underneath."""
        await self._stream.close()

    def _explained(self, block: bytes) -> bytes | None:
        """Put the explanation into the last chunk of a block."""
        done = _DONE if block.endswith(_DONE) else b""
        chunks = block[: len(block) - len(done)]
        start = chunks.rfind(b"data: ")
        if start < 0:
            return block or None
        self._exchange.usage = self._stream.usage()
        last = chunks[start + len(b"data: ") :]
        return chunks[:start] + b"data: " + explain_document(last, self._exchange) + b"\n\n" + done


def _explanation(exchange: Exchange) -> dict[str, Any]:
    decision, usage = exchange.decision, exchange.usage
    cost = exchange.cost_microusd
    return {
        "request_id": exchange.request_id,
        "requested_model": exchange.request.model if exchange.request else None,
        "routed_model": exchange.routed_model or None,
        "tier": decision and {"name": decision.tier, "confidence": decision.confidence, "reason": decision.reason},
        "grounds": decision and decision.grounds,
        "candidates": decision and decision.candidates,
        "lacking": decision and dict(decision.lacking),
        "attempts": exchange.attempts,
        "retries": exchange.retries,
        "cache": exchange.cached,
        "usage": {field: getattr(usage, field) for field in usage.__struct_fields__},
        "cost_usd": None if cost is None else format_usd(cost).decode(),
        "overhead_ms": round(exchange.overhead_s * 1000, 3),
        "upstream_ms": round(exchange.upstream_s * 1000, 3),
    }
