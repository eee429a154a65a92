"""Reasoning as it travels through a shape that has no words for it: sealed into a text the caller sends back.

A sealed text is `tw1.` and the base64 of JSON: an array of thinking blocks in the `encrypted_content` of a reasoning
item, or a reasoning item in the `signature` or `data` of a thinking block. It is an envelope, not a secret: whoever
made what is inside has signed or encrypted it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Any

import msgspec

from gateway.domain.errors import InvalidRequestError
from gateway.upstreams.translators.base import SEAL, Document
from gateway.upstreams.translators.fields import as_objects, as_text, wrong_type


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
    """Return an upstream's reasoning item as a thinking block; without a text it is a redacted one.

    Raises:
        InvalidRequestError: it is no reasoning item.
    """
    sealed = _seal(_read_item(item))
    if text:
        return {"type": "thinking", "thinking": text, "signature": sealed}
    return {"type": "redacted_thinking", "data": sealed}


def unseal_item(block: Document) -> Document | None:
    """Return the reasoning item in a thinking block, None if the block is somebody else's."""
    item = _unseal(block.get("signature") or block.get("data") or "")
    try:
        return _read_item(item) if isinstance(item, dict) else None
    except InvalidRequestError:
        return None


def _read_item(item: Document) -> Document:
    """Return a reasoning item with no more than the members that an upstream needs back."""
    if item.get("type") != "reasoning":
        raise wrong_type("item.type", "'reasoning'")
    read: Document = {"type": "reasoning"}
    if item.get("id") is not None:
        read["id"] = as_text(item["id"], "item.id")
    read["summary"] = _read_texts(item, "summary", "summary_text")
    if content := _read_texts(item, "content", "reasoning_text"):
        read["content"] = content
    read["encrypted_content"] = as_text(item.get("encrypted_content"), "item.encrypted_content")
    return read


def _read_texts(item: Document, name: str, kind: str) -> list[Document]:
    parts = as_objects(item.get(name), f"item.{name}")
    return [{"type": kind, "text": as_text(part.get("text"), f"{path}.text")} for path, part in parts]


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
    return SEAL + b64encode(msgspec.json.encode(value)).decode()


def _unseal(text: str) -> Any:
    if not text.startswith(SEAL):
        return None
    try:
        return msgspec.json.decode(b64decode(text[len(SEAL) :], validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
