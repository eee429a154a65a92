"""Finds the texts in a complete answer that should be JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.domain.document import without_lone_surrogates
from gateway.domain.request import Shape

_NULL: Final = msgspec.Raw(b"null")


class Text(msgspec.Struct, frozen=True):
    """What a model said as one answer.

    Attributes:
        index: its position among the choices (chat), output items (Responses), or 0 (Messages).
        text: all of it.
        literal: the JSON string in the body that holds it, quotes included; empty if it is spread over several.
    """

    index: int
    text: str
    literal: bytes


class _Part(msgspec.Struct):
    type: str = ""
    text: msgspec.Raw = _NULL


class _Said(msgspec.Struct):
    content: msgspec.Raw = _NULL
    refusal: str | None = None
    tool_calls: list[msgspec.Raw] | None = None
    function_call: msgspec.Raw = _NULL


class _Choice(msgspec.Struct):
    message: _Said
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class _Item(msgspec.Struct):
    type: str = ""
    content: list[_Part] | None = None
    phase: str | None = None


class _Response(msgspec.Struct):
    output: list[_Item]
    status: str | None = None


class _Message(msgspec.Struct):
    content: list[_Part]
    stop_reason: str | None = None


_COMPLETION: Final = msgspec.json.Decoder(_Completion)
_RESPONSE: Final = msgspec.json.Decoder(_Response)
_MESSAGE: Final = msgspec.json.Decoder(_Message)
_TEXT: Final = msgspec.json.Decoder(str)
_PARTS: Final = msgspec.json.Decoder(list[_Part])

_WHOLE: Final = frozenset({None, "stop"})
"""How a chat answer ends that says all it wanted to. Others were cut off (`length`, `content_filter`) or wait for a
tool (`tool_calls`, `function_call`)."""

_NO_ANSWER: Final = frozenset({"message", "reasoning"})
"""Output items of a response beside which its text still is the answer; a call of a tool is not among them."""


def read_texts(body: bytes, shape: Shape) -> tuple[bytes, Sequence[Text]]:
    """Return the texts of an answer that are complete and meant as the answer.

    Left out are answers that were cut off, refusals, and what is said beside the call of a tool.

    Args:
        body: the answer.
        shape: its shape.

    Returns:
        The body that the literals stand in (half surrogate pairs replaced), and the texts; none for other shapes and
        for what cannot be read as the shape says: whether that is an answer is not judged here.
    """
    read = _READERS.get(shape)
    if read is None:
        return body, ()
    try:
        return body, read(body)
    except (msgspec.DecodeError, RecursionError):
        pass
    body = without_lone_surrogates(body)
    try:
        return body, read(body)
    except (msgspec.DecodeError, RecursionError):
        return body, ()


def _of_completion(body: bytes) -> list[Text]:
    texts = []
    for index, choice in enumerate(_COMPLETION.decode(body).choices):
        said = choice.message
        is_call = said.tool_calls or bytes(said.function_call) != b"null"
        if choice.finish_reason in _WHOLE and not said.refusal and not is_call:
            texts += _of_content(index, bytes(said.content))
    return texts


def _of_content(index: int, content: bytes) -> list[Text]:
    """Return what a chat message says: a string, or with some upstreams an array of parts."""
    if content.startswith(b'"'):
        return [Text(index, _TEXT.decode(content), content)]
    if content.startswith(b"["):
        return _joined(index, _PARTS.decode(content), "text")
    return []


def _of_response(body: bytes) -> list[Text]:
    response = _RESPONSE.decode(body)
    if response.status not in (None, "completed") or not all(item.type in _NO_ANSWER for item in response.output):
        return []
    texts = []
    for index, item in enumerate(response.output):
        if item.phase != "commentary" and not any(part.type == "refusal" for part in item.content or ()):
            texts += _joined(index, item.content or (), "output_text")
    return texts


def _of_message(body: bytes) -> list[Text]:
    message = _MESSAGE.decode(body)
    if message.stop_reason not in (None, "end_turn"):
        return []
    return _joined(0, message.content, "text")


def _joined(index: int, parts: Sequence[_Part], kind: str) -> list[Text]:
    literals = [bytes(part.text) for part in parts if part.type == kind]
    if not literals:
        return []
    text = "".join([_TEXT.decode(literal) for literal in literals])
    return [Text(index, text, literals[0] if len(literals) == 1 else b"")]


_READERS: Final[Mapping[str, Callable[[bytes], list[Text]]]] = {
    "chat": _of_completion,
    "responses": _of_response,
    "messages": _of_message,
}


def encode_text(text: str) -> bytes:
    """Return a text as a JSON string."""
    return msgspec.json.encode(text)


def decode_json(text: str) -> Any:
    """Decode an answer.

    Raises:
        msgspec.ValidationError: it holds a number beyond what fits.
        msgspec.DecodeError: it is not JSON.
        RecursionError: it is nested some hundred levels deep.
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if "\\u" not in text:
            raise
    return msgspec.json.decode(without_lone_surrogates(text.encode()))
