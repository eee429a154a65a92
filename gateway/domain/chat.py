"""A chat request: the fields the gateway judges, and the bytes it forwards."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

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

_JUDGED: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "model": ((str,), "a string"),
    "messages": ((list,), "an array of messages"),
    "stream": ((bool, type(None)), "true or false"),
    "stream_options": ((dict, type(None)), "an object"),
    "max_tokens": ((int, type(None)), "a whole number, 0 or more"),
    "max_completion_tokens": ((int, type(None)), "a whole number, 0 or more"),
    "n": ((int, type(None)), "a whole number, 0 or more"),
    "temperature": ((int, float, type(None)), "a number"),
    "user": ((str, type(None)), "a string"),
    "tools": ((list, type(None)), "an array of tools"),
    "tool_choice": ((str, dict, type(None)), "a string or an object"),
    "response_format": ((dict, type(None)), "an object"),
}
"""Top-level members the gateway acts on: their types, and how those are named to the caller."""

_COUNTS: Final = frozenset({"max_tokens", "max_completion_tokens", "n"})
_KNOWN: Final = frozenset(_JUDGED) | {"top_p", "seed", "stop", "frequency_penalty", "presence_penalty", "metadata"}
_JUDGED_IN_MESSAGE: Final = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "refusal"})
_JUDGED_IN_PART: Final = frozenset({"type", "text", "image_url", "input_audio", "file", "refusal"})

_MEMBER_NAME: Final = re.compile(rb'[\s,{]*"[^"\\]*(?:\\.[^"\\]*)*"\s*:\s*')
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
)


def without_lone_surrogates(body: bytes) -> bytes:
    r"""Replace each unpaired `\ud8xx` escape by `\ufffd`, which has the same length.

    RFC 8259 section 8.2 lets such escapes through and providers send them when they cut a text inside an
    emoji; strict decoders refuse the whole document for one. The result is for reading only.
    """
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)


class ChatRequest:
    """One chat request.

    Attributes:
        body: the JSON document as received (inflated if it was compressed).
        document: the same, decoded; half surrogate pairs read as U+FFFD.
        model: the requested model name.
        messages: the decoded messages, each with a `role`; `content` is a string, a list of objects or None.
        stream: whether the caller asked for server-sent events.
        wants_usage: whether the caller asked for the usage chunk of a stream.
        max_output_tokens: the smaller of the two limits the caller may set, or None.
        is_faithful: whether `document` holds all that `body` does: no repeated name, no half surrogate pair.
    """

    __slots__ = ("body", "document", "is_faithful", "max_output_tokens", "messages", "model", "stream", "wants_usage")

    def __init__(self, body: bytes, document: dict[str, Any], *, is_faithful: bool = True) -> None:
        self.body = body
        self.document = document
        self.is_faithful = is_faithful
        self.model: str = document["model"]
        self.messages: list[dict[str, Any]] = document["messages"]
        self.stream = document.get("stream") is True
        options = document.get("stream_options")
        self.wants_usage = options is not None and options.get("include_usage") is True
        limit, newer = document.get("max_tokens"), document.get("max_completion_tokens")
        if newer is not None and (limit is None or newer < limit):
            limit = newer
        self.max_output_tokens: int | None = limit

    def edited(self, edits: Mapping[str, bytes]) -> bytes:
        """Return the body with top-level members replaced, or put first where they are absent.

        Args:
            edits: member name to its new JSON value. Every other byte stays as received.
        """
        if not edits:
            return self.body
        missing = dict(edits)
        pieces: list[bytes] = []
        position = copied = 0
        for key, value in _split(self.body).items():
            start = _MEMBER_NAME.match(self.body, position).end()  # type: ignore[union-attr]  # it was just parsed
            position = start + len(memoryview(value))
            if (new := missing.pop(key.name, None)) is not None:
                pieces += (self.body[copied:start], new)
                copied = position
        text = b"".join(pieces) + self.body[copied:]
        if missing:
            first = b",".join(msgspec.json.encode(name) + b":" + value for name, value in missing.items())
            text = text.replace(b"{", b"{" + first + b",", 1)
        return text

    def edits_for_usage(self) -> dict[str, bytes]:
        """Return the edit that makes an OpenAI-compatible upstream end a stream with its usage chunk."""
        if self.wants_usage:
            return {}
        options = {**(self.document.get("stream_options") or {}), "include_usage": True}
        return {"stream_options": msgspec.json.encode(options)}


def read_chat(body: bytes) -> ChatRequest:
    """Read a chat request.

    Raises:
        InvalidRequestError: the body is not a JSON object, a judged field is missing, has the wrong type, or
            stands there twice (in any spelling: what is judged must be what is sent).
    """
    try:
        document = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError:
        document = _read_carefully(body)
        _check(document)
        return ChatRequest(body, document, is_faithful=False)
    _check(document)
    return ChatRequest(body, document)


def _read_carefully(body: bytes) -> Any:
    """Read what the strict decoder refused: for repeated names nobody judges, half surrogates, or a real fault."""
    try:
        if not body.isascii():
            body.decode()
        document = msgspec.json.decode(without_lone_surrogates(body))
        if isinstance(document, dict):
            _refuse_repeated(body)
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


def _split(body: bytes) -> Members:
    try:
        return _SPLIT.decode(body)
    except msgspec.DecodeError:
        return _SPLIT.decode(without_lone_surrogates(body))


def _refuse_repeated(body: bytes) -> None:
    """Refuse a judged name that stands twice at top level, in a message or in a part of one."""
    top = _split(body)
    _refuse_repeated_in(top, _JUDGED, "")
    for index, message in enumerate(_split_each(top, "messages")):
        _refuse_repeated_in(message, _JUDGED_IN_MESSAGE, f"messages[{index}].")
        for position, part in enumerate(_split_each(message, "content")):
            _refuse_repeated_in(part, _JUDGED_IN_PART, f"messages[{index}].content[{position}].")


def _split_each(members: Members, name: str) -> list[Members]:
    """Return the members of each object of an array; nothing for other types, which are refused elsewhere."""
    for key, value in members.items():
        if key.name == name:
            try:
                return _SPLIT_EACH.decode(without_lone_surrogates(bytes(value)))
            except msgspec.ValidationError:
                return []
    return []


def _refuse_repeated_in(members: Members, judged: Collection[str], prefix: str) -> None:
    seen = set()
    for key in members:
        if key.name in seen:
            param = prefix + key.name
            message = f"Field '{param}' stands there twice."
            raise InvalidRequestError(message, param=param, code="duplicate_parameter")
        if key.name in judged:
            seen.add(key.name)


def _check(document: Any) -> None:
    if not isinstance(document, dict):
        raise InvalidRequestError("The request body must be a JSON object.", code="invalid_json")
    if not _KNOWN.issuperset(document):
        _refuse_lookalikes(document, _JUDGED, "")
    for name, value in document.items():
        judged = _JUDGED.get(name)
        if judged is not None and (type(value) not in judged[0] or (name in _COUNTS and (value or 0) < 0)):
            raise _wrong_type(name, judged[1])
    for name in ("model", "messages"):
        if name not in document:
            raise _missing(name)
        if not document[name]:
            raise InvalidRequestError(f"'{name}' must not be empty.", param=name)
    for index, message in enumerate(document["messages"]):
        _check_message(message, index)


def _check_message(message: Any, index: int) -> None:
    if type(message) is not dict:
        raise _wrong_type(f"messages[{index}]", "an object")
    if not _JUDGED_IN_MESSAGE.issuperset(message):
        _refuse_lookalikes(message, _JUDGED_IN_MESSAGE, f"messages[{index}].")
    role = message.get("role")
    if type(role) is not str:
        param = f"messages[{index}].role"
        raise _missing(param) if role is None else _wrong_type(param, "a string")
    content = message.get("content")
    if content is not None and type(content) is not str:
        _check_parts(content, f"messages[{index}].content")


def _check_parts(content: Any, where: str) -> None:
    if type(content) is not list:
        raise _wrong_type(where, "a string, an array of parts, or null")
    for position, part in enumerate(content):
        if type(part) is not dict:
            raise _wrong_type(f"{where}[{position}]", "an object")
        if not _JUDGED_IN_PART.issuperset(part):
            _refuse_lookalikes(part, _JUDGED_IN_PART, f"{where}[{position}].")
        for name in ("type", "text"):
            if type(part.get(name, "")) is not str:
                raise _wrong_type(f"{where}[{position}].{name}", "a string")


def _refuse_lookalikes(names: Collection[str], judged: Collection[str], prefix: str) -> None:
    """Refuse `Model` for `model`: a decoder that ignores letter case would read another value than we judged."""
    for name in names:
        folded = name.casefold()
        if folded != name and folded in judged:
            message = f"Field '{prefix}{name}' differs only by letter case from '{folded}'."
            raise InvalidRequestError(message, param=prefix + folded, code="ambiguous_parameter")


def _missing(param: str) -> InvalidRequestError:
    return InvalidRequestError(f"Missing required field '{param}'.", param=param, code="missing_required_parameter")


def _wrong_type(param: str, expected: str) -> InvalidRequestError:
    return InvalidRequestError(f"'{param}' must be {expected}.", param=param, code="invalid_type")
