"""A JSON document as received: read once and strictly, edited without touching the rest of its bytes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple

import jiter
import msgspec

from gateway.domain.errors import InvalidRequestError


class Key:
    """A member name in a JSON object, compared by identity so that repeated names stay apart."""

    __slots__ = ("name",)

    def __init__(self, _type: Any, name: str) -> None:
        self.name = name


Members = dict[Key, msgspec.Raw]
"""The members of one JSON object in the order sent, repeated names included, values as sent."""

_SPLIT: Final = msgspec.json.Decoder(Members, dec_hook=Key)
_SPLIT_EACH: Final = msgspec.json.Decoder(list[Members], dec_hook=Key)

_MEMBER_NAME: Final = re.compile(rb'[\s,{]*"[^"\\]*(?:\\.[^"\\]*)*"\s*:\s*')
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
)


class Judged(NamedTuple):
    """One member the gateway acts on: its types, how those are named to the caller, whether it counts something."""

    types: tuple[type, ...]
    expected: str
    is_count: bool = False


TEXT: Final = Judged((str,), "a string")
OPTIONAL_TEXT: Final = Judged((str, type(None)), "a string")
OPTIONAL_FLAG: Final = Judged((bool, type(None)), "true or false")
OPTIONAL_NUMBER: Final = Judged((int, float, type(None)), "a number")
OPTIONAL_OBJECT: Final = Judged((dict, type(None)), "an object")
OPTIONAL_COUNT: Final = Judged((int, type(None)), "a whole number, 0 or more", is_count=True)


class Level(NamedTuple):
    """The objects of one depth that the gateway acts on.

    Attributes:
        member: the name of the array they stand in, empty for the document itself.
        judged: the member names acted on.
    """

    member: str
    judged: Collection[str]


def without_lone_surrogates(body: bytes) -> bytes:
    r"""Replace each unpaired `\ud8xx` escape by `\ufffd`, which has the same length.

    RFC 8259 section 8.2 lets such escapes through and providers send them when they cut a text inside an
    emoji; strict decoders refuse the whole document for one. The result is for reading only.
    """
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)


def read_document(body: bytes, levels: Sequence[Level]) -> tuple[dict[str, Any], bool]:
    """Read a request's body.

    Args:
        body: JSON.
        levels: what is acted on, from the document downwards: what is judged must be what is sent.

    Returns:
        The document, half surrogate pairs read as U+FFFD, and whether it holds all that the body does: no
        repeated name, no half surrogate pair.

    Raises:
        InvalidRequestError: it is not a JSON object, or a judged name stands there twice (in any spelling).
    """
    try:
        document = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
        is_faithful = True
    except ValueError:
        document = _read_carefully(body, levels)
        is_faithful = False
    if not isinstance(document, dict):
        raise InvalidRequestError("The request body must be a JSON object.", code="invalid_json")
    return document, is_faithful


def replace_members(body: bytes, edits: Mapping[str, bytes]) -> bytes:
    """Return the document with top-level members replaced, or put first where they are absent.

    Args:
        body: a JSON object.
        edits: member name to its new JSON value. Every other byte stays as received.
    """
    if not edits:
        return body
    missing = dict(edits)
    pieces: list[bytes] = []
    position = copied = 0
    for key, value in _split(body).items():
        start = _MEMBER_NAME.match(body, position).end()  # type: ignore[union-attr]  # it was just parsed
        position = start + len(memoryview(value))
        if (new := missing.pop(key.name, None)) is not None:
            pieces += (body[copied:start], new)
            copied = position
    text = b"".join(pieces) + body[copied:]
    if missing:
        first = b",".join(msgspec.json.encode(name) + b":" + value for name, value in missing.items())
        text = text.replace(b"{", b"{" + first + b",", 1)
    return text


def check_members(document: Mapping[str, Any], judged: Mapping[str, Judged], known: AbstractSet[str]) -> None:
    """Check the types of the top-level members that are acted on.

    Args:
        document: the request.
        judged: the members acted on.
        known: a superset of their names; a document within it needs no look at its spelling.

    Raises:
        InvalidRequestError: a type is wrong, or a name differs from a judged one by letter case only.
    """
    if not known >= document.keys():
        refuse_lookalikes(document, judged, "")
    for name, value in document.items():
        expected = judged.get(name)
        if expected is not None and (type(value) not in expected.types or (expected.is_count and (value or 0) < 0)):
            raise wrong_type(name, expected.expected)


def require(document: Mapping[str, Any], name: str) -> None:
    """Refuse a document that lacks a member, or whose member is empty."""
    if name not in document:
        raise missing(name)
    if not document[name]:
        raise InvalidRequestError(f"'{name}' must not be empty.", param=name)


def check_parts(parts: Any, where: str, judged: frozenset[str], expected: str) -> None:
    """Check the parts of a message's content: objects whose `type` and `text` are strings."""
    if type(parts) is not list:
        raise wrong_type(where, expected)
    for position, part in enumerate(parts):
        if type(part) is not dict:
            raise wrong_type(f"{where}[{position}]", "an object")
        if not judged.issuperset(part):
            refuse_lookalikes(part, judged, f"{where}[{position}].")
        for name in ("type", "text"):
            if type(part.get(name, "")) is not str:
                raise wrong_type(f"{where}[{position}].{name}", "a string")


def refuse_lookalikes(names: Collection[str], judged: Collection[str], prefix: str) -> None:
    """Refuse `Model` for `model`: a decoder that ignores letter case would read another value than we judged."""
    for name in names:
        folded = name.casefold()
        if folded != name and folded in judged:
            message = f"Field '{prefix}{name}' differs only by letter case from '{folded}'."
            raise InvalidRequestError(message, param=prefix + folded, code="ambiguous_parameter")


def missing(param: str) -> InvalidRequestError:
    """Return the error for a member that must be there."""
    return InvalidRequestError(f"Missing required field '{param}'.", param=param, code="missing_required_parameter")


def wrong_type(param: str, expected: str) -> InvalidRequestError:
    """Return the error for a member of the wrong type."""
    return InvalidRequestError(f"'{param}' must be {expected}.", param=param, code="invalid_type")


def _read_carefully(body: bytes, levels: Sequence[Level]) -> Any:
    """Read what the strict decoder refused: for repeated names nobody judges, half surrogates, or a real fault."""
    try:
        if not body.isascii():
            body.decode()
        text = without_lone_surrogates(body)
        document = msgspec.json.decode(text)
        _refuse_depth(text)
        if isinstance(document, dict):
            _refuse_repeated(_split(body), levels, "")
    except UnicodeDecodeError as error:
        message = f"The request body is not valid UTF-8 (byte {error.start})."
        raise InvalidRequestError(message, code="invalid_json") from error
    except RecursionError as error:
        raise InvalidRequestError("The request body is nested too deeply.", code="invalid_json") from error
    except msgspec.DecodeError as error:
        message = f"The request body is not valid JSON: {error}."
        if not body.strip():
            message = "The request body is empty; a JSON object was expected."
        raise InvalidRequestError(message, code="invalid_json") from error
    return document


def _refuse_depth(text: bytes) -> None:
    """Refuse what the strict decoder finds too deep, so that whatever writes the document later has room for it."""
    try:
        jiter.from_json(text)
    except ValueError as error:
        if str(error).startswith("recursion"):
            raise RecursionError from error


def _split(body: bytes) -> Members:
    try:
        return _SPLIT.decode(body)
    except msgspec.DecodeError:
        return _SPLIT.decode(without_lone_surrogates(body))


def _refuse_repeated(members: Members, levels: Sequence[Level], prefix: str) -> None:
    """Refuse a judged name that stands twice, at this level or below."""
    seen = set()
    for key in members:
        if key.name in seen:
            param = prefix + key.name
            message = f"Field '{param}' stands there twice."
            raise InvalidRequestError(message, param=param, code="duplicate_parameter")
        if key.name in levels[0].judged:
            seen.add(key.name)
    if len(levels) > 1:
        below = levels[1].member
        for index, child in enumerate(_split_each(members, below)):
            _refuse_repeated(child, levels[1:], f"{prefix}{below}[{index}].")


def _split_each(members: Members, name: str) -> list[Members]:
    """Return the members of each object of an array; nothing for other types, which are refused elsewhere."""
    for key, value in members.items():
        if key.name == name:
            try:
                return _SPLIT_EACH.decode(without_lone_surrogates(bytes(value)))
            except msgspec.ValidationError:
                return []
    return []
