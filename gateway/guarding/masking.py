"""Writes placeholders into texts; in a JSON document that is a string, so that it stays one."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec

from gateway.domain.rewriting import Path, replace_texts
from policies.sanitise.finding import BY_PLACE, Finding
from policies.sanitise.redaction.redactor import Redactor
from policies.sanitise.steps import finish

_STRING: Final = re.compile(r'"(?P<inside>[^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL
)
_Span = tuple[int, int]

_MATCHES: Final = 1_024
_PIECES: Final = 32
"""Between two pauses: 0.3 ms."""

_NEEDLESS: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u00([2-7][0-9a-fA-F])")


def masked(text: str, findings: Sequence[Finding], redactor: Redactor) -> str:
    """Return a text with placeholders for what was found. A JSON document stays one, whatever was found in it."""
    return finish(masked_in_steps(text, findings, redactor))


def masked_in_steps(text: str, findings: Sequence[Finding], redactor: Redactor) -> Generator[None, None, str]:
    """Return what `masked` does; a JSON document is masked with pauses."""
    if is_json(text):
        yield
        changed = yield from _masked_json(text, findings, redactor)
        yield
        if is_json(changed):
            return changed
    return redactor.mask(text, findings)


def each_string(text: str, change: Callable[[str], str]) -> str:
    """Return a JSON document with its strings changed, the names of members excepted."""
    changed: dict[Path, str] = {}
    for path, value in _strings_in(msgspec.json.decode(text), ()):
        new = change(value)
        if new != value:
            changed[path] = new
    return replace_texts(text.encode(), changed).decode()


def is_json(text: str) -> bool:
    """Tell whether a text is a JSON object or array."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False
    return True


def _strings_in(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings_in(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strings_in(inner, (*path, index))


def without_needless_escapes(text: str) -> str:
    r"""Return a JSON document with printable ASCII written as it is: `\u0040` is an `@`, and found as one."""
    if "\\u00" not in text:
        return text
    return _NEEDLESS.sub(lambda match: match[1] + _plain(match), text)


def _plain(match: re.Match[str]) -> str:
    sign = chr(int(match[2], 16))
    return match[0][len(match[1]) :] if sign in '"\\\x7f' else sign


def _masked_json(text: str, findings: Iterable[Finding], redactor: Redactor) -> Generator[None, None, str]:
    """Mask inside of strings, their values unescaped; a number that was found becomes a string."""
    strings = yield from _spans(_STRING, "inside", text)
    escapes = (yield from _spans(_ESCAPE, 0, text)) if "\\" in text else []
    parts: list[str] = []
    position = number = 0
    for finding in sorted(findings, key=BY_PLACE):
        for start, end, is_inside in _pieces(finding, strings):
            number += 1
            if number % _PIECES == 0:
                yield
            begin, stop = _around(escapes, start), _around(escapes, end, before=True)
            if begin < position or stop <= begin:
                continue
            value = _unescaped(text[begin:stop])
            placeholder = redactor.mask(value, [_whole(finding, value)])
            parts += (text[position:begin], placeholder if is_inside else f'"{placeholder}"')
            position = stop
    return "".join([*parts, text[position:]])


def _spans(expression: re.Pattern[str], group: str | int, text: str) -> Generator[None, None, list[_Span]]:
    spans: list[_Span] = []
    for number, match in enumerate(expression.finditer(text), start=1):
        if number % _MATCHES == 0:
            yield
        spans.append(match.span(group))
    return spans


def _pieces(finding: Finding, strings: Sequence[_Span]) -> Iterator[tuple[int, int, bool]]:
    """Yield the parts of a finding that stand in strings; all of it where it stands in none."""
    index = bisect_right(strings, finding.start, key=itemgetter(1))
    if index == len(strings) or strings[index][0] >= finding.end:
        yield finding.start, finding.end, False
    while index < len(strings) and strings[index][0] < finding.end:
        start, end = strings[index]
        yield max(start, finding.start), min(end, finding.end), True
        index += 1


def _around(escapes: Sequence[_Span], at: int, *, before: bool = False) -> int:
    """Return a place that is not within an escape: after the one that it is in, or before it."""
    index = bisect_right(escapes, at, key=itemgetter(1))
    if index == len(escapes) or not escapes[index][0] < at < escapes[index][1]:
        return at
    return escapes[index][0 if before else 1]


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
