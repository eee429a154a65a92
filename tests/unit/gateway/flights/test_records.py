from __future__ import annotations

import asyncio
import inspect

import msgspec
import pytest

from gateway.domain.errors import (
    BudgetExhaustedError,
    GatewayError,
    InvalidRequestError,
    UpstreamRefusedError,
    UpstreamTimeoutError,
)
from gateway.flights.broadcast import LedStream
from gateway.flights.local import Flights
from gateway.flights.records import KeptEvents, Record, record_of, reply_of
from gateway.flights.settings import FlightSettings
from gateway.upstreams.base import PlainReply, StreamReply
from tests.support.flying import USAGE, FedStream, Request, Shelf, Upstream


def test_a_plain_answer_comes_back_as_it_was() -> None:
    reply = PlainReply(
        body=b'{"a":1}',
        usage=USAGE,
        headers=((b"x-a", b"1"),),
        answered_model="gpt-x",
        response_id="resp_1",
        dropped=("user",),
    )
    record = record_of(reply)
    assert record is not None

    assert reply_of(msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=Record)) == reply


async def test_a_stream_comes_back_at_once() -> None:
    stream, shelf = FedStream(b"data: 1\n\n", b"data: [DONE]\n\n", None), Shelf()
    stream.dropped, stream.response_id, stream.final = ("user",), "resp_1", b"{}"
    kept: list[Record | None] = []

    async def landed(outcome: object) -> None:
        assert isinstance(outcome, LedStream)
        kept.append(record_of(outcome))

    await Request(Flights(FlightSettings()), Upstream(stream), shelf).start(landed=landed).answer()
    assert kept[0] is not None
    reply = reply_of(kept[0])
    assert isinstance(reply, KeptEvents)

    assert await reply.block() == b"data: 1\n\ndata: [DONE]\n\n"
    assert await reply.block() is None
    assert (reply.headers, reply.dropped) == (((b"x-upstream", b"1"),), ("user",))
    assert (reply.response_id, reply.final, reply.usage(), reply.is_ended) == ("resp_1", b"{}", USAGE, True)
    await reply.close()


def test_a_kept_stream_has_all_that_a_stream_has() -> None:
    wanted = {name for name in vars(StreamReply) if not name.startswith("_")} | set(StreamReply.__annotations__)
    reply = KeptEvents(Record(body=b"a", is_stream=True))

    assert {name for name, _ in inspect.getmembers(reply)} >= wanted


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_an_upstream_says_of_the_body_is_kept(status: int) -> None:
    error = UpstreamRefusedError("too long", status=status, code="c", param="p", type_="t", headers=((b"a", b"b"),))
    record = record_of(error)
    assert record is not None

    with pytest.raises(UpstreamRefusedError) as caught:
        reply_of(record)
    again = caught.value
    assert (again.message, again.status, again.code, again.param, again.type) == ("too long", status, "c", "p", "t")


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 429, 500, 503])
def test_what_an_upstream_says_of_the_moment_is_not_kept(status: int) -> None:
    assert record_of(UpstreamRefusedError("no", status=status)) is None


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequestError("no"),
        BudgetExhaustedError("no", status=429, retry_after_s=None, standing=None),
        UpstreamTimeoutError("no"),
        asyncio.CancelledError(),
        ZeroDivisionError(),
    ],
)
def test_failures_and_what_the_gateway_refuses_are_not_kept(error: GatewayError) -> None:
    assert record_of(error) is None


def test_a_stream_of_which_the_beginning_is_gone_is_not_kept() -> None:
    assert record_of(FedStream(b"a")) is None


def test_a_record_counts_what_it_holds() -> None:
    assert Record(body=b"x" * 100, final=b"y" * 50).size == 150 + 512
