"""Embed and continue texts without a model: vectors made of the words' hashes, and the prompt said again."""

import base64
import math
import struct
from hashlib import blake2b
from typing import Any

_DIMENSIONS = 256
_MOST_DIMENSIONS = 4096
_MOST_INPUTS = 2048
"""Inputs of one request that are embedded, as OpenAI's API reference allows."""
_DEFAULT_TOKENS = 16
"""What a completion is cut to when its caller sets no limit: OpenAI's own default for this API."""


def embed(request: dict[str, Any], model: str) -> dict[str, Any]:
    """Answer a request for embeddings: texts that share words lie near each other.

    Args:
        request: The decoded body; its `input` is of one of the four forms.
        model: The model that is said to have answered.

    Returns:
        A `list` of `embedding` objects, rows of unit length, as numbers or base64 of little-endian float32.
    """
    given = request["input"]
    inputs = [given] if isinstance(given, str) or isinstance(given[0], int) else given[:_MOST_INPUTS]
    words = [_words(item) for item in inputs]
    dimensions = min(request.get("dimensions") or _DIMENSIONS, _MOST_DIMENSIONS)
    is_packed = request.get("encoding_format") == "base64"
    rows = [_vector(item, dimensions) for item in words]
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(row) if is_packed else row}
        for index, row in enumerate(rows)
    ]
    tokens = sum(map(len, words))
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def continue_text(request: dict[str, Any], model: str, *, answer_id: str, created: int) -> dict[str, Any]:
    """Answer a request to continue a text with the words it ends with.

    Returns:
        A `text_completion` object with one choice a prompt.
    """
    prompt = request.get("prompt")
    prompts = [item for item in prompt if isinstance(item, str)] if isinstance(prompt, list) else [prompt or ""]
    most = request.get("max_tokens")
    limit = _DEFAULT_TOKENS if most is None else most
    texts = [" ".join(text.split()[-limit:] if limit else []) for text in prompts or [""]]
    generated, sent = sum(len(text.split()) for text in texts), sum(len(text.split()) for text in prompts)
    choices = [
        {"index": index, "text": text, "logprobs": None, "finish_reason": "stop"} for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": sent, "completion_tokens": generated, "total_tokens": sent + generated}
    return {
        "id": answer_id,
        "object": "text_completion",
        "created": created,
        "model": model,
        "choices": choices,
        "usage": usage,
    }


def _words(item: str | list[int]) -> list[str]:
    return item.lower().split() if isinstance(item, str) else [str(token) for token in item]


def _vector(words: list[str], dimensions: int) -> list[float]:
    """Return a unit vector in which each word stands for one direction, which its hash names."""
    row = [0.0] * dimensions
    for word in words or [""]:
        digest = int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=8).digest())
        row[digest % dimensions] += 1.0 if digest >> 63 else -1.0
    length = math.hypot(*row)
    if not length:
        row[0] = length = 1.0
    return [value / length for value in row]


def _packed(row: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode("ascii")
