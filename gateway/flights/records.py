"""What a request was answered with, in a form that can be kept and answered with again."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.domain.errors import UpstreamRefusedError
from gateway.domain.usage import Usage
from gateway.flights.base import Outcome
from gateway.flights.broadcast import LedStream
from gateway.upstreams.base import Headers, PlainReply, Reply

_ABOUT_THE_BODY: Final = frozenset({400, 413, 422})
"""Statuses by which an upstream judges a request's body and nothing else, so that it would say the same again. 401 and
403 are about the gateway's key, 404 about what the upstream has today, 408, 409, 429 and all above about the moment."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an upstream refused a request; fields as in `UpstreamRefusedError`."""

    message: str
    status: int
    code: str | None = None
    param: str | None = None
    type: str = "api_error"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer.

    Attributes:
        body: the document, or all events of a stream.
        headers, answered_model, response_id, dropped: as in `PlainReply`.
        final: as in `StreamReply`.
        refusal: how the request was refused instead.
    """

    body: bytes = b""
    is_stream: bool = False
    usage: Usage = Usage(provenance="none")
    headers: tuple[tuple[bytes, bytes], ...] = ()
    answered_model: str = ""
    response_id: str = ""
    dropped: tuple[str, ...] | None = None
    final: bytes = b""
    refusal: Refusal | None = None

    @property
    def size(self) -> int:
        """Bytes it takes, with an allowance for what stands around the body."""
        return len(self.body) + len(self.final) + 512


def record_of(outcome: Outcome) -> Record | None:
    """Return what is kept of an outcome, None where the same request is to be made anew.

    Kept are whole answers, and refusals by which an upstream judged the body: as with Stripe
    (docs.stripe.com/api/idempotent_requests, 2026-11), what a call has come to is the result of its key once the call
    was begun, and what the gateway refuses before that (a wrong key, a limit, a budget) is not. Unlike there, failures
    are not kept: a call that failed has changed nothing, and an answer is what its caller is still waiting for.
    """
    if isinstance(outcome, UpstreamRefusedError) and outcome.status in _ABOUT_THE_BODY:
        return Record(
            refusal=Refusal(
                message=outcome.message,
                status=outcome.status,
                code=outcome.code,
                param=outcome.param,
                type=outcome.type,
            )
        )
    if isinstance(outcome, BaseException):
        return None
    if isinstance(outcome, PlainReply):
        return Record(
            body=outcome.body,
            usage=outcome.usage,
            headers=tuple(outcome.headers),
            answered_model=outcome.answered_model,
            response_id=outcome.response_id,
            dropped=outcome.dropped,
        )
    events = outcome.events if isinstance(outcome, LedStream) else None
    if events is None:
        return None
    return Record(
        body=events,
        is_stream=True,
        usage=outcome.usage(),
        headers=tuple(outcome.headers),
        response_id=outcome.response_id,
        dropped=outcome.dropped,
        final=outcome.final,
    )


def reply_of(record: Record) -> Reply:
    """Return an answer that was kept.

    Raises:
        UpstreamRefusedError: a refusal was kept.
    """
    refusal = record.refusal
    if refusal is not None:
        raise UpstreamRefusedError(
            refusal.message, status=refusal.status, code=refusal.code, param=refusal.param, type_=refusal.type
        )
    if record.is_stream:
        return KeptEvents(record)
    return PlainReply(
        body=record.body,
        usage=record.usage,
        headers=record.headers,
        answered_model=record.answered_model,
        response_id=record.response_id,
        dropped=record.dropped,
    )


class KeptEvents:
    """A stream that was kept, given at once; a `StreamReply`."""

    __slots__ = ("_record", "_rest", "dropped", "headers")

    is_ended = True

    def __init__(self, record: Record) -> None:
        self._record, self._rest = record, record.body
        self.headers: Headers = record.headers
        self.dropped = record.dropped

    @property
    def response_id(self) -> str:
        """The id of a response; see `StreamReply`."""
        return self._record.response_id

    @property
    def final(self) -> bytes:
        """The whole response; see `StreamReply`."""
        return self._record.final

    async def block(self) -> bytes | None:
        """Return all events, then None."""
        rest, self._rest = self._rest, b""
        return rest or None

    def usage(self) -> Usage:
        """Return what the call has consumed when it was made."""
        return self._record.usage

    async def close(self) -> None:
        """Do nothing: nothing is open."""
