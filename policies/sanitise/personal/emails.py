"""Recognises e-mail addresses."""

from __future__ import annotations

import re
from typing import Final

_LOCAL: Final = re.compile(r"[0-9A-Za-z.!#$%&'*+/=?^_`{|}~-]{1,64}\Z")
_DOMAIN: Final = re.compile(
    r"(?:[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?\.){1,6}(?P<top>[A-Za-z]{2,24})(?![0-9A-Za-z])"
)
_SCHEME: Final = re.compile(r"[/:=]")
# RFC 6761 reserves these, and nobody receives mail there. `example.com` is reserved as well, but people write their own
# names before it when they change a text. Repositories are written `git@host`.
_RESERVED: Final = re.compile(r"(?:^|\.)(?:invalid|localhost|test|local|internal)$", re.IGNORECASE)
_ROBOTS: Final = frozenset({"git", "noreply", "no-reply", "hg", "svn"})
_FILE_ENDINGS: Final = "png jpg jpeg gif svg webp css js py ts md json yaml yml html txt zip whl gz"
_FILES: Final = frozenset(_FILE_ENDINGS.split())


def find_email(text: str, end: int) -> tuple[int, int] | None:
    """Return where the address stands whose sign `@` and first letter after it end at `end`."""
    at = end - 2
    local = _before(text, at)
    domain = _DOMAIN.match(text, at + 1, min(len(text), at + 260))
    if not local or domain is None or domain["top"].lower() in _FILES:
        return None
    if (
        local.lower() in _ROBOTS
        or _RESERVED.search(domain.group()) is not None
        or text[at - len(local) - 1 : at - len(local)] == "@"
    ):
        return None
    return at - len(local), domain.end()


def _before(text: str, at: int) -> str:
    match = _LOCAL.search(text, max(0, at - 64), at)
    if match is None:
        return ""
    local = match.group()
    cuts = list(_SCHEME.finditer(local))
    return (local[cuts[-1].end() :] if cuts else local).lstrip(".'`{|*_~-")
