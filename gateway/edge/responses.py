"""Stored responses: /v1/responses/{id}, its input items, its cancellation and its deletion."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from litestar.types import Receive, Scope, Send

from gateway.domain.caller import Caller
from gateway.domain.errors import InvalidRequestError, NotFoundError
from gateway.edge.answer import allows, exchange_of, send_json
from gateway.edge.answering import AnswerRoute
from gateway.edge.current import Current
from gateway.edge.paging import limit_of
from gateway.edge.relay import Relaying, Rewrite
from gateway.exchange import Exchange
from gateway.stored.responses import Kept

_METHODS: Final = {"": ("GET", "DELETE"), "cancel": ("POST",), "input_items": ("GET",)}
_MOST_ITEMS: Final = 100
_DEFAULT_ITEMS: Final = 20
"""How many input items one page has, as OpenAI's API reference says."""

Item = dict[str, Any]


class ResponsesRoute:
    """Shows, cancels and deletes stored responses: the gateway's own here, the others where they are.

    Mounted at `/v1/responses` and `/responses`.

    Args:
        current: what is served.
        relaying: passes requests on.
        operations: path to what makes responses; they are here too when the framework routes.
        root: the path it is mounted at.
    """

    def __init__(self, current: Current, relaying: Relaying, operations: Mapping[str, AnswerRoute], root: str) -> None:
        self._current = current
        self._relaying = relaying
        self._operations = operations
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        below = scope["path"].removeprefix(self._root)  # which the framework has taken off already
        if (operation := self._operations.get(self._root + below.rstrip("/"))) is not None:
            await operation(scope, receive, send)
            return
        exchange = exchange_of(scope)
        exchange.route = "responses"
        method = scope["method"]  # type: ignore[typeddict-item]  # only http scopes come here
        response_id, _, verb = below.strip("/").partition("/")
        if not below.startswith("/") or not response_id or verb not in _METHODS:
            raise NotFoundError("There is nothing at this address.")
        if not await allows(scope, send, *_METHODS[verb]):
            return
        pipeline = self._current.version.pipeline
        caller = pipeline.authenticate(exchange)
        found = await pipeline.continuity.find(caller, response_id)
        rewrite = None if method == "DELETE" else await self._rewriter(exchange, caller, response_id, verb)
        if isinstance(found, Kept):
            answer = await self._own(scope, caller, response_id, verb, found)
            if rewrite is not None:
                answer = msgspec.Raw(await rewrite(msgspec.json.encode(answer)))
            await send_json(send, exchange, answer)
            return
        if rewrite is not None and _query(scope).get("stream") == ["true"]:
            message = "A stored response cannot be streamed where a policy looks through answers; fetch it whole."
            raise InvalidRequestError(message, param="stream")
        await self._relaying.pass_on(scope, receive, send, upstream=found.upstream, rewrite=rewrite)
        if method == "DELETE" and 200 <= exchange.status < 300:
            await pipeline.continuity.forget(caller, response_id)

    async def _rewriter(self, exchange: Exchange, caller: Caller, response_id: str, verb: str) -> Rewrite | None:
        """Return what makes of an answer about a stored response what may be sent; None where it is sent as it is."""
        pipeline = self._current.version.pipeline
        inspection = await pipeline.inspect_fetched(exchange, caller, response_id)
        if inspection is None:
            return None
        guard = pipeline.answer_guard
        return partial(guard.restore_page if verb == "input_items" else guard.guard_response, inspection)

    async def _own(self, scope: Scope, caller: Caller, response_id: str, verb: str, kept: Kept) -> Any:
        """Return the answer about a response that the gateway keeps."""
        query = _query(scope)
        if verb == "input_items":
            return _page(msgspec.json.decode(kept.items), response_id, query)
        if verb == "cancel":
            raise InvalidRequestError("Only responses created with background=true can be cancelled.")
        if scope["method"] == "DELETE":  # type: ignore[typeddict-item]  # as above
            await self._current.version.pipeline.continuity.forget(caller, response_id)
            return {"id": response_id, "object": "response", "deleted": True}
        if query.get("stream") == ["true"]:
            raise InvalidRequestError("Only responses created with background=true can be streamed.", param="stream")
        return msgspec.Raw(kept.response)


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("latin-1"))


def _page(items: list[Item], response_id: str, query: dict[str, list[str]]) -> dict[str, Any]:
    """Return one page of input items, each with an id, newest first unless asked otherwise."""
    digits = response_id.removeprefix("resp_")
    named = [
        {"type": "message", **item, "id": item.get("id") or f"msg_{digits}_in{index}"}
        for index, item in enumerate(items)
    ]
    if query.get("order", ["desc"])[-1] != "asc":
        named.reverse()
    after = query.get("after", [""])[-1]
    ids = [item["id"] for item in named]
    start = ids.index(after) + 1 if after in ids else 0
    limit = limit_of(query, default=_DEFAULT_ITEMS, most=_MOST_ITEMS)
    page = named[start : start + limit]
    return {
        "object": "list",
        "data": [_full(item) for item in page],
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + limit < len(named),
    }


def _full(item: Item) -> Item:
    """Return an item the way the API lists it: a message's text as a part."""
    if item["type"] != "message" or not isinstance(item.get("content"), str):
        return item
    kind = "output_text" if item.get("role") == "assistant" else "input_text"
    return {"status": "completed", **item, "content": [{"type": kind, "text": item["content"]}]}
