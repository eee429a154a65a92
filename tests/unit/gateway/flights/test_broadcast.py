from __future__ import annotations

import asyncio

import pytest

from gateway.domain.errors import SharedAnswerLostError
from gateway.flights.local import Flights
from gateway.flights.settings import FlightSettings
from tests.support.flying import USAGE, FedStream, Request, Shelf, Upstream, turns
from tests.support.virtual_time import in_virtual_time

BLOCK = b"x" * 1024


def make(*, stream_kb: int = 8, all_kb: int = 1024) -> Flights:
    return Flights(FlightSettings(stream_mb=stream_kb / 1024, all_streams_mb=all_kb / 1024))


class Pair:
    """A leader and a follower of one stream, both reading."""

    def __init__(self, flights: Flights) -> None:
        self.stream = FedStream(b"a")
        self.upstream = Upstream(self.stream)
        self.leader = Request(flights, self.upstream)
        self.follower = Request(flights, self.upstream)

    async def start(self) -> Pair:
        self.leader.start()
        await turns()
        self.follower.start()
        self.stream.feed(b"b")
        await turns()
        assert self.leader.body == self.follower.body == b"ab"
        return self

    async def read_on(self, blocks: int) -> None:
        """Have the upstream send blocks, slowly enough for whoever reads."""
        for _ in range(blocks):
            self.stream.feed(BLOCK)
            await turns(5)


@in_virtual_time
async def test_a_slow_follower_does_not_slow_the_leader_and_is_cut_loose() -> None:
    pair = await Pair(make()).start()
    pair.follower.may_read.clear()
    await turns()
    await pair.read_on(100)
    pair.stream.feed(None)
    await turns()

    assert pair.leader.body == b"ab" + 100 * BLOCK
    pair.follower.may_read.set()
    with pytest.raises(SharedAnswerLostError):
        await pair.follower.answer()
    await pair.leader.answer()


@in_virtual_time
async def test_a_follower_that_is_slow_for_less_than_the_bound_misses_nothing() -> None:
    pair = await Pair(make()).start()
    pair.follower.may_read.clear()
    await turns()
    await pair.read_on(3)
    pair.follower.may_read.set()
    pair.stream.feed(None)

    assert await pair.follower.answer() == await pair.leader.answer() == b"ab" + 3 * BLOCK


@in_virtual_time
async def test_a_slow_leader_holds_back_the_upstream_and_never_loses_anything() -> None:
    flights = make()
    pair = await Pair(flights).start()
    pair.leader.may_read.clear()
    pair.stream.feed(*[BLOCK] * 100, None)
    await turns(500)

    assert pair.stream.taken < 25  # what the leader took when it was last there, and the bound
    assert flights.room.used <= 10 * 1024
    pair.leader.may_read.set()
    assert await pair.leader.answer() == b"ab" + 100 * BLOCK
    await pair.follower.is_over()


@in_virtual_time
async def test_a_slow_leader_that_leaves_holds_nobody_back() -> None:
    pair = await Pair(make()).start()
    pair.leader.may_read.clear()
    pair.stream.feed(*[BLOCK] * 40)
    await turns(500)
    held_back_at = pair.stream.taken
    pair.leader.leave()
    await turns(500)
    pair.stream.feed(None)

    assert held_back_at < 25
    assert await pair.follower.answer() == b"ab" + 40 * BLOCK
    await pair.leader.is_over()


@in_virtual_time
async def test_a_stream_beyond_the_bound_cannot_be_joined_and_is_not_kept() -> None:
    flights, shelf = make(), Shelf()
    stream = FedStream(*[BLOCK] * 20)
    upstream = Upstream(stream, FedStream(b"own", None))
    leader = Request(flights, upstream, shelf).start()
    await turns(100)
    late = Request(flights, upstream).start()

    assert await late.answer() == b"own"
    assert flights.room.used == 0
    stream.feed(BLOCK, None)
    assert await leader.answer() == 21 * BLOCK
    assert isinstance(shelf.outcomes[0], Exception)


@in_virtual_time
async def test_who_waits_for_the_first_byte_of_a_stream_that_outgrows_the_bound_goes_alone() -> None:
    flights, stream = make(stream_kb=1), FedStream(b"a")
    upstream = Upstream(stream, FedStream(b"own", None))
    leader = Request(flights, upstream).start()
    await turns()
    follower = Request(flights, upstream).start()
    await turns()
    stream.feed(2 * BLOCK, None)

    assert await follower.answer() == b"own"
    assert await leader.answer() == b"a" + 2 * BLOCK


@in_virtual_time
async def test_streams_that_nobody_joined_make_room_for_others() -> None:
    flights = make(stream_kb=8, all_kb=10)
    requests = []
    for number in range(5):
        upstream = Upstream(FedStream(*[BLOCK] * 6))
        requests.append(Request(flights, upstream).start(bytes([number]) * 32))
        await turns(50)

    assert flights.room.used <= 10 * 1024
    assert flights.in_flight < 5
    for request in requests:
        request.leave()
        await request.is_over()
    assert flights.room.used == 0


@in_virtual_time
async def test_shared_streams_keep_reading_when_there_is_no_room() -> None:
    flights = make(all_kb=1)
    pair = await Pair(flights).start()
    await pair.read_on(10)
    pair.stream.feed(None)

    assert await pair.follower.answer() == await pair.leader.answer() == b"ab" + 10 * BLOCK
    assert flights.room.used == 0


@in_virtual_time
async def test_room_is_given_back_when_the_last_reader_has_left() -> None:
    flights = make()
    pair = await Pair(flights).start()
    pair.follower.may_read.clear()
    await turns()
    pair.stream.feed(BLOCK, None)
    await pair.leader.answer()
    used = flights.room.used
    pair.follower.may_read.set()

    assert await pair.follower.answer() == b"ab" + BLOCK
    assert (used > 0, flights.room.used) == (True, 0)


@in_virtual_time
async def test_a_follower_whose_call_is_ended_is_told_so_and_not_cancelled() -> None:
    pair = await Pair(make()).start()
    pair.leader.leave()  # and nothing more comes, until the limit

    with pytest.raises(SharedAnswerLostError):
        await pair.follower.answer()
    await pair.leader.is_over()
    assert pair.stream.closed == 1


@in_virtual_time
async def test_both_ends_tell_of_the_stream() -> None:
    flights, stream = make(), FedStream(b"a", b"b", None)
    stream.response_id, stream.final, stream.dropped = "resp_1", b"{}", ("logit_bias",)
    leader = Request(flights, Upstream(stream))
    led = (await flights.fly(b"k", leader.errand(landed=None))).reply
    followed = (await flights.fly(b"k", Request(None, Upstream()).errand())).reply

    for reply in (led, followed):
        assert not hasattr(reply, "body")
        assert reply.headers == stream.headers
        assert reply.dropped == ("logit_bias",)
        assert (reply.response_id, reply.final, reply.usage()) == ("resp_1", b"{}", USAGE)
        await reply.block()
        await turns()
        assert reply.is_ended is True
        await reply.close()
    while leader._closers:
        await leader._closers.pop()()


@in_virtual_time
async def test_an_upstream_that_never_makes_its_reader_wait_lets_others_run() -> None:
    class Eager(FedStream):
        async def block(self) -> bytes | None:
            self.taken += 1
            return b"x" if self.taken < 10_000 else None

    flights, ran = make(stream_kb=1000), 0
    request = Request(flights, Upstream(Eager())).start(outlives=True)
    while request.task is not None and not request.task.done():
        ran += 1
        await asyncio.sleep(0)

    assert ran > 100
