"""POST /v1/moderations: answered by the gateway's own detectors, or passed on to an upstream that moderates."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar.types import Receive, Scope, Send

from gateway.domain.errors import InvalidRequestError, NotFoundError, PromptRejectedError
from gateway.edge.answer import JSON, allows, exchange_of, send_answer
from gateway.edge.body import read_body
from gateway.edge.current import Current, Version
from gateway.edge.limits import limit_lines
from gateway.edge.relay import METHODS, Relaying
from gateway.edge.wire import SCOPE_KEY, Wire
from gateway.guarding.moderation import MODEL
from policies.sanitise.external.settings import LOCAL

ENDPOINT: Final = "moderations"

MOST_TEXTS: Final = 1024
"""In one request."""

_MOST_BODY_MB: Final = 8.0
"""Of a body that is judged here: decoding more would hold up other requests for more than 5 ms."""


class _Part(msgspec.Struct):
    type: str
    text: str = ""


class _Question(msgspec.Struct):
    input: str | list[str | _Part]
    model: str | None = None


class ModerationsRoute:
    """Answers at `/v1/moderations` and `/moderations`.

    Args:
        current: what is served.
        relaying: passes requests on.
        root: the path it is mounted at.
    """

    def __init__(self, current: Current, relaying: Relaying, root: str) -> None:
        self._current, self._relaying, self._root = current, relaying, root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        exchange_of(scope).route = ENDPOINT
        below = scope["path"].removeprefix(self._root)
        if below and not below.startswith("/"):
            raise NotFoundError("There is nothing at this address.")
        version = self._current.version
        who = _who_answers(version)
        if who == LOCAL:
            if below not in ("", "/"):
                raise NotFoundError("There is nothing at this address.")
            if await allows(scope, send, "POST"):
                await self._answer(version, scope, receive, send)
        elif await allows(scope, send, *METHODS):
            await self._relaying.pass_on(scope, receive, send, endpoint=ENDPOINT, upstream=who)

    async def _answer(self, version: Version, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the gateway's own detectors. It counts as one request of the caller, and costs nothing."""
        exchange = exchange_of(scope)
        pipeline = version.pipeline
        caller = pipeline.authenticate(exchange)
        wire: Wire = scope[SCOPE_KEY]  # type: ignore[literal-required]  # put there by the wire itself
        server = version.settings.server
        bounded = msgspec.structs.replace(server, body_limit_mb=min(server.body_limit_mb, _MOST_BODY_MB))
        items = _read(await read_body(wire, receive, exchange.headers, bounded))
        await pipeline.admission.admit_relayed(exchange, caller, ENDPOINT, "POST")
        exchange.upstream = MODEL
        assert exchange.policy is not None  # noqa: S101  admission has set it
        plan = exchange.policy.guard
        _check_size(items, plan.limits.characters)
        results = [await self._current.moderation.judge(texts, plan) for texts in items]
        await exchange.settle()
        document = {"id": f"modr-{exchange.hold_id}", "model": MODEL, "results": results}
        headers = [JSON, *limit_lines(exchange), (b"x-tierway-overhead-ms", b"%.3f" % (exchange.overhead_s * 1000))]
        await send_answer(send, exchange, 200, headers, msgspec.json.encode(document))


def _who_answers(version: Version) -> str:
    """Return the upstream that answers, or `local`."""
    return version.settings.guard.moderations or version.settings.relay.upstream or LOCAL


def _read(body: bytes) -> list[list[str]]:
    """Return the texts of each result that is asked for: one of a string or of parts, several of several strings.

    Raises:
        InvalidRequestError: that is not what the body is.
    """
    try:
        asked = msgspec.json.decode(body, type=_Question).input
    except msgspec.ValidationError as error:
        message = "'input' must be a string, a list of strings, or a list of parts of type 'text'."
        raise InvalidRequestError(message, param="input") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError("The request body is not valid JSON.", code="invalid_json") from error
    if isinstance(asked, str):
        return [[asked]]
    if not asked or len(asked) > MOST_TEXTS:
        raise InvalidRequestError(f"'input' must have between 1 and {MOST_TEXTS} entries.", param="input")
    strings = [one for one in asked if isinstance(one, str)]
    if len(strings) == len(asked):
        return [[one] for one in strings]
    parts = [one for one in asked if isinstance(one, _Part)]
    if len(parts) < len(asked):
        raise InvalidRequestError("'input' must not mix strings and parts.", param="input")
    if any(part.type != "text" for part in parts):
        message = (
            "The gateway's own detectors judge text only; 'guard.moderations' may name an upstream that does more."
        )
        raise InvalidRequestError(message, code="unsupported_input", param="input")
    return [[part.text for part in parts]]


def _check_size(items: list[list[str]], most: int) -> None:
    found = sum(len(text) for texts in items for text in texts)
    if found > most:
        message = f"The input has {found} characters; the limit is {most}."
        raise PromptRejectedError(message, code="prompt_too_large", param="input")
