"""Small real objects for tests that need one and do not care which."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from gateway.domain.caller import Caller
from gateway.domain.chat import ChatRequest, read_chat
from gateway.exchange import Exchange
from gateway.sealing import Sealer
from gateway.stored.memory import MemoryResponseStore
from gateway.stored.responses import StoredResponses
from gateway.upstreams.base import ModelCall
from gateway.upstreams.transport import Patience


def chat_body(content: Any = "Hello", model: str = "m", **fields: Any) -> bytes:
    """Return the body of a chat request with one user message."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": content}], **fields}).encode()


def chat_request(content: Any = "Hello", model: str = "m", **fields: Any) -> ChatRequest:
    return read_chat(chat_body(content, model, **fields))


def caller(**fields: Any) -> Caller:
    return Caller(**{"organisation": "acme", "team": "search", "key": "ci", "key_id": "key_1", **fields})


def patience(allowed_s: float = 600.0) -> Patience:
    """Return the patience of the running task."""
    task = asyncio.current_task()
    assert task is not None
    made = Patience(task)
    made.allow(allowed_s)
    return made


def model_call(request: ChatRequest | None = None, model: str = "m", **fields: Any) -> ModelCall:
    """Return one attempt, made by the running task."""
    return ModelCall(request=request or chat_request(), model=model, patience=patience(), **fields)


def exchange(headers: Mapping[bytes, bytes] | None = None, request_id: str = "req-1") -> Exchange:
    """Return the exchange of the running task."""
    task = asyncio.current_task()
    assert task is not None
    return Exchange(request_id, headers or {}, "192.0.2.1", task)


def stored_responses() -> StoredResponses:
    """Return a store of responses in memory."""
    store = MemoryResponseStore(2**20)
    return StoredResponses(store, store, Sealer(None))
