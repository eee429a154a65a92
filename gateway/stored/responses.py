"""What the gateway remembers of responses and conversations, each for the team that made it."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

import msgspec

from gateway.sealing import Sealer
from gateway.stored.base import Record, ResponseStore

log = logging.getLogger("tierway")

TTL_S: Final = 30 * 24 * 3600.0
"""Seconds a response is kept. OpenAI keeps response objects for 30 days by default, and conversation objects without
an end (developers.openai.com/api/docs/guides/conversation-state, read 2026-11)."""

SWEEP_S: Final = 300.0
"""Seconds between sweeps. Nothing expired is ever found, so this only bounds how long it takes up room."""

_CONVERSATION: Final = "conv_"

_OUR_ITEM: Final = re.compile(r"(?:msg|rs|fc|ctc)_([0-9a-f]{1,64})_[0-9]{1,6}")

_OFF_LOOP_BYTES: Final = 32 << 10
"""Content from this size is sealed in a thread: compressing takes 14 us a KiB (measured, zlib level 1), and handing
it to a thread about 60 us."""


class Bound(msgspec.Struct, frozen=True):
    """A response or conversation that an upstream keeps.

    Attributes:
        upstream: the upstream every later call about it must go to.
        model: the routed model's name; empty for a conversation that was bound without one.
    """

    upstream: str
    model: str


class Kept(msgspec.Struct, frozen=True):
    """A response that the gateway keeps itself.

    Attributes:
        model: the routed model's name.
        response: the response document, in JSON.
        items: the JSON array of the conversation's input items up to and including the call's own input.
    """

    model: str
    response: bytes
    items: bytes


class StoredResponses:
    """Binds ids to upstreams and keeps responses, apart for every owner.

    An id is looked up under a hash of it and its owner. So another owner's id cannot be told from one that never was,
    two upstreams that count their ids alike do not meet, and what a caller sends as an id is never kept itself.

    Args:
        bindings: keeps where responses and conversations live; nothing in it is secret.
        contents: keeps sealed responses; may be the same store.
        sealer: what they are sealed with.
        clock: seconds since the epoch.
        ttl_s: seconds a response is kept or bound. Conversations stay bound until the store needs the room.
    """

    def __init__(
        self,
        bindings: ResponseStore,
        contents: ResponseStore,
        sealer: Sealer,
        clock: Callable[[], float] = time.time,
        *,
        ttl_s: float = TTL_S,
    ) -> None:
        self._contents = contents
        self._sealer = sealer
        self._clock = clock
        self._ttl_s = ttl_s
        self._stores = (contents,) if contents is bindings else (contents, bindings)
        self._bindings = bindings
        self._told_of_unreadable = False

    @property
    def failed(self) -> int:
        """How many bindings and responses could not be kept."""
        return sum(store.failed for store in self._stores)

    async def bind(self, record_id: str, owner: str, upstream: str, model: str) -> None:
        """Remember which upstream keeps a response or conversation; never raises. An empty id names nothing."""
        if not record_id:
            return
        now = self._clock()
        ends_at = math.inf if record_id.startswith(_CONVERSATION) else now + self._ttl_s
        key = _key(record_id, owner)
        record = Record(id=key, owner=owner, upstream=upstream, model=model, created_at=now, expires_at=ends_at)
        await self._bindings.put(record)

    async def keep(self, record_id: str, owner: str, model: str, response: bytes, items: bytes) -> None:
        """Keep a response the gateway made; see `Kept` for the documents. Never raises. An empty id names nothing."""
        if not record_id:
            return
        key = _key(record_id, owner)
        plain = msgspec.msgpack.encode((response, items))
        if len(plain) < _OFF_LOOP_BYTES:
            sealed = self._sealer.seal(plain, about=_about(key, owner))
        else:
            sealed = await asyncio.to_thread(self._sealer.seal, plain, about=_about(key, owner))
        now = self._clock()
        record = Record(
            id=key, owner=owner, upstream="", model=model, created_at=now, expires_at=now + self._ttl_s, sealed=sealed
        )
        await self._contents.put(record)

    async def find(self, record_id: str, owner: str) -> Bound | Kept | None:
        """Return what is known of an id; None when nothing is, or it is another owner's, or it cannot be opened.

        Raises:
            StageUnavailableError: a store cannot be read.
        """
        key = _key(record_id, owner)
        for store in self._stores:
            record = await store.get(key)
            if record is not None:
                return Bound(record.upstream, record.model) if record.upstream else await self._open(record)
        return None

    async def find_item(self, item_id: str, owner: str) -> bytes | None:
        """Return the output item of that id, in JSON, of a response the gateway keeps; None when there is none.

        The gateway's own item ids name the response they belong to: `msg_<hex>_<n>` is in `resp_<hex>`.

        Raises:
            StageUnavailableError: a store cannot be read.
        """
        ours = _OUR_ITEM.fullmatch(item_id)
        found = await self.find(f"resp_{ours[1]}", owner) if ours else None
        return _item_of(found.response, item_id) if isinstance(found, Kept) else None

    async def forget(self, record_id: str, owner: str) -> bool:
        """Forget an id; False when it is unknown or another owner's.

        Raises:
            StageUnavailableError: a store cannot be written, and what it keeps may be there still.
        """
        key = _key(record_id, owner)
        forgotten = [await store.delete(key) for store in self._stores]
        return any(forgotten)

    async def run(self, every_s: float = SWEEP_S) -> None:
        """Drop what has expired, now and every `every_s` seconds, until cancelled."""
        while True:
            for store in self._stores:
                await store.sweep()
            await asyncio.sleep(every_s)

    async def close(self) -> None:
        """Close the stores."""
        for store in self._stores:
            await store.close()

    async def _open(self, record: Record) -> Kept | None:
        about = _about(record.id, record.owner)
        if len(record.sealed) < _OFF_LOOP_BYTES:
            plain = self._sealer.open(record.sealed, about=about)
        else:
            plain = await asyncio.to_thread(self._sealer.open, record.sealed, about=about)
        if plain is None:
            self._tell_of_unreadable(len(record.sealed))
            return None
        response, items = msgspec.msgpack.decode(plain, type=tuple[bytes, bytes])
        return Kept(record.model, response, items)

    def _tell_of_unreadable(self, sealed_bytes: int) -> None:
        if not self._told_of_unreadable:
            self._told_of_unreadable = True
            log.warning(
                "a kept response of %d bytes cannot be opened: `encryption_key` changed, or the file was damaged;"
                " such responses are answered as unknown",
                sealed_bytes,
            )


class _Item(msgspec.Struct):
    id: str | None = None


class _Response(msgspec.Struct):
    output: list[msgspec.Raw] = []


def _item_of(response: bytes, item_id: str) -> bytes | None:
    try:
        for raw in msgspec.json.decode(response, type=_Response).output:
            if msgspec.json.decode(raw, type=_Item).id == item_id:
                return bytes(raw)
    except msgspec.DecodeError:
        return None
    return None


def _key(record_id: str, owner: str) -> str:
    named = f"{len(owner)}:{owner}:{record_id}".encode("utf-8", "surrogatepass")
    return blake2b(named, digest_size=32).hexdigest()


def _about(key: str, owner: str) -> bytes:
    return f"{key}:{owner}".encode("utf-8", "surrogatepass")
