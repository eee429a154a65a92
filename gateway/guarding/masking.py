"""Writes placeholders into texts; in a JSON document that is a string, so that it stays one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from policies.sanitise.finding import BY_PLACE, Finding
from policies.sanitise.redaction.redactor import Redactor

_STRING: Final = re.compile(r'"(?P<inside>[^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL
)
_LONGEST_ESCAPE: Final = 12
_NEEDLESS: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u00([2-7][0-9a-fA-F])")


def masked(text: str, findings: Sequence[Finding], redactor: Redactor) -> str:
    """Return a text with placeholders for what was found. A JSON document stays one, whatever was found in it."""
    if text.lstrip()[:1] in ("{", "[") and _is_json(text):
        changed = _masked_json(text, findings, redactor)
        if _is_json(changed):
            return changed
    return redactor.mask(text, findings)


def without_needless_escapes(text: str) -> str:
    r"""Return a JSON document with printable ASCII written as it is: `\u0040` is an `@`, and found as one."""
    if "\\u00" not in text:
        return text
    return _NEEDLESS.sub(lambda match: match[1] + _plain(match), text)


def _plain(match: re.Match[str]) -> str:
    sign = chr(int(match[2], 16))
    return match[0][len(match[1]) :] if sign in '"\\\x7f' else sign


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _masked_json(text: str, findings: Iterable[Finding], redactor: Redactor) -> str:
    """Mask inside of strings, their values unescaped; a number that was found becomes a string."""
    strings = [match.span("inside") for match in _STRING.finditer(text)]
    parts: list[str] = []
    position = 0
    for finding in sorted(findings, key=BY_PLACE):
        for start, end, is_inside in _pieces(finding, strings):
            if start < position or end <= start:
                continue
            begin, stop = _around_escapes(text, start, end) if is_inside else (start, end)
            if stop <= begin:
                continue
            placeholder = redactor.mask(value := _unescaped(text[begin:stop]), [_whole(finding, value)])
            parts += (text[position:begin], placeholder if is_inside else f'"{placeholder}"')
            position = stop
    return "".join([*parts, text[position:]])


def _pieces(finding: Finding, strings: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, bool]]:
    """Yield the parts of a finding that stand in strings; all of it where it stands in none."""
    within = [(max(start, finding.start), min(end, finding.end)) for start, end in strings]
    found = [(start, end, True) for start, end in within if start < end]
    yield from found or [(finding.start, finding.end, False)]


def _around_escapes(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a place without the halves of escapes at its ends: what follows a backslash belongs to it."""
    first = text.rfind('"', 0, start) + 1
    for match in _ESCAPE.finditer(text, first, min(len(text), end + _LONGEST_ESCAPE)):
        if match.start() < start < match.end():
            start = match.end()
        if match.start() < end < match.end():
            end = match.start()
    return start, end


def _unescaped(written: str) -> str:
    if "\\" not in written:
        return written
    try:
        value: Any = msgspec.json.decode(f'"{written}"')
    except msgspec.DecodeError:
        return written
    return str(value)


def _whole(finding: Finding, value: str) -> Finding:
    return Finding(finding.detector, finding.rule, 0, len(value), finding.score)
