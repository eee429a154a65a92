"""The client for calls in threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from gateway.domain.errors import StageUnavailableError
from gateway.redis.address import parse_address
from gateway.redis.blocking import BlockingRedis
from gateway.redis.connection import Script
from tests.support.redis_server import RedisServer, free_port, reached

PASSWORD = "do-not-show"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


def client(url: str, timeout_s: float = 5.0) -> BlockingRedis:
    return BlockingRedis(parse_address(url), timeout_s=timeout_s)


def shown(error: BaseException | None) -> str:
    return "" if error is None else f"{error!r} {error} " + shown(error.__cause__ or error.__context__)


def test_a_command_is_answered_in_bytes(server: RedisServer) -> None:
    redis = client(server.url)

    assert redis.call("SET", "a", 1) in (True, b"OK")
    assert redis.call("GET", "a") == b"1"
    assert redis.run(Script(b"return {KEYS[1], ARGV[1]}", ""), (b"k",), "x") == [b"k", b"x"]
    redis.close()


def test_threads_do_not_get_each_others_answers(server: RedisServer) -> None:
    redis = client(server.url)
    wrong: list[int] = []

    def ask(name: int) -> None:
        wrong.extend(turn for turn in range(50) if redis.call("ECHO", f"{name}-{turn}") != f"{name}-{turn}".encode())

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert wrong == []
    redis.close()


def test_a_lost_redis_is_unavailable_and_found_again(server: RedisServer) -> None:
    redis = client(server.url)
    redis.call("PING")
    server.kill()
    with pytest.raises(StageUnavailableError):
        redis.call("PING")
    server.start()

    assert redis.call("ECHO", "x") == b"x"
    redis.close()


def test_a_silent_redis_is_given_up(server: RedisServer) -> None:
    redis = client(server.url, timeout_s=0.1)
    server.pause()

    with pytest.raises(StageUnavailableError):
        redis.call("PING")

    server.go_on()
    redis.close()


def test_a_closed_client_connects_again(server: RedisServer) -> None:
    redis = client(server.url)
    redis.call("PING")
    redis.close()
    redis.close()

    assert redis.call("ECHO", "x") == b"x"
    redis.close()


def test_a_wrong_password_is_not_shown() -> None:
    with RedisServer(("requirepass right",), admin={"password": "right"}) as locked:
        redis = client(f"redis://:{PASSWORD}@127.0.0.1:{locked.port}")

        with pytest.raises(StageUnavailableError) as refused:
            redis.call("PING")

        redis.close()
    assert PASSWORD not in shown(refused.value)
    assert PASSWORD not in repr(vars(redis))


def test_the_right_password_and_database_are_used() -> None:
    with RedisServer(("requirepass right",), admin={"password": "right"}) as locked:
        redis = client(f"redis://default:right@127.0.0.1:{locked.port}/3")
        redis.call("SET", "a", 1)

        assert "db3" in locked.command("INFO", "keyspace")
        redis.close()


def test_a_unix_socket_is_spoken_to(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with RedisServer((f"unixsocket {path}",)):
        redis = client(f"unix://{path}?db=1")

        assert redis.call("ECHO", "x") == b"x"
        redis.close()


def test_tls_is_spoken_and_the_certificate_is_checked(tmp_path: Path) -> None:
    authority, port = trustme.CA(), free_port()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    files = (f"tls-cert-file {tmp_path}/cert.pem", f"tls-key-file {tmp_path}/key.pem")
    lines = (f"tls-port {port}", *files, f"tls-ca-cert-file {tmp_path}/ca.pem", "tls-auth-clients no")
    try:
        started = RedisServer(lines).__enter__()
    except AssertionError:
        pytest.skip("this redis-server was built without TLS")
    trusting = client(f"rediss://127.0.0.1:{port}?ssl_ca_certs={tmp_path}/ca.pem")
    doubting = client(f"rediss://:{PASSWORD}@127.0.0.1:{port}")

    assert trusting.call("ECHO", "x") == b"x"
    with pytest.raises(StageUnavailableError) as refused:
        doubting.call("PING")

    assert PASSWORD not in shown(refused.value)
    trusting.close()
    doubting.close()
    started.__exit__(None, None, None)


def test_sentinels_are_asked_for_the_primary(server: RedisServer) -> None:
    lines = (f"sentinel monitor main 127.0.0.1 {server.port} 1",)
    with RedisServer(lines, arguments=("--sentinel",)) as sentinel:
        redis = client(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/main/0")

        redis.call("SET", "a", 1)

        assert server.command("GET", "a") == b"1"
        redis.close()


async def test_a_cluster_is_asked_for_the_node_of_the_key() -> None:
    with RedisServer(("cluster-enabled yes",)) as node:
        node.command("CLUSTER", "ADDSLOTS", *range(16384))
        await reached(lambda: is_ok(node))
        redis = client(f"redis+cluster://127.0.0.1:{node.port}")

        redis.run(Script(b"return redis.call('SET', KEYS[1], ARGV[1])", ""), (b"tierway:{acme}:a",), 1)

        assert redis.call("GET", "tierway:{acme}:a") == b"1"
        redis.close()


def is_ok(node: RedisServer) -> bool:
    shown_as_text_or_dict = str(node.command("CLUSTER", "INFO")).replace("'", "").replace(" ", "")
    return "cluster_state:ok" in shown_as_text_or_dict
