"""Judges characters that show nothing by what stands beside them.

Joined emoji, the joiners of Persian and of the scripts of India, flags, keycaps, a mark at the very beginning, and the
marks of direction in text of both directions are what these characters are for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from typing import Final

_JOINING_SCRIPTS: Final = (
    "\u0600-\u074f\u0750-\u07ff\u0840-\u08ff\u0900-\u0dff\u0e80-\u0fff\u1000-\u109f\u1780-\u18af\u1a20-\u1aaf\u1b00-\u1b7f"
    "\ua840-\ua87f\ua980-\ua9df\uaa00-\uaaff\ufb50-\ufdff\ufe70-\ufefe\U00010a00-\U00011fff"
)
"""Scripts in which a joiner changes how letters are drawn, or whose words a zero-width space separates (Lao, Khmer)."""

_JOINING: Final = re.compile(f"[{_JOINING_SCRIPTS}]")
_UNSPACED: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_PICTOGRAPH: Final = re.compile(
    "[#*0-9\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d"
    "\u3297\u3299\U0001f000-\U0001faff]"
)
_SELECTED: Final = re.compile(
    "[\u1000-\u109f\u1800-\u18af\u2000-\u2bff\u3000-\u9fff\ua840-\ua87f\uff00-\uffef\U00020000-\U000323af]"
)
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff]")
_FLAG: Final = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f")
_OTHERS: Final = (
    "\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_RARE: Final = re.compile(f"(?:[{_OTHERS}]|(?<![{_JOINING_SCRIPTS}])[\u200c\u200d])[{_OTHERS}\u200c\u200d]*")
"""A run of them; the joiner after a letter that joins is passed over at once, for Persian has one in every line."""

_INVISIBLE: Final = re.compile(f"[{_OTHERS}\u200c\u200d]")
_NAMES: Final = (
    ("control", "\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ufff9-\ufffb\U0001d173-\U0001d17a"),
    ("bidi_override", "\u202d\u202e"),
    ("bidi", "\u202a-\u202c\u2066-\u2069"),
    ("tag", "\U000e0000-\U000e007f"),
    ("variation_selector", "\ufe00-\ufe0f\U000e0100-\U000e01ef"),
)
_RULES: Final = tuple((name, re.compile(f"[{members}]")) for name, members in _NAMES)
_ISOLATES: Final = frozenset("\u2066\u2067\u2068\u2069")
_HARMLESS: Final = frozenset("\u200e\u200f\u061c")
_RUNS: Final = 192
"""Judged between two pauses, at two to ten microseconds each."""

_MOST_FINDINGS: Final = 1_024
"""What follows is one more finding, `crowded`, to the end of the text."""

_LONGEST_STRAY: Final = 2
"""Copying from web pages and word processors leaves one or two behind, beside spaces and signs."""

Place = tuple[str, int, int]


def has_invisible(characters: Iterable[str]) -> bool:
    """Whether one of the characters shows nothing."""
    return any(_INVISIBLE.match(character) is not None for character in characters)


def without_invisible(text: str) -> str:
    """Return the text without any of them, wherever they stand."""
    return _INVISIBLE.sub("", text)


def find_invisible(text: str) -> Generator[None, None, list[Place]]:
    """Look for runs of characters that show nothing and have no business where they stand, with pauses.

    Returns:
        Rule, start and end of each.
    """
    found: list[Place] = []
    strays: list[Place] = []
    is_right_to_left = _RIGHT_TO_LEFT.search(text) is not None
    for number, match in enumerate(_RARE.finditer(text), start=1):
        if number % _RUNS == 0:
            yield
        run = match.group()
        rule = _rule_of(run[0]) if len(run) == 1 else _rule_of_run(run)
        place = (rule, *match.span())
        verdict = (
            not is_right_to_left and _is_odd_bidi(text, run) if rule == "bidi" else _JUDGES[rule](text, *match.span())
        )
        if verdict:
            found.append(place)
            if len(found) == _MOST_FINDINGS:
                return [*found, ("crowded", match.end(), len(text))]
        elif verdict is None:
            strays.append(place)
    return found + strays if found else []


def _rule_of(character: str) -> str:
    for name, members in _RULES:
        if members.match(character) is not None:
            return name
    return "zero_width"


def _rule_of_run(run: str) -> str:
    rules = {_rule_of(character) for character in set(run)}
    for name, _ in _RULES:
        if name in rules and name != "bidi":
            return name
    return "bidi" if rules == {"bidi"} else "zero_width"


def _is_stray_zero_width(text: str, start: int, end: int) -> bool | None:
    """Return whether a run of joiners and spaces hides something; None where that depends on the rest of the text."""
    before, after = text[start - 1 : start], text[end : end + 1]
    run = text[start:end]
    if _HARMLESS.issuperset(run) or (start == 0 and run == "\ufeff"):
        return False
    if _is_at_home(run, before, after):
        return False
    if run == "\xad":
        return None
    is_inside = before.isalnum() and after.isalnum()
    return True if is_inside or len(run) > _LONGEST_STRAY else None


def _is_at_home(run: str, before: str, after: str) -> bool:
    if len(run) <= 2 and _JOINING.match(before) is not None:
        return True
    if run in {"\u200d", "\ufe0f\u200d"} and _PICTOGRAPH.match(before) and _PICTOGRAPH.match(after):
        return True
    return run == "\u200b" and bool(_UNSPACED.match(before) or _UNSPACED.match(after))


def _is_stray_selector(text: str, start: int, end: int) -> bool | None:
    before, run = text[start - 1 : start], text[start:end]
    is_joined = run == "\ufe0f\u200d" and _PICTOGRAPH.match(text[end : end + 1]) is not None
    if (run == "\ufe0f" or is_joined) and _PICTOGRAPH.match(before) is not None:
        return False
    if len(run) == 1:
        return None if not before or _SELECTED.match(before) is None else False
    return True


def _is_stray_tag(text: str, start: int, end: int) -> bool:
    flag = _FLAG.match(text, start - 1) if start else None
    return flag is None or flag.end() != end


def _is_odd_bidi(text: str, run: str) -> bool:
    """Whether embeddings and isolates are of no use in a text that runs one way: all but isolates that are closed."""
    opens = sum(text.count(sign) for sign in "\u2066\u2067\u2068")
    return not (_ISOLATES.issuperset(run) and opens == text.count("\u2069"))


def _always(_text: str, _start: int, _end: int) -> bool:
    return True


_JUDGES: Final[dict[str, Callable[[str, int, int], bool | None]]] = {
    "control": _always,
    "bidi_override": _always,
    "tag": _is_stray_tag,
    "variation_selector": _is_stray_selector,
    "zero_width": _is_stray_zero_width,
}
