"""Text with places where ids and times stand: each time it is given again, with new ones.

The prefix and the length of an id are kept (some models take ids of tool calls of one length only), and an id that is
too short to be told from others by chance stays as it was.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.domain.document import replace_members

Template = tuple[bytes, ...]
"""Text and places, turn by turn, the first and the last being text. A place is one byte that says of what it is, and
for ids the prefix they keep."""

NOTHING: Final[Template] = ()

_MARK: Final = b"\0"
"""Stands around a place while a text is cut; JSON cannot hold it."""

_TIME, _ANSWER, _PART = b"t", b"a", b"p"
_LEAST_DIGITS: Final = 16
"""Characters after its prefix that an id must have to be replaced."""

_LONGEST_PREFIX: Final = 24


_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:-]*?[A-Za-z0-9]+", re.ASCII)


class Fresh(msgspec.Struct, frozen=True):
    """What is new in an answer that is given again.

    Attributes:
        nonce: 32 lower-case hexadecimal digits.
        created: seconds since the epoch.
    """

    nonce: bytes
    created: int


def fresh() -> Fresh:
    """Return new ids and the time."""
    # An id that tells answers apart, and opens nothing: asking the system for secure bits would take 5 us of 70.
    return Fresh(b"%032x" % random.getrandbits(128), int(time.time()))


def cut(document: bytes, answer_id: str, times: Sequence[str], ids: Sequence[str]) -> Template:
    """Return a JSON object as a template.

    Args:
        document: as received.
        answer_id: its `id`, empty if it has none that may change.
        times: names of its members that say when it was made.
        ids: of its parts; one that does not stand there exactly once stays.
    """
    edits = dict.fromkeys(times, _MARK + _TIME + _MARK)
    if answer_id:
        edits["id"] = _MARK + _ANSWER + _prefix(answer_id).encode() + _MARK
    text = replace_members(document, edits)
    for place, value in _places(ids):
        if text.count(value) == 1:
            text = text.replace(value, place)
    return tuple(text.split(_MARK))


def cut_events(
    events: bytes, answer_id: str, created: int | None, times: Sequence[str], ids: Sequence[str]
) -> Template:
    """Return framed events as a template: every mention of an id, and of the time as a member, is a place.

    Args:
        events: without NUL, as framed JSON is.
        answer_id, ids: as for `cut`.
        created: the time they tell, None if they tell none.
        times: names of members that tell it.
    """
    text = events
    if answer_id:
        text = text.replace(_quoted(answer_id), _MARK + _ANSWER + _prefix(answer_id).encode() + _MARK)
    for name in times if created is not None else ():
        told = str(created).encode()
        for space, end in ((b"", b","), (b"", b"}"), (b" ", b","), (b" ", b"}")):
            member = b'"%b":%b' % (name.encode(), space)
            text = text.replace(member + told + end, member + _MARK + _TIME + _MARK + end)
    for place, value in _places(ids):
        text = text.replace(value, place)
    return tuple(text.split(_MARK))


def fill(template: Template, new: Fresh) -> bytes:
    """Return the text with new ids and times."""
    pieces = list(template)
    for at in range(1, len(pieces), 2):
        pieces[at] = _value(pieces[at], new)
    return b"".join(pieces)


def new_id(template: Template, new: Fresh) -> str:
    """Return the id of an answer that is given again, empty if it has none that changes."""
    prefixes = (place[1:] for place in template[1::2] if place[:1] == _ANSWER)
    return next(((prefix + new.nonce).decode() for prefix in prefixes), "")


def _value(place: bytes, new: Fresh) -> bytes:
    kind = place[:1]
    if kind == _TIME:
        return b"%d" % new.created
    if kind == _ANSWER:
        return b'"%b%b"' % (place[1:], new.nonce)
    length, number = place[1], place[2:4]
    digits = number + new.nonce * (length // len(new.nonce) + 1)
    return b'"%b%b"' % (place[4:], digits[:length])


def _places(ids: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Return the place and the JSON text of every id that may change."""
    places = []
    for number, value in enumerate(dict.fromkeys(ids)):
        head = _head(value)
        digits = value[len(head) :]
        if _LEAST_DIGITS <= len(digits) < 128 and number < 256 and _PLAIN.fullmatch(value):
            place = _PART + bytes((len(digits),)) + b"%02x" % number + head.encode()
            places.append((_MARK + place + _MARK, _quoted(value)))
    return places


def _head(value: str) -> str:
    """Return an id up to the last hyphen or underscore."""
    return value[: max(value.rfind("-"), value.rfind("_")) + 1]


def _prefix(answer_id: str) -> str:
    """Return what an answer's id keeps: the word in front, `chatcmpl-`, where there is one."""
    ends = [at for sign in "-_" if 0 < (at := answer_id.find(sign)) < _LONGEST_PREFIX]
    head = answer_id[: min(ends) + 1] if ends else ""
    return head if head[:-1].isascii() and head[:-1].isalpha() else ""


def _quoted(value: str) -> bytes:
    return msgspec.json.encode(value)
