"""Continues what the Responses API keeps between calls: back to the upstream that has it, or from our own store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from gateway.domain.caller import Caller
from gateway.domain.errors import InvalidRequestError, NotFoundError
from gateway.domain.responses import ResponsesRequest
from gateway.stored.responses import Bound, Kept, StoredResponses
from gateway.upstreams.base import PlainReply, Reply, StreamReply
from gateway.upstreams.passing import PassingStream
from gateway.upstreams.settings import Model
from policies.sanitise.redaction.redactor import Vault
from router.base import Decision

Item = dict[str, Any]

_PINNED: Final = "pinned"
"""The router's reason for a model that was asked for by its own name."""


class Continuity:
    """Finds what a request continues, and remembers what later ones may continue.

    Args:
        stored: responses and bindings, by team.
        models: the configured models.
    """

    def __init__(self, stored: StoredResponses, models: Mapping[str, Model]) -> None:
        self._stored = stored
        self._models = models

    async def resume(
        self, caller: Caller, request: ResponsesRequest, decision: Decision
    ) -> tuple[ResponsesRequest, Decision]:
        """Return the request with what the gateway keeps of its conversation put in, and who may answer it.

        Raises:
            InvalidRequestError: the response it continues is unknown, or lives where the model does not.
            NotFoundError: its conversation is unknown.
        """
        request = await self._with_items(caller, request)
        if request.previous_response_id is not None:
            found = await self._stored.find(request.previous_response_id, owner(caller))
            if found is None:
                message = f"Previous response with id '{request.previous_response_id[:100]}' not found."
                raise InvalidRequestError(message, param="previous_response_id", code="previous_response_not_found")
            if isinstance(found, Kept):
                return _continued(request, found), decision
            return request, self._bound(found, decision)
        if request.conversation_id is not None:
            home = await self._stored.find(request.conversation_id, owner(caller))
            if not isinstance(home, Bound):
                message = f"Conversation with id '{request.conversation_id[:100]}' not found."
                raise NotFoundError(message, param="conversation")
            return request, self._bound(home, decision)
        return request, decision

    async def remember(
        self, caller: Caller, request: ResponsesRequest, model: str, reply: Reply, vault: Vault | None = None
    ) -> Reply:
        """Return the reply; by the time its end is sent, its response can be continued.

        Args:
            caller: who may continue it.
            request: that was answered.
            model: the routed model's name.
            reply: the answer, with its placeholders.
            vault: what placeholders of the conversation stand for, where there are any.
        """
        if not request.is_stored:
            return reply
        keep = partial(self._keep, caller, request, model, vault)
        if not isinstance(reply, PlainReply):
            return RememberedStream(reply, keep)
        await keep(reply, reply.body)
        return reply

    async def vault_of(self, caller: Caller, record_id: str | None) -> Vault | None:
        """Return what placeholders stand for in a response or conversation, None where it has none.

        Raises:
            StageUnavailableError: nobody can tell.
        """
        found = None if not record_id else await self._stored.find(record_id, _of_vaults(caller))
        return msgspec.json.decode(found.response, type=Vault) if isinstance(found, Kept) else None

    async def _keep(
        self,
        caller: Caller,
        request: ResponsesRequest,
        model: str,
        vault: Vault | None,
        reply: Reply,
        response: bytes,
    ) -> None:
        """Keep a response that was made by translation, or note which upstream has it."""
        if vault is not None and vault.values:
            kept = msgspec.json.encode(vault)
            for record_id in (reply.response_id, request.conversation_id or ""):
                await self._stored.keep(record_id, _of_vaults(caller), model, kept, b"[]")
        if reply.dropped is None:
            await self._stored.bind(reply.response_id, owner(caller), self._models[model].upstream, model)
        else:
            items = msgspec.json.encode(_items(request.document))
            await self._stored.keep(reply.response_id, owner(caller), model, response, items)

    async def find(self, caller: Caller, record_id: str) -> Bound | Kept:
        """Return where a response or conversation is.

        Raises:
            NotFoundError: it is unknown, or another team's.
        """
        found = await self._stored.find(record_id, owner(caller))
        if found is None:
            raise NotFoundError(f"Nothing with id '{record_id[:100]}' was found.")
        return found

    async def bind(self, caller: Caller, record_id: str, upstream: str) -> None:
        """Note which upstream has a conversation."""
        await self._stored.bind(record_id, owner(caller), upstream, "")

    async def forget(self, caller: Caller, record_id: str) -> None:
        """Forget a response or conversation."""
        await self._stored.forget(record_id, owner(caller))
        await self._stored.forget(record_id, _of_vaults(caller))

    def _bound(self, found: Bound, decision: Decision) -> Decision:
        """Return who may answer, narrowed to one upstream: no other knows of what came before."""
        there = tuple(name for name in decision.candidates if self._models[name].upstream == found.upstream)
        if not there:
            known = self._models.get(found.model)
            if decision.reason == _PINNED or known is None or known.upstream != found.upstream:
                message = "What this request continues is kept by another provider than the one of this model."
                raise InvalidRequestError(message, param="model", code="previous_response_elsewhere")
            there = (found.model,)
        return msgspec.structs.replace(decision, candidates=there, spare=())

    async def _with_items(self, caller: Caller, request: ResponsesRequest) -> ResponsesRequest:
        """Replace references to items of responses that the gateway keeps by the items."""
        given = request.document.get("input")
        if not isinstance(given, list) or not any(item.get("type") == "item_reference" for item in given):
            return request
        items = [await self._item(caller, item) for item in given]
        body = request.edited({"input": msgspec.json.encode(items)})
        return type(request)(body, {**request.document, "input": items}, is_faithful=False)

    async def _item(self, caller: Caller, item: Item) -> Item:
        item_id = item.get("id")
        if item.get("type") != "item_reference" or not isinstance(item_id, str):
            return item
        found = await self._stored.find_item(item_id, owner(caller))
        return item if found is None else msgspec.json.decode(found, type=Item)


class RememberedStream(PassingStream):
    """A stream whose response is remembered before its end is sent.

    Args:
        stream: the answer.
        keep: keeps it; takes the stream and, of a translated one, the whole response.
    """

    def __init__(self, stream: StreamReply, keep: Callable[[Reply, bytes], Awaitable[None]]) -> None:
        super().__init__(stream)
        self._keep = keep
        self._is_kept = False

    async def block(self) -> bytes | None:
        """Return the next events; see `StreamReply.block`."""
        block = await self._stream.block()
        is_known = self._stream.response_id if self._stream.dropped is None else self._stream.final
        if is_known and not self._is_kept:
            self._is_kept = True
            await self._keep(self._stream, self._stream.final)
        return block


def owner(caller: Caller) -> str:
    """Return whom a response belongs to: the team, as a project's keys share theirs at OpenAI."""
    return f"{caller.organisation}/{caller.team}"


def _of_vaults(caller: Caller) -> str:
    """Return whom what placeholders stand for belongs to: no name has a line's end, and so no request asks for it."""
    return f"{owner(caller)}\nguard"


def _continued(request: ResponsesRequest, kept: Kept) -> ResponsesRequest:
    """Put what was said before in front of a request's input."""
    before: list[Item] = msgspec.json.decode(kept.items)
    before += msgspec.json.decode(kept.response)["output"]
    now = _items(request.document)
    plain = msgspec.json.encode([*_without_traces(before), *now])
    body = request.edited({"input": plain, "previous_response_id": b"null"})
    continued = type(request)(body, {**request.document, "input": [*before, *now]}, is_faithful=False)
    continued.previous_response_id = None  # the document names it still, for the answer to repeat
    return continued


def _items(document: Mapping[str, Any]) -> list[Item]:
    given = document.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return list(given or ())


def _without_traces(items: Sequence[Item]) -> list[Item]:
    """Return items as an upstream may see them that made none of them: without our ids and sealed reasoning."""
    return [
        {name: value for name, value in item.items() if name not in ("id", "status")}
        for item in items
        if item.get("type") != "reasoning"
    ]
