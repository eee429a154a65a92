"""Two workers of one gateway: they serve as one, and none of them is missed."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path
from typing import Any, Final

from tests.journey.workers.conftest import StartWorkers
from tests.soak.rolling_restart import restart_under_load
from tests.support.live import LiveGateway, relay_settings, wait_until
from tests.support.moment import Moment
from tests.support.scripted_upstream import ScriptedUpstream, chunk, events, plain, stream
from tests.support.wire import Answer, WireClient, chat, chat_bytes

ECHO: Final[dict[str, Any]] = {
    "upstreams": {"offline": {"kind": "echo"}},
    "models": {"small": {"upstream": "offline"}},
}


def pid_of(gateway: LiveGateway, number: int) -> int:
    message = gateway.wait_for_message(f"worker {number} (")
    found = re.search(r"\((\d+)\)", message)
    assert found is not None
    return int(found[1])


def ask(gateway: LiveGateway) -> Answer:
    with WireClient(gateway.address) as client:
        return client.post_chat(chat("small"))


def requests_of(metrics: dict[str, float]) -> float:
    return sum(value for name, value in metrics.items() if name.startswith("tierway_requests_total{"))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_are_replaced_under_load_without_a_failed_request(tmp_path: Path) -> None:
    outcome = restart_under_load(tmp_path, per_second=100.0, seconds=5.0)

    assert outcome.failures == []
    assert outcome.restarts > 0
    assert outcome.counted == outcome.answered == 500
    assert outcome.workers == 2


def test_whichever_worker_is_asked_for_metrics_answers_for_all(start_workers: StartWorkers) -> None:
    gateway = start_workers(ECHO)
    for _ in range(40):
        assert ask(gateway).status == 200

    readings = [gateway.metrics() for _ in range(10)]

    assert {requests_of(metrics) for metrics in readings} == {40}
    assert {metrics["tierway_workers"] for metrics in readings} == {2}
    assert {sum("tierway_config_info" in name for name in metrics) for metrics in readings} == {1}
    assert all(metrics[f'process_start_time_seconds{{worker="{slot}"}}'] for metrics in readings for slot in (1, 2))


def test_every_line_of_the_log_is_whole(start_workers: StartWorkers) -> None:
    gateway = start_workers(ECHO)
    for _ in range(100):
        ask(gateway)

    wait_until(lambda: len(gateway.log) == 100, "a line for each")

    assert {line["status"] for line in gateway.log} == {200}


def test_worker_that_is_killed_is_replaced_and_only_its_counts_are_lost(start_workers: StartWorkers) -> None:
    gateway = start_workers(ECHO)

    os.kill(pid_of(gateway, 1), signal.SIGKILL)

    gateway.wait_for_message("worker 3 (")
    for _ in range(10):
        assert ask(gateway).status == 200
    assert requests_of(gateway.metrics()) == 10
    assert gateway.metrics()["tierway_workers"] == 2


def test_stream_in_flight_is_finished_before_the_workers_end(
    start_workers: StartWorkers, upstream: ScriptedUpstream
) -> None:
    go_on = Moment()
    first, last, done = events(chunk("Hi"), chunk(finish="stop"), b"[DONE]")
    upstream.script(stream(first, go_on, last, done))
    gateway = start_workers(relay_settings(upstream.url))
    with WireClient(gateway.address) as client:
        client.send(chat_bytes(chat(stream=True)))
        client.head()
        assert client.chunk() == first

        gateway.terminate()
        wait_until(lambda: not is_listening(gateway.address), "the end of listening")
        go_on.happen()

        rest = b""
        while piece := client.chunk():
            rest += piece
        assert (rest, piece) == (last + done, b"")
    assert gateway.wait_for_exit() == 0


def test_everybody_is_told_to_stop_and_the_stream_in_flight_is_finished_all_the_same(
    start_workers: StartWorkers, upstream: ScriptedUpstream
) -> None:
    go_on = Moment()
    first, done = events(chunk("Hi"), b"[DONE]")
    upstream.script(stream(first, go_on, done))
    gateway = start_workers(relay_settings(upstream.url))
    with WireClient(gateway.address) as client:
        client.send(chat_bytes(chat(stream=True)))
        client.head()
        assert client.chunk() == first

        for pid in (*(pid_of(gateway, number) for number in (1, 2)), gateway.pid):  # as systemd does
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_listening(gateway.address), "the end of listening")
        go_on.happen()

        assert [client.chunk(), client.chunk()] == [done, b""]
    assert gateway.wait_for_exit() == 0


def test_second_signal_ends_the_workers_at_once(start_workers: StartWorkers, upstream: ScriptedUpstream) -> None:
    never = Moment()
    upstream.script(plain({}, before=[never]))
    gateway = start_workers(relay_settings(upstream.url))
    with WireClient(gateway.address) as client:
        client.send(chat_bytes(chat()))
        upstream.wait_for_request()
        gateway.terminate()
        wait_until(lambda: not is_listening(gateway.address), "the end of listening")

        gateway.terminate()

        assert gateway.wait_for_exit() == -signal.SIGTERM
        upstream.last.closed.wait()
    never.happen()


def test_workers_without_a_supervisor_finish_and_end(start_workers: StartWorkers, upstream: ScriptedUpstream) -> None:
    go_on = Moment()
    first, done = events(chunk("Hi"), b"[DONE]")
    upstream.script(stream(first, go_on, done))
    gateway = start_workers(relay_settings(upstream.url))
    workers = [pid_of(gateway, number) for number in (1, 2)]
    with WireClient(gateway.address) as client:
        client.send(chat_bytes(chat(stream=True)))
        client.head()
        assert client.chunk() == first

        gateway.process.kill()
        wait_until(lambda: not is_listening(gateway.address), "the end of listening")
        go_on.happen()

        assert [client.chunk(), client.chunk()] == [done, b""]
    wait_until(lambda: not any(map(is_running, workers)), "the end of the workers")


def test_operators_address_is_shared_too(start_workers: StartWorkers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = probe.getsockname()
    gateway = start_workers({**ECHO, "server": {"admin_listen": f"127.0.0.1:{address[1]}"}})
    ask(gateway)

    with WireClient(address) as client:
        answer = client.request("GET", "/metrics")

    assert b"\ntierway_workers 2.0\n" in answer.body


def is_listening(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True
