"""Where a Redis is, as settings name it, and how a connection to its primary is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec
from redis._parsers.hiredis import NOT_ENOUGH_DATA, _AsyncHiredisParser
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisClusterException

from gateway.domain.secret import Secret

_SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_PORTS: Final = {"redis": 6379, "rediss": 6379, "unix": 0, "sentinel": 26379, "cluster": 6379}
_TLS_OPTIONS: Final[tuple[str, ...]] = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")

_FORMS: Final = (
    "redis://host:6379/0, rediss://host:6379/0, unix:///path?db=0, redis+sentinel://host:26379,host/service/0 or "
    "redis+cluster://host:6379,host; a user and a password stand before the host as user:password@, in percent encoding"
)


class PipelineParser(_AsyncHiredisParser):
    """Reads the answers to a whole pipeline in one step, which costs a fifth of a step each.

    Attributes:
        expected: how many answers the next step reads, errors among them as they are; 0 for one answer.
    """

    expected = 0

    async def read_response(self, disable_decoding: bool = False, push_request: bool = False) -> Any:  # noqa: FBT001, FBT002  redis-py's signature
        """Return what was asked for, bytes undecoded if that is several answers."""
        count, self.expected = self.expected, 0
        if not count:
            return await super().read_response(disable_decoding=disable_decoding, push_request=push_request)
        reader: Any = self._reader
        replies: list[Any] = []
        while len(replies) < count:
            reply = reader.gets(False)  # noqa: FBT003  hiredis takes it by place
            if reply is NOT_ENOUGH_DATA:
                await self.read_from_socket()  # type: ignore[no-untyped-call]
            else:
                replies.append(reply)
        return replies


class RedisAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a Redis is.

    Attributes:
        kind: what stands at `hosts`.
        hosts: names and ports of the server, of its Sentinels, or of nodes of the cluster; none for a unix socket.
        path: the unix socket.
        service: what the Sentinels call the primary.
        db: number of the database; a cluster has only 0.
        tls: files, by redis-py's name of the option; None for no TLS.
    """

    kind: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    user: str | None = None
    password: Secret | None = None
    tls: Mapping[str, str] | None = None

    def __str__(self) -> str:
        """Return what may be logged: no user and no password."""
        places = ",".join(f"{host}:{port}" for host, port in self.hosts)
        scheme = ("rediss" if self.tls is not None else "redis") + ("" if self.kind == "server" else f"+{self.kind}")
        return f"unix://{self.path}" if self.kind == "unix" else f"{scheme}://{places}"


def parse_address(url: str) -> RedisAddress:
    """Read an address.

    With TLS, the query may name files: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`. The server's certificate and name
    are always checked.

    Args:
        url: in one of the forms of this module; several hosts are separated by commas.

    Raises:
        ValueError: it is none of these; the message does not repeat the address, which may hold a password.
    """
    try:
        address = _parse(url)
    except ValueError as error:
        # `from None`: what int() complains about may be a piece of the password.
        raise ValueError(f"this is no address of a Redis ({error}); addresses look like {_FORMS}") from None
    return address


def _parse(url: str) -> RedisAddress:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ValueError("its scheme is not known")
    rest, _, query = rest.partition("?")
    options = dict(parse_qsl(query))
    secure, kind = scheme.startswith("rediss"), scheme.rpartition("+")[2]
    credentials, _, place = rest.rpartition("@")
    user, _, password = credentials.partition(":")
    places, _, path = place.partition("/")
    service, _, db = path.rpartition("/")
    if kind == "sentinel" and not service:
        service, db = db, ""
    if (kind == "sentinel") != bool(service) and kind != "unix":
        raise ValueError("the name of the primary is missing, or stands where there are no Sentinels")
    if kind == "cluster" and path:
        raise ValueError("a cluster has no numbered databases")
    tls: dict[str, str] | None = (
        {name: options.pop(name) for name in _TLS_OPTIONS if name in options} if secure else None
    )
    if kind == "unix":
        db = options.pop("db", "")
    if options:
        raise ValueError("an option in its query is not known")
    return RedisAddress(
        kind="server" if kind in ("redis", "rediss") else kind,
        hosts=() if kind == "unix" else tuple(_host(text, _PORTS[kind]) for text in places.split(",")),
        path=f"/{unquote(path)}" if kind == "unix" else "",
        service="" if kind == "unix" else unquote(service),
        db=_number(db or "0", "the database", 1 << 20),
        user=unquote(user) or None,
        password=Secret(unquote(password)) if password else None,
        tls=tls,
    )


def _host(text: str, port: int) -> tuple[str, int]:
    name, separator, number = text.rpartition(":")
    if text.endswith("]") or not separator:
        name, number = text, str(port)
    if not name.strip("[]"):
        raise ValueError("a host has no name")
    return name.strip("[]"), _number(number, "a port", 65_535)


def _number(text: str, what: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 8 and int(text) <= most):
        raise ValueError(f"{what} is no number from 0 to {most}")
    return int(text)


async def read_replies(connection: AbstractConnection, count: int) -> list[Any]:
    """Return the answers to the next commands that were sent, errors among them as they are.

    Args:
        connection: one that `open_connection` opened.
        count: how many, > 0.

    Raises:
        redis.exceptions.RedisError, OSError: the connection ended before.
    """
    parser = connection._get_parser()  # noqa: SLF001  redis-py reads one answer at a time
    assert isinstance(parser, PipelineParser)  # noqa: S101  open_connection asks for it
    parser.expected = count
    replies: list[Any] = await connection.read_response(disable_decoding=True)
    return replies


async def open_connection(address: RedisAddress, *, slot_key: str, connect_timeout_s: float) -> AbstractConnection:
    """Open a connection to the server that takes writes for a key.

    Sentinels and cluster nodes are asked each time: after a failover the answer is another.

    Args:
        slot_key: in a cluster, a key of the slot that will be used.
        connect_timeout_s: for each server asked and for the connection itself, seconds, > 0.

    Raises:
        redis.exceptions.RedisError, OSError, TimeoutError: nobody answers, or not as hoped.
    """
    options = _options(address, connect_timeout_s)
    if address.kind == "unix":
        connection: AbstractConnection = UnixDomainSocketConnection(path=address.path, db=address.db, **options)
    else:
        host, port = await _primary(address, slot_key, connect_timeout_s)
        kind: type[Connection] = Connection if address.tls is None else SSLConnection
        connection = kind(host=host, port=port, db=address.db, **options)
    await connection.connect()  # type: ignore[no-untyped-call]
    return connection


def _options(address: RedisAddress, connect_timeout_s: float) -> dict[str, Any]:
    # No timeout on reads and writes: the caller sets one around a whole pipeline, which costs less than one a reply.
    return {
        "username": address.user,
        "password": address.password.reveal() if address.password else None,
        "socket_timeout": None,
        "socket_connect_timeout": connect_timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
        "client_name": "tierway",
        "parser_class": PipelineParser,
        **(address.tls or {}),
    }


async def _primary(address: RedisAddress, slot_key: str, connect_timeout_s: float) -> tuple[str, int]:
    if address.kind == "sentinel":
        return await _ask_sentinels(address, connect_timeout_s)
    if address.kind == "cluster":
        return await _ask_cluster(address, slot_key, connect_timeout_s)
    return address.hosts[0]


async def _ask_sentinels(address: RedisAddress, connect_timeout_s: float) -> tuple[str, int]:
    # The Sentinels are asked without the password: it is the server's.
    options: dict[str, Any] = {"socket_timeout": connect_timeout_s, "protocol": 2, "retry": Retry(NoBackoff(), 0)}
    if address.tls is not None:
        options |= {"ssl": True, **address.tls}
    make: Callable[..., Sentinel] = Sentinel  # its constructor has no types
    sentinel = make(list(address.hosts), sentinel_kwargs=options)
    try:
        host, port = await sentinel.discover_master(address.service)
    finally:
        for client in sentinel.sentinels:
            await client.aclose()
    return str(host), int(port)


async def _ask_cluster(address: RedisAddress, slot_key: str, connect_timeout_s: float) -> tuple[str, int]:
    cluster = RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
        username=address.user,
        password=address.password.reveal() if address.password else None,
        socket_timeout=connect_timeout_s,
        socket_connect_timeout=connect_timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        ssl=address.tls is not None,
        **(address.tls or {}),  # type: ignore[arg-type]  # names of files, whatever else the options may be
    )
    try:
        _ = await cluster.initialize()
        node = cluster.nodes_manager.get_node_from_slot(key_slot(slot_key.encode()))
    except RedisClusterException as error:
        raise ConnectionError("no node of the cluster answers for this key") from error
    finally:
        await cluster.aclose()
    return str(node.host), int(node.port)
