"""The httpx2 engine: HTTP/2 and proxies, and `MockTransport` for tests."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Final

import httpx2

from gateway.domain.errors import (
    UpstreamClosedError,
    UpstreamError,
    UpstreamGarbledError,
    UpstreamOverloadedError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from gateway.upstreams.transport import Headers, Request, Upload

_ERRORS: Final[tuple[tuple[type[Exception], type[UpstreamError], str], ...]] = (
    (httpx2.ConnectTimeout, UpstreamTimeoutError, "Connecting to the upstream took too long."),
    (httpx2.PoolTimeout, UpstreamOverloadedError, "All connections to the upstream are in use."),
    (httpx2.TimeoutException, UpstreamTimeoutError, "The upstream did not answer in time."),
    (httpx2.ProxyError, UpstreamUnreachableError, "The proxy refused the connection."),
    (httpx2.RemoteProtocolError, UpstreamGarbledError, "The upstream's answer was cut off or is not HTTP."),
    (httpx2.ConnectError, UpstreamUnreachableError, "The upstream cannot be reached."),
    (httpx2.NetworkError, UpstreamClosedError, "The upstream closed the connection."),
    (httpx2.TransportError, UpstreamUnreachableError, "The call to the upstream failed."),
)
"""What each of httpx2's errors means here; the first that fits counts."""

_CLOSED: Final = "disconnected without sending a response"
"""What httpx2 says of a connection that ended before an answer began; it has no class of its own."""


class Httpx2Engine:
    """One origin through an `httpx2.AsyncClient`.

    Args:
        origin: scheme, host and port, without a path.
        client: with its pool, proxy and TLS set; owned by the engine.
    """

    def __init__(self, origin: str, client: httpx2.AsyncClient) -> None:
        self._origin = origin
        self._client = client
        self._has_kept = False

    async def send(self, request: Request) -> Httpx2Response:
        """Send a request; see `Engine.send`. A connection that may have been a kept one is replaced once."""
        try:
            response = await self._send(request)
        except UpstreamUnreachableError as error:
            if isinstance(request.body, Upload) or not self._has_kept or not _died_unanswered(error.__cause__):
                raise
            response = await self._send(request)
        self._has_kept = True
        return Httpx2Response(response)

    async def _send(self, request: Request) -> httpx2.Response:
        url = httpx2.URL(self._origin + request.target.decode("ascii"))
        headers, content = list(request.headers), request.body
        if isinstance(content, Upload):
            headers += [] if content.length is None else [(b"content-length", b"%d" % content.length)]
        message = httpx2.Request(
            request.method.decode("ascii"),
            url,
            headers=headers,
            content=content.chunks if isinstance(content, Upload) else content,
            extensions={"target": request.target},  # as it is: a URL would encode it anew
        )
        try:
            return await self._client.send(message, stream=True)
        except httpx2.HTTPError as error:
            if _died_unanswered(error):
                raise UpstreamClosedError("The upstream closed the connection before it answered.") from error
            raise _translate(error) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


class Httpx2Response:
    """An answer of httpx2."""

    __slots__ = ("_chunks", "_response", "headers", "status")

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._chunks: AsyncIterator[bytes] = response.aiter_raw()
        self.status = response.status_code
        self.headers: Headers = [(name.lower(), value) for name, value in response.headers.raw]

    async def chunk(self) -> bytes | None:
        """Return the next bytes of the body, or None at its end; see `EngineResponse.chunk`."""
        try:
            return await anext(self._chunks, None)
        except httpx2.HTTPError as error:
            raise _translate(error) from error

    async def close(self) -> None:
        """Give the connection back, or abort it."""
        await self._response.aclose()


def _died_unanswered(error: BaseException | None) -> bool:
    return isinstance(error, httpx2.RemoteProtocolError) and _CLOSED in str(error)


def _translate(error: Exception) -> UpstreamError:
    for kind, ours, message in _ERRORS:
        if isinstance(error, kind):
            return ours(message)
    return UpstreamUnreachableError("The call to the upstream failed.")


def make_client(
    *, tls: ssl.SSLContext | None, max_connections: int, connect_s: float, http2: bool, proxy: str | None
) -> httpx2.AsyncClient:
    """Return a client that neither redirects, nor decodes, nor reads the environment."""
    return httpx2.AsyncClient(
        verify=tls or True,
        http2=http2,
        proxy=proxy,
        trust_env=False,
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
        timeout=httpx2.Timeout(None, connect=connect_s, pool=connect_s),
    )
