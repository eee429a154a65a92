"""The shared connection to Redis."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.domain.errors import StageUnavailableError
from gateway.redis.address import parse_address
from gateway.redis.connection import RedisConnection, Script, pack
from tests.support.redis_server import RedisServer, free_port, reached

PASSWORD = "do-not-show"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


def connect(url: str, **options: Any) -> RedisConnection:
    return RedisConnection(parse_address(url), **options)


async def test_the_calls_of_one_tick_share_a_pipeline(server: RedisServer) -> None:
    connection = connect(server.url)
    await connection.open()
    before = server.command("INFO", "stats")["total_reads_processed"]

    answers = await asyncio.gather(*(connection.call(pack("ECHO", number)) for number in range(200)))

    reads = server.command("INFO", "stats")["total_reads_processed"] - before
    assert answers == [str(number).encode() for number in range(200)]
    assert reads < 10
    await connection.close()


async def test_a_cancelled_caller_does_not_disturb_the_others(server: RedisServer) -> None:
    connection = connect(server.url)
    calls = [asyncio.ensure_future(connection.call(pack("ECHO", number))) for number in range(50)]
    await asyncio.sleep(0)
    for call in calls[::3]:
        call.cancel()

    answers = await asyncio.gather(*calls, return_exceptions=True)

    for number, answer in enumerate(answers):
        expected = asyncio.CancelledError if number % 3 == 0 else bytes
        assert isinstance(answer, expected)
    assert answers[1] == b"1"
    assert answers[49] == b"49"
    await connection.close()


async def test_a_command_redis_refuses_fails_alone(server: RedisServer) -> None:
    connection = connect(server.url)

    calls = (connection.call(pack("ECHO", "x")), connection.call(pack("NOSUCH")))
    answers = await asyncio.gather(*calls, return_exceptions=True)

    assert answers[0] == b"x"
    assert isinstance(answers[1], StageUnavailableError)
    assert connection.is_available
    assert connection.failures == 0
    await connection.close()


async def test_a_script_redis_has_forgotten_is_loaded_again(server: RedisServer) -> None:
    script = Script(b"return ARGV[1]", "098e0f0d1448c0a81dafe820f66d460eb09263da")
    connection = connect(server.url, scripts=(script,))
    run = pack("EVALSHA", script.sha, 0, "here")
    assert await connection.call(run) == b"here"
    server.command("SCRIPT", "FLUSH")

    answers = await asyncio.gather(*(connection.call(run) for _ in range(3)))

    assert answers == [b"here"] * 3
    await connection.close()


async def test_calls_fail_at_once_while_redis_is_out_of_reach_and_work_again_later(server: RedisServer) -> None:
    connection = connect(server.url)
    await connection.open()
    server.kill()
    with pytest.raises(StageUnavailableError):
        await connection.call(pack("SET", "a", 1))
    started = time.perf_counter()

    with pytest.raises(StageUnavailableError):
        await connection.call(pack("SET", "a", 1))

    assert time.perf_counter() - started < 0.05
    assert not connection.is_available
    server.start()
    await reached(lambda: connection.is_available)
    assert await connection.call(pack("SET", "a", 1)) == b"OK"
    assert connection.failures >= 1
    await connection.close()


async def test_a_connection_the_server_closed_while_idle_is_made_again_unnoticed(server: RedisServer) -> None:
    connection = connect(server.url)
    await connection.open()
    server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    kept: Any = connection._connection
    await reached(lambda: kept._reader.at_eof() or kept._reader.exception() is not None)

    assert await connection.call(pack("ECHO", "x")) == b"x"
    assert connection.failures == 0
    await connection.close()


async def test_a_silent_redis_is_given_up_after_the_command_timeout(server: RedisServer) -> None:
    connection = connect(server.url, command_timeout_s=0.1)
    await connection.open()
    server.pause()
    started = time.perf_counter()

    with pytest.raises(StageUnavailableError):
        await connection.call(pack("PING"))

    assert time.perf_counter() - started < 1.0
    server.go_on()
    await reached(lambda: connection.is_available)
    assert await connection.call(pack("PING")) == b"PONG"
    await connection.close()


async def test_kept_commands_wait_for_a_connection_and_arrive_in_order(server: RedisServer) -> None:
    connection = connect(server.url)
    await connection.open()
    server.kill()
    for number in range(600):
        await connection.keep(pack("RPUSH", "list", number))
    assert connection.queued == 600

    server.start()
    await reached(lambda: connection.is_available)

    assert connection.queued == 0
    assert connection.dropped == 0
    kept = await connection.call(pack("LRANGE", "list", 0, -1))
    assert kept == [str(number).encode() for number in range(600)]
    await connection.close()


async def test_the_oldest_kept_command_is_dropped_and_counted_when_too_many_wait(server: RedisServer) -> None:
    connection = connect(server.url, max_backlog=10)
    await connection.open()
    server.kill()
    with pytest.raises(StageUnavailableError):
        await connection.call(pack("PING"))
    for number in range(25):
        await connection.keep(pack("RPUSH", "list", number))

    assert (connection.queued, connection.dropped) == (10, 15)
    server.start()
    await reached(lambda: connection.is_available)
    assert await connection.call(pack("LINDEX", "list", 0)) == b"15"
    await connection.close()


async def test_a_kept_command_is_sent_even_if_its_caller_is_cancelled(server: RedisServer) -> None:
    connection = connect(server.url)
    kept = connection.keep(pack("INCR", "n"))
    kept.cancel()

    assert await connection.call(pack("GET", "n")) == b"1"
    await connection.close()


async def test_closing_sends_what_waits_first(server: RedisServer) -> None:
    connection = connect(server.url)
    kept = [connection.keep(pack("INCR", "n")) for _ in range(1000)]

    await connection.close()
    await connection.close()

    assert int(server.command("GET", "n")) == len(kept)
    with pytest.raises(StageUnavailableError):
        await connection.call(pack("PING"))


async def test_closing_gives_up_after_two_seconds() -> None:
    connection = connect(f"redis://127.0.0.1:{free_port()}")
    await connection.keep(pack("INCR", "n"))
    started = time.perf_counter()

    await connection.close()

    assert 1.5 < time.perf_counter() - started < 3.0
    assert connection.queued == 1


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        ("out of memory", ("maxmemory 1", "maxmemory-policy noeviction")),
        ("read only", ("replicaof 127.0.0.1 1", "replica-read-only yes")),
    ],
)
async def test_a_redis_that_cannot_write_is_unavailable(error: str, lines: tuple[str, ...]) -> None:
    with RedisServer(lines) as broken:
        connection = connect(broken.url)

        with pytest.raises(StageUnavailableError):
            await connection.call(pack("SET", "a", "x"))

        assert connection.failures == 1, error
        await connection.close()


async def test_a_wrong_password_is_not_shown() -> None:
    with RedisServer(("requirepass right",), admin={"password": "right"}) as locked:
        connection = connect(f"redis://:{PASSWORD}@127.0.0.1:{locked.port}")

        with pytest.raises(StageUnavailableError) as refused:
            await connection.open()

        await connection.close()
    assert PASSWORD not in shown(refused.value)
    assert PASSWORD not in repr(vars(connection))


async def test_the_right_password_and_database_are_used() -> None:
    with RedisServer(("requirepass right",), admin={"password": "right"}) as locked:
        connection = connect(f"redis://default:right@127.0.0.1:{locked.port}/3")
        await connection.call(pack("SET", "a", 1))

        assert "db3" in locked.command("INFO", "keyspace")
        await connection.close()


async def test_a_unix_socket_is_spoken_to(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with RedisServer((f"unixsocket {path}",)):
        connection = connect(f"unix://{path}?db=1")

        assert await connection.call(pack("PING")) == b"PONG"
        await connection.close()


def tls_lines(folder: Path, port: int) -> tuple[str, ...]:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return (
        f"tls-port {port}",
        f"tls-cert-file {folder}/cert.pem",
        f"tls-key-file {folder}/key.pem",
        f"tls-ca-cert-file {folder}/ca.pem",
        "tls-auth-clients no",
    )


async def test_tls_is_spoken_and_the_certificate_is_checked(tmp_path: Path) -> None:
    port = free_port()
    try:
        started = RedisServer(tls_lines(tmp_path, port)).__enter__()
    except AssertionError:
        pytest.skip("this redis-server was built without TLS")
    trusting = connect(f"rediss://127.0.0.1:{port}?ssl_ca_certs={tmp_path}/ca.pem")
    doubting = connect(f"rediss://:{PASSWORD}@127.0.0.1:{port}")

    assert await trusting.call(pack("PING")) == b"PONG"
    with pytest.raises(StageUnavailableError) as refused:
        await doubting.open()

    assert PASSWORD not in shown(refused.value)
    assert any(isinstance(error, ssl.SSLError) for error in chain(refused.value)) or "certificate" in shown(
        refused.value
    )
    await trusting.close()
    await doubting.close()
    started.__exit__(None, None, None)


async def test_sentinels_are_asked_for_the_primary(server: RedisServer) -> None:
    lines = (f"sentinel monitor main 127.0.0.1 {server.port} 1",)
    with RedisServer(lines, arguments=("--sentinel",)) as sentinel:
        connection = connect(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/main/0")

        await connection.call(pack("SET", "a", 1))

        assert server.command("GET", "a") == b"1"
        await connection.close()


async def test_a_cluster_is_asked_for_the_node_of_the_key() -> None:
    with RedisServer(("cluster-enabled yes",)) as node:
        node.command("CLUSTER", "ADDSLOTS", *range(16384))
        await reached(lambda: b"cluster_state:ok" in cluster_info(node))
        connection = connect(f"redis+cluster://127.0.0.1:{node.port}", slot_key="tierway:{acme}:")

        assert await connection.call(pack("SET", "tierway:{acme}:a", 1)) == b"OK"
        await connection.close()


def cluster_info(node: RedisServer) -> bytes:
    answer = node.command("CLUSTER", "INFO")
    return answer if isinstance(answer, bytes) else "".join(f"{k}:{v}\n" for k, v in answer.items()).encode()


def chain(error: BaseException | None) -> list[BaseException]:
    return [] if error is None else [error, *chain(error.__cause__ or error.__context__)]


def shown(error: BaseException) -> str:
    return " ".join(f"{one!r} {one}" for one in chain(error))
