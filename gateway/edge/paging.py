"""Pages of lists, as callers ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.domain.errors import InvalidRequestError


def limit_of(query: Mapping[str, Sequence[str]], *, default: int, most: int) -> int:
    """Return how many entries a page has.

    Raises:
        InvalidRequestError: `limit` is not a number from 1 to `most`.
    """
    text = query.get("limit", [str(default)])[-1]
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= most:
        raise InvalidRequestError(f"'limit' must be a whole number from 1 to {most}.", param="limit")
    return int(text)
