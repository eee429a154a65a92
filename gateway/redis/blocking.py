"""A client for calls that are made in threads and seldom, such as those about keys."""

from __future__ import annotations

import threading
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from gateway.domain.errors import StageUnavailableError
from gateway.redis.address import RedisAddress
from gateway.redis.connection import Part, Script


class BlockingRedis:
    """Sends one command at a time to one Redis, from any thread; never to be called on an event loop.

    It connects with the first call. After a failure the next call connects afresh, which finds the new primary of
    Sentinels or a cluster. Nothing is sent twice.

    Args:
        address: where.
        timeout_s: for a connection and for each answer, seconds, > 0.
    """

    def __init__(self, address: RedisAddress, *, timeout_s: float = 2.0) -> None:
        self._address, self._timeout_s = address, timeout_s
        self._lock = threading.Lock()
        self._client: Any = None

    def call(self, *parts: Part) -> Any:
        """Send a command and return its answer, bytes undecoded.

        Raises:
            StageUnavailableError: Redis is out of reach or refused the command. It may have been carried out.
        """
        with self._lock:
            try:
                if self._client is None:
                    self._client = self._connect()
                return self._client.execute_command(*parts)
            except (RedisError, OSError) as error:
                self._disconnect()
                # Only the kind of the fault: what redis-py says may repeat what it was given.
                message = f"Redis at {self._address} failed ({type(error).__name__})"
                raise StageUnavailableError(message) from error

    def run(self, script: Script, keys: tuple[bytes, ...], *arguments: Part) -> Any:
        """Run a script on keys of one slot; errors as for `call`."""
        return self.call("EVAL", script.source, len(keys), *keys, *arguments)

    def close(self) -> None:
        """Disconnect; the next call would connect again."""
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connect(self) -> Any:
        address, options = self._address, self._options()
        if address.kind == "unix":
            return Redis(unix_socket_path=address.path, db=address.db, **options)
        if address.kind == "cluster":
            make_node: Any = ClusterNode  # its constructor has no types
            nodes = [make_node(host, port) for host, port in address.hosts]
            return RedisCluster(startup_nodes=nodes, **options)
        if address.kind == "sentinel":
            # The Sentinels are asked without the password: it is the server's.
            asking = {name: value for name, value in options.items() if name not in ("username", "password")}
            make: Any = Sentinel  # its constructor has no types
            return make(list(address.hosts), sentinel_kwargs=asking, **options).master_for(
                address.service, db=address.db
            )
        host, port = address.hosts[0]
        return Redis(host=host, port=port, db=address.db, **options)

    def _options(self) -> dict[str, Any]:
        address = self._address
        options: dict[str, Any] = {
            "username": address.user,
            "password": address.password.reveal() if address.password else None,
            "socket_timeout": self._timeout_s,
            "socket_connect_timeout": self._timeout_s,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "client_name": "tierway",
        }
        if address.tls is not None:
            options |= {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True, **address.tls}
        return options
