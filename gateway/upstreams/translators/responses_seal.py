"""Reasoning as it travels through a shape that has no words for it: sealed into a text the caller sends back.

A sealed text is `tw1.` and the base64 of JSON: an array of thinking blocks in the `encrypted_content` of a reasoning
item, or a reasoning item in the `signature` or `data` of a thinking block. It is an envelope, not a secret: whoever
made what is inside has signed or encrypted it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Any, Final

import msgspec

from gateway.domain.errors import InvalidRequestError
from gateway.upstreams.translators.base import Document
from gateway.upstreams.translators.fields import as_objects, as_text, wrong_type

_PREFIX: Final = "tw1."


def seal_blocks(blocks: list[Document]) -> str:
    """Return thinking blocks as the `encrypted_content` of a reasoning item."""
    return _seal(blocks)


def unseal_blocks(text: str) -> list[Document] | None:
    """Return the thinking blocks in an `encrypted_content`, None if it is not one of ours."""
    try:
        return read_blocks(_unseal(text), "") or None
    except InvalidRequestError:
        return None


def seal_item(item: Document, text: str) -> Document:
    """Return an upstream's reasoning item as a thinking block; without a text it is a redacted one."""
    if text:
        return {"type": "thinking", "thinking": text, "signature": _seal(item)}
    return {"type": "redacted_thinking", "data": _seal(item)}


def unseal_item(block: Document) -> Document | None:
    """Return the reasoning item in a thinking block, None if the block is somebody else's."""
    item = _unseal(block.get("signature") or block.get("data") or "")
    if isinstance(item, dict) and item.get("type") == "reasoning":
        return item
    return None


def read_blocks(value: Any, path: str) -> list[Document]:
    """Return thinking blocks with no more than the members that are defined for them.

    Raises:
        InvalidRequestError: this is no array of thinking blocks.
    """
    return [_read_block(block, where) for where, block in as_objects(value, path)]


def _read_block(block: Document, path: str) -> Document:
    kind = block.get("type")
    if kind == "thinking":
        signature = block.get("signature") or ""
        text = as_text(block.get("thinking"), f"{path}.thinking")
        return {"type": kind, "thinking": text, "signature": as_text(signature, f"{path}.signature")}
    if kind == "redacted_thinking":
        return {"type": kind, "data": as_text(block.get("data"), f"{path}.data")}
    raise wrong_type(f"{path}.type", "'thinking' or 'redacted_thinking'")


def _seal(value: list[Document] | Document) -> str:
    return _PREFIX + b64encode(msgspec.json.encode(value)).decode()


def _unseal(text: str) -> Any:
    if not text.startswith(_PREFIX):
        return None
    try:
        return msgspec.json.decode(b64decode(text[len(_PREFIX) :], validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
