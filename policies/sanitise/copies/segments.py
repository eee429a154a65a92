"""Texts inside of a text: one level of Base64, URL and HTML encoding, and letters written with spaces between."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote

from policies.sanitise.passes.pattern import Pattern


class Segment(NamedTuple):
    """A text that another one hides.

    Attributes:
        kind: `base64`, `url`, `html` or `spaced`.
        text: what it says.
        start: where in the text that hides it.
        end: where that ends.
    """

    kind: str
    text: str
    start: int
    end: int


_MOST_CHARACTERS: Final = 65_536
"""Decoded from one text in all; what lies beyond is not decoded."""

_MOST_SEGMENTS: Final = 64
_BASE64: Final = re.compile(r"[0-9A-Za-z+/_-]{24,16384}={0,2}")
_SPACED: Final = re.compile(r"(?<!\S)[^\s](?: [^\s]| {2,3}[^\s](?= |$|\n)){8,4096}")
_WORD_GAP: Final = re.compile(r"( {2,})| ")
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}[^\s\"'<>]{3,4096}")
_ENTITIES: Final = re.compile(r"&#[xX]?[0-9A-Fa-f]{1,6};[^\n]{0,4096}")
_IMAGE: Final = re.compile(
    r"data:(?:image|audio|video|font|application/(?:pdf|octet))[\w./+;=-]{0,60},\Z", re.IGNORECASE
)
_READABLE: Final = re.compile(r"[\w\s.,:;!?'\"()\[\]{}<>=/@#$%&*+_|\\~`^-]*")


def _base64(text: str, start: int, end: int) -> str | None:
    if _IMAGE.search(text, max(0, start - 96), start) is not None:
        return None
    written = text[start:end].rstrip("=").replace("-", "+").replace("_", "/")
    if len(written) % 4 == 1:
        written = written[:-1]
    try:
        decoded = base64.b64decode(written + "=" * (-len(written) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return decoded if _READABLE.fullmatch(decoded) is not None else None


def _url(text: str, start: int, end: int) -> str:
    return unquote(text[start:end], errors="replace")


def _html(text: str, start: int, end: int) -> str:
    return html.unescape(text[start:end])


def _spaced(text: str, start: int, end: int) -> str:
    return _WORD_GAP.sub(lambda gap: " " if gap[1] else "", text[start:end])


_KINDS: Final[tuple[tuple[str, str, re.Pattern[str], Callable[[str, int, int], str | None]], ...]] = (
    ("base64", r"[0-9A-Za-z+/]{24}", _BASE64, _base64),
    ("url", r"%[0-9A-Fa-f]{2}[0-9A-Za-z._~+-]{0,8}%[0-9A-Fa-f]{2}[0-9A-Za-z._~+-]{0,8}%[0-9A-Fa-f]{2}", _ENCODED, _url),
    ("html", r"&#[xX]?[0-9A-Fa-f]{2,6};[^ \n]{0,8}&#[xX]?[0-9A-Fa-f]{2,6};", _ENTITIES, _html),
    ("spaced", r"(?:^|[^0-9A-Za-z])(?:[A-Za-z] ){4}", _SPACED, _spaced),
)
ANCHORS: Final = tuple(
    Pattern(anchor, is_once=True, group="spaced" if kind == "spaced" else "encoded") for kind, anchor, _, _ in _KINDS
)
"""Tell which kinds occur at all."""


RUN_ANCHOR: Final = Pattern(r"(?:^|[^0-9A-Za-z+/=_-])[0-9A-Za-z+/_-]{24}")
"""Tells where runs of Base64 begin, once it is known that there are any: their 24th character."""

_BASE64_INDEX: Final = 0


def read_segments(text: str, indices: Collection[int], run_ends: Iterable[int] = ()) -> Iterator[Segment | None]:
    """Yield what is hidden in a text, at most 64 segments and 65,536 characters in all; None for what hides nothing.

    Args:
        indices: which of `ANCHORS` matched.
        run_ends: where `RUN_ANCHOR` did.
    """
    left, found = _MOST_CHARACTERS, 0
    for index in sorted(indices):
        kind, _, expression, decode = _KINDS[index]
        for match in expression.finditer(text) if index != _BASE64_INDEX else _at(expression, text, run_ends):
            decoded = decode(text, *match.span())
            if decoded is None:
                yield None
                continue
            left -= len(decoded)
            found += 1
            if left < 0 or found > _MOST_SEGMENTS:
                return
            yield Segment(kind, decoded, *match.span())


def _at(expression: re.Pattern[str], text: str, run_ends: Iterable[int]) -> Iterator[re.Match[str]]:
    for end in run_ends:
        if not _has_two_cases(text[end - 24 : end]):
            continue
        match = expression.match(text, end - 24)
        if match is not None and _may_be_base64(match.group()):
            yield match


def _may_be_base64(run: str) -> bool:
    """Whether a run has no more of the signs than encoded text has; paths and slugs do."""
    signs = run.count("/") + run.count("-") + run.count("_")
    return signs <= 1 + len(run) // 16


def _has_two_cases(run: str) -> bool:
    return not run.islower() and not run.isupper()
