"""The certainty of tokens, of which chat and Responses say the same but for a token's bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.upstreams.translators.base import Document
from gateway.upstreams.translators.fields import as_number, as_objects, as_text


def read_logprobs(value: Any, path: str, as_bytes: Callable[[Any, str], Any]) -> list[Document]:
    """Return what is said of each token and of its alternatives.

    Args:
        value: an array of tokens.
        path: where it stands.
        as_bytes: makes of a token's `bytes` what the other shape has.
    """
    return [
        {**_token(entry, where, as_bytes), "top_logprobs": _alternatives(entry, where, as_bytes)}
        for where, entry in as_objects(value, path)
    ]


def _alternatives(entry: Document, path: str, as_bytes: Callable[[Any, str], Any]) -> list[Document]:
    found = as_objects(entry.get("top_logprobs"), f"{path}.top_logprobs")
    return [_token(alternative, where, as_bytes) for where, alternative in found]


def _token(entry: Document, path: str, as_bytes: Callable[[Any, str], Any]) -> Document:
    return {
        "token": as_text(entry.get("token"), f"{path}.token"),
        "logprob": as_number(entry.get("logprob"), f"{path}.logprob"),
        "bytes": as_bytes(entry.get("bytes"), f"{path}.bytes"),
    }
