"""A chat request: the fields the gateway judges, and the bytes it forwards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from gateway.domain.errors import InvalidRequestError


class Key:
    """A member name in a JSON object, compared by identity so that repeated names stay apart."""

    __slots__ = ("name",)

    def __init__(self, _type: Any, name: str) -> None:
        self.name = name


Members = dict[Key, msgspec.Raw]
"""The members of one JSON object in the order sent, repeated names included, values as sent."""

_Kinds = frozenset[int]
"""First bytes that tell the type of a JSON value."""

_Count = Annotated[int, msgspec.Meta(ge=0)]
_SPLIT_OBJECT: Final = msgspec.json.Decoder(Members, dec_hook=Key)
_SPLIT_OBJECTS: Final = msgspec.json.Decoder(list[Members], dec_hook=Key)
_FLAG: Final = msgspec.json.Decoder(bool | None)
_COUNT: Final = msgspec.json.Decoder(_Count | None)
_NUMBER: Final = msgspec.json.Decoder(float | None)
_TEXT: Final = msgspec.json.Decoder(str)
_OPTIONAL_TEXT: Final = msgspec.json.Decoder(str | None)
_OPTIONS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)

_OBJECT, _ARRAY, _STRING, _NULL = b'{["n'

_JUDGED: Final[Mapping[str, tuple[msgspec.json.Decoder[Any] | _Kinds, str]]] = {
    "model": (_TEXT, "a string"),
    "messages": (frozenset({_ARRAY}), "an array of messages"),
    "stream": (_FLAG, "true or false"),
    "stream_options": (_OPTIONS, "an object"),
    "max_tokens": (_COUNT, "a whole number, 0 or more"),
    "max_completion_tokens": (_COUNT, "a whole number, 0 or more"),
    "n": (_COUNT, "a whole number, 0 or more"),
    "temperature": (_NUMBER, "a number"),
    "user": (_OPTIONAL_TEXT, "a string"),
    "tools": (frozenset({_ARRAY, _NULL}), "an array of tools"),
    "tool_choice": (frozenset({_STRING, _OBJECT, _NULL}), "a string or an object"),
    "response_format": (frozenset({_OBJECT, _NULL}), "an object"),
}
"""Top-level members the gateway acts on: how each is read, and how its type is named to the caller."""

_KNOWN: Final = frozenset(_JUDGED) | {"top_p", "seed", "stop", "frequency_penalty", "presence_penalty", "metadata"}
_KNOWN_IN_MESSAGE: Final = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "refusal"})
_KNOWN_IN_PART: Final = frozenset({"type", "text", "image_url", "input_audio", "file", "refusal"})
_JUDGED_ANYWHERE: Final = frozenset(_JUDGED) | _KNOWN_IN_MESSAGE | _KNOWN_IN_PART

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
        model: the requested model name.
        messages: the members of each message, values as sent.
        stream: whether the caller asked for server-sent events.
        wants_usage: whether the caller asked for the usage chunk of a stream.
        max_output_tokens: the smaller of the two limits the caller may set, or None.
        choices: how many answers were asked for.
        temperature, user: as sent, or None.
    """

    __slots__ = (
        "_members",
        "body",
        "choices",
        "max_output_tokens",
        "messages",
        "model",
        "stream",
        "stream_options",
        "temperature",
        "user",
        "wants_usage",
    )

    def __init__(self, body: bytes, members: Members, fields: Mapping[str, Any], messages: list[dict[str, msgspec.Raw]]) -> None:
        self.body = body
        self._members = members
        self.messages = messages
        self.model: str = fields["model"]
        self.stream: bool = fields.get("stream") or False
        self.stream_options: Mapping[str, msgspec.Raw] | None = fields.get("stream_options")
        options = self.stream_options or {}
        self.wants_usage: bool = _is_true(options.get("include_usage"))
        limits = [fields[k] for k in ("max_completion_tokens", "max_tokens") if fields.get(k) is not None]
        self.max_output_tokens: int | None = min(limits, default=None)
        self.choices: int = fields.get("n") or 1
        self.temperature: float | None = fields.get("temperature")
        self.user: str | None = fields.get("user")

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
        for key, value in self._members.items():
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
        options = {**(self.stream_options or {}), "include_usage": msgspec.Raw(b"true")}
        return {"stream_options": msgspec.json.encode(options)}


def _is_true(value: msgspec.Raw | None) -> bool:
    return value is not None and bytes(value) == b"true"


def parse_chat(body: bytes) -> ChatRequest:
    """Read a chat request.

    Raises:
        InvalidRequestError: the body is not a JSON object, a judged field is missing, has the wrong type, or
            stands there twice (in any spelling: what is judged must be what is sent).
    """
    try:
        return _parse(body, body)
    except msgspec.DecodeError:
        readable = without_lone_surrogates(body)
        if readable == body:
            raise
        return _parse(readable, body)


def read_chat(body: bytes) -> ChatRequest:
    """Read a chat request, turning every fault of its JSON into an `InvalidRequestError`."""
    try:
        if not body.isascii():
            body.decode()
        return parse_chat(body)
    except UnicodeDecodeError as error:
        message = f"The request body is not valid UTF-8 (byte {error.start})."
        raise InvalidRequestError(message, code="invalid_json") from error
    except RecursionError as error:
        raise InvalidRequestError("The request body is nested too deeply.", code="invalid_json") from error
    except msgspec.DecodeError as error:
        if not body.strip():
            message = "The request body is empty; a JSON object was expected."
        else:
            message = f"The request body is not valid JSON: {error}."
        raise InvalidRequestError(message, code="invalid_json") from error


def _parse(readable: bytes, original: bytes) -> ChatRequest:
    try:
        members = _SPLIT_OBJECT.decode(readable)
    except msgspec.ValidationError as error:
        raise InvalidRequestError("The request body must be a JSON object.", code="invalid_json") from error
    fields = _read_judged(members)
    for name in ("model", "messages"):
        if name not in fields:
            raise InvalidRequestError(f"Missing required field '{name}'.", param=name, code="missing_required_parameter")
    if not fields["model"]:
        raise InvalidRequestError("'model' must not be empty.", param="model")
    return ChatRequest(original, members, fields, _read_messages(fields["messages"]))


def _read_judged(members: Members) -> dict[str, Any]:
    found = _by_name(members, _KNOWN, "")
    fields: dict[str, Any] = {}
    for name, value in found.items():
        judged = _JUDGED.get(name)
        if judged is None:
            continue
        how, expected = judged
        if isinstance(how, frozenset):
            if memoryview(value)[0] not in how:
                raise _wrong_type(name, expected)
            fields[name] = value
        else:
            try:
                fields[name] = how.decode(value)
            except msgspec.ValidationError as error:
                raise _wrong_type(name, expected) from error
    return fields


def _read_messages(raw: msgspec.Raw) -> list[dict[str, msgspec.Raw]]:
    try:
        split = _SPLIT_OBJECTS.decode(raw)
    except msgspec.ValidationError as error:
        raise InvalidRequestError("Each of 'messages' must be an object.", param="messages", code="invalid_type") from error
    messages = []
    for index, members in enumerate(split):
        found = _by_name(members, _KNOWN_IN_MESSAGE, "messages", index)
        role = found.get("role")
        if role is None:
            param = f"messages[{index}].role"
            raise InvalidRequestError(f"Missing required field '{param}'.", param=param, code="missing_required_parameter")
        if memoryview(role)[0] != _STRING:
            raise _wrong_type(f"messages[{index}].role", "a string")
        content = found.get("content")
        if content is not None and (first := memoryview(content)[0]) != _STRING and first != _NULL:
            _check_parts(content, first, f"messages[{index}].content")
        messages.append(found)
    if not messages:
        raise InvalidRequestError("'messages' must not be empty.", param="messages")
    return messages


def _check_parts(raw: msgspec.Raw, first: int, where: str) -> None:
    """Refuse content that is no array of objects, and parts that repeat a judged name."""
    if first != _ARRAY:
        raise _wrong_type(where, "a string, an array of parts, or null")
    try:
        parts = _SPLIT_OBJECTS.decode(raw)
    except msgspec.ValidationError as error:
        raise _wrong_type(where, "an array of objects") from error
    for index, members in enumerate(parts):
        _by_name(members, _KNOWN_IN_PART, where, index)


def _by_name(members: Members, known: frozenset[str], where: str, index: int | None = None) -> dict[str, msgspec.Raw]:
    """Return the members by name, refusing a judged name that stands there twice in any spelling."""
    found = {key.name: value for key, value in members.items()}
    if len(found) != len(members) or not known.issuperset(found):
        prefix = where if index is None else f"{where}[{index}]."
        _refuse_ambiguous([key.name for key in members], known & _JUDGED_ANYWHERE, prefix)
    return found


def _refuse_ambiguous(names: list[str], judged: frozenset[str], prefix: str) -> None:
    """Refuse judged names that repeat, and `Model` for `model`: a decoder that ignores case would read another value."""
    seen = set()
    for name in names:
        folded = name.casefold()
        if folded not in judged:
            continue
        param = prefix + folded
        if folded != name:
            message = f"Field '{prefix}{name}' differs only by letter case from '{folded}'."
            raise InvalidRequestError(message, param=param, code="ambiguous_parameter")
        if name in seen:
            raise InvalidRequestError(f"Field '{param}' stands there twice.", param=param, code="duplicate_parameter")
        seen.add(name)


def _wrong_type(param: str, expected: str) -> InvalidRequestError:
    return InvalidRequestError(f"'{param}' must be {expected}.", param=param, code="invalid_type")
