"""Waiting instead of being refused: for a limit, and for a place at an upstream."""

from __future__ import annotations

from tests.journey.governance.conftest import Govern
from tests.support.governed import CI, OTHER, ask, brief
from tests.support.live import LiveGateway, wait_until
from tests.support.moment import Moment
from tests.support.scripted_upstream import ScriptedUpstream, completion, plain
from tests.support.wire import WireClient, chat_bytes


def sent(client: WireClient, key: str = CI, request_id: str = "r") -> None:
    client.send(chat_bytes(brief(), ("authorization", f"Bearer {key}"), ("x-request-id", request_id)))


def wait_for(gateway: LiveGateway, metric: str, value: float) -> None:
    def is_so() -> bool:
        return any(name.startswith(metric) and found == value for name, found in gateway.metrics().items())

    wait_until(is_so, f"{metric} of {value:g}")


def test_a_request_waits_for_one_in_flight_and_says_so(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"limits": {"concurrency": 1}, "queue": {"max_wait_s": 20}})
    go_on = Moment()
    upstream.script(plain(completion(), before=[go_on]), plain(completion()))
    with WireClient(gateway.address) as first, WireClient(gateway.address) as second:
        sent(first)
        upstream.wait_for_request()
        sent(second)
        wait_for(gateway, "tierway_queue_length", 1)

        go_on.happen()

        assert first.answer().status == 200
        waited = second.answer()
        assert waited.status == 200
        assert waited.headers["x-tierway-queue"].startswith("position=1;waited_ms=")


def test_one_who_finds_no_place_in_the_queue_is_refused(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"limits": {"concurrency": 1}, "queue": {"max_wait_s": 20, "max_length": 1}})
    go_on = Moment()
    upstream.script(plain(completion(), before=[go_on]), plain(completion()))
    with WireClient(gateway.address) as first, WireClient(gateway.address) as second:
        sent(first)
        upstream.wait_for_request()
        sent(second)
        wait_for(gateway, "tierway_queue_length", 1)

        refused = ask(gateway)
        go_on.happen()

        assert (refused.status, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert [first.answer().status, second.answer().status] == [200, 200]


def test_nobody_waits_beyond_the_callers_own_deadline(govern: Govern, upstream: ScriptedUpstream) -> None:
    gateway = govern({"limits": {"concurrency": 1}, "queue": {"max_wait_s": 60}})
    go_on = Moment()
    upstream.script(plain(completion(), before=[go_on]))
    with WireClient(gateway.address) as first:
        sent(first)
        upstream.wait_for_request()

        refused = ask(gateway, brief(), ("x-tierway-timeout-ms", "200"))
        go_on.happen()

        assert (refused.status, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert first.answer().status == 200


def test_a_full_upstream_is_waited_for(govern: Govern, upstream: ScriptedUpstream) -> None:
    scripted = {"kind": "openai", "base_url": upstream.url, "max_connections": 1}
    gateway = govern({"queue": {"max_wait_s": 20}}, upstreams={"scripted": scripted})
    go_on = Moment()
    upstream.script(plain(completion(), before=[go_on]), plain(completion()))
    with WireClient(gateway.address) as first, WireClient(gateway.address) as second:
        sent(first)
        upstream.wait_for_request()
        sent(second, OTHER)
        wait_for(gateway, "tierway_in_flight", 3)  # both, and the one that looks

        go_on.happen()

        assert first.answer().status == 200
        waited = second.answer()
        assert waited.status == 200
        assert waited.headers["x-tierway-queue"].startswith("position=1;")
