"""Finds images and links in an answer that would carry text to a stranger: an image is fetched as soon as it is shown.

What is looked at is Markdown, HTML and bare addresses whose path, query or fragment is long enough to carry something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

CARRIES: Final = 24
"""Characters of one value, part of a path or label of a host that may hold text taken from a conversation."""

LONGEST: Final = 4096
"""Characters of one address that are looked at."""

_ADDRESS: Final = r"<?\s{0,8}((?:https?:)?//[^\s<>\"'`)\]]{1,4096})"
_IMAGE: Final = re.compile(rf"!\[[^\]]{{0,1024}}\]\(\s{{0,8}}{_ADDRESS}", re.IGNORECASE)
_REFERENCE: Final = re.compile(rf"^[ ]{{0,3}}\[[^\]]{{1,256}}\]:\s{{1,8}}{_ADDRESS}", re.IGNORECASE | re.MULTILINE)
_TAG: Final = re.compile(
    rf"<(?:img|iframe|script|source|video|audio|embed|link|object)\b[^>]{{0,1024}}?(?:src|href|data)\s{{0,8}}=\s{{0,8}}[\"']?{_ADDRESS}",
    re.IGNORECASE,
)
_LINK: Final = re.compile(_ADDRESS, re.IGNORECASE)
_WORDLIKE: Final = re.compile(r"[a-z]{2,}(?:[-_.][a-z0-9]+){2,}", re.IGNORECASE)
_OPAQUE: Final = re.compile(r"[A-Za-z0-9+/_=-]+")

Sort = Literal["image", "link"]
"""An image or the like is fetched without anybody's doing, a link is clicked."""


class Carrier(msgspec.Struct, frozen=True, gc=False):
    """An address that may carry something away.

    Attributes:
        sort: how it is written.
        start: where the address begins in the answer, in characters.
        end: where it ends.
        host: whom it goes to, in lower case.
    """

    sort: Sort
    start: int
    end: int
    host: str


def carriers(answer: str, allowed: Iterable[str] = ()) -> list[Carrier]:
    """Return the addresses of an answer that may carry text to hosts that are not allowed, in order.

    Args:
        answer: what a model said.
        allowed: host names, in lower case; a leading dot stands for all hosts below one.
    """
    if "//" not in answer:
        return []
    hosts = tuple(allowed)
    found: dict[int, Carrier] = {}
    for sort, pattern in (("image", _IMAGE), ("image", _REFERENCE), ("image", _TAG), ("link", _LINK)):
        for match in pattern.finditer(answer):
            host = _host(match[1])
            if match.start(1) not in found and host and not _is_allowed(host, hosts) and _carries(match[1]):
                found[match.start(1)] = Carrier("image" if sort == "image" else "link", *match.span(1), host)
    return [found[start] for start in sorted(found)]


def _host(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_allowed(host: str, allowed: tuple[str, ...]) -> bool:
    return any(host == name or (name.startswith(".") and host.endswith(name)) for name in allowed)


def _carries(address: str) -> bool:
    parts = urlsplit(address[:LONGEST])
    values = [value for _, value in parse_qsl(parts.query, keep_blank_values=True)]
    if "=" not in parts.query:
        values.append(parts.query)
    if any(_holds_text(value) for value in (*values, unquote(parts.fragment))):
        return True
    return any(_is_opaque(piece) for piece in (*unquote(parts.path).split("/"), *(parts.hostname or "").split(".")))


def _holds_text(value: str) -> bool:
    """Tell whether a value is words, or long enough to be text that was encoded."""
    return len(value) >= CARRIES or len(value.split()) > 2


def _is_opaque(piece: str) -> bool:
    """Tell whether part of a path or host is no readable name: text in base64 or hexadecimal."""
    if len(piece) < CARRIES:
        return False
    if len(piece.split()) > 2:
        return True
    return _OPAQUE.fullmatch(piece) is not None and _WORDLIKE.fullmatch(piece) is None and any(map(str.isdigit, piece))
