"""What a request demands of the form of its answer, and whether an answer has it.

A plain answer is judged once it is whole. Streams are left unchecked: what has been sent cannot be repaired. Not
judged either are answers that were cut off, refusals, and calls of tools (`gateway.outputs.answers`), and answers that
go on from a beginning the caller wrote, which are no JSON by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from gateway.domain.request import ModelRequest, Shape
from gateway.outputs.answers import Text, decode_json, encode_text, read_texts
from gateway.outputs.compiled import CompiledSchema, Problem, Unchecked, encode_schema
from gateway.outputs.schemas import Schemas, compile_schema
from gateway.outputs.wrapping import unwrap

_FORMATS: Final[Mapping[str, tuple[str, str]]] = {
    "chat": ("response_format", ""),
    "responses": ("text", "format"),
    "messages": ("output_config", "format"),
}
"""By shape, the member of a request that names the form of its answer, and the member within that."""

_MAX_TEXTS: Final = 16
"""How many of an answer's choices are judged: each may cost as much as one alone."""

_MAX_TOLD_SCHEMA: Final = 32 * 1024
"""The largest schema of the settings that is shown to the model, in bytes; about 10,000 tokens."""


class Fault(msgspec.Struct, frozen=True):
    """An answer that does not fit. It may hold names and up to 100 characters out of the answer: not logged.

    Attributes:
        kind: what it failed at, for the count: being JSON, being an object, or its schema.
        index: which answer: see `gateway.outputs.answers.Text.index`.
        problems: what is wrong with it, 1 to `MAX_PROBLEMS`.
        schema: the schema, where the request does not show it to the model; else empty.
    """

    kind: Literal["json", "object", "schema"]
    index: int
    problems: tuple[Problem, ...]
    schema: str = ""


class Expectation:
    """The form that an answer is to have.

    Args:
        schema: its JSON Schema, why that is not used, or None: any object will do.
        told: the schema's text, where the model has to be told it.
    """

    __slots__ = ("_schema", "_told")

    def __init__(self, schema: CompiledSchema | Unchecked | None, told: str = "") -> None:
        self._schema = schema
        self._told = told

    def check(self, reply_body: bytes, shape: Shape) -> Fault | Unchecked | None:
        """Return the first fault of an answer; None if it fits or holds nothing to judge.

        Args:
            reply_body: the whole answer.
            shape: its shape.
        """
        texts = read_texts(reply_body, shape)[1]
        unchecked = Unchecked("answer_too_large") if len(texts) > _MAX_TEXTS else None
        for text in texts[:_MAX_TEXTS]:
            found = self._judge(text)
            if isinstance(found, Fault):
                return found
            unchecked = unchecked or found
        return unchecked

    def unwrapped(self, reply_body: bytes, shape: Shape) -> bytes | None:
        """Return an answer that does not fit with its JSON taken out of a Markdown fence and freed of a BOM.

        Every other byte is kept, except that half surrogate pairs become U+FFFD.

        Returns:
            The new answer, all of which fits; None where that does not make it fit.
        """
        body, texts = read_texts(reply_body, shape)
        if len(texts) > _MAX_TEXTS:
            return None
        edits: dict[bytes, tuple[bytes, int]] = {}
        for text in texts:
            if not isinstance(self._judge(text), Fault):
                continue
            inner = unwrap(text.text)
            if inner is None or not text.literal or isinstance(self._judge(Text(text.index, inner, b"")), Fault):
                return None
            edits[text.literal] = encode_text(inner), edits.get(text.literal, (b"", 0))[1] + 1
        for literal, (new, times) in edits.items():
            if body.count(literal) != times:  # the same string elsewhere: which is which would be a guess
                return None
            body = body.replace(literal, new)
        return body if edits else None

    def _judge(self, text: Text) -> Fault | Unchecked | None:
        try:
            value = decode_json(text.text)
        except RecursionError:
            return Unchecked("answer_too_deep")
        except msgspec.ValidationError:
            return Unchecked("answer_too_large")
        except msgspec.DecodeError as error:
            return Fault("json", text.index, (Problem("", "json", f"it is no JSON: {error}"),), self._told)
        if self._schema is None:
            return None if isinstance(value, dict) else Fault("object", text.index, _NO_OBJECT)
        return self._hold(value, self._schema, text)

    def _hold(self, value: Any, schema: CompiledSchema | Unchecked, text: Text) -> Fault | Unchecked | None:
        problems = schema if isinstance(schema, Unchecked) else schema.problems(value, text.text)
        if isinstance(problems, Unchecked):
            return problems
        return Fault("schema", text.index, problems, self._told) if problems else None


_NO_OBJECT: Final = (Problem("", "type", "it must be a JSON object"),)
_ANY_OBJECT: Final = Expectation(None)


def expected_output(request: ModelRequest, schemas: Schemas) -> Expectation | None:
    """Return what a request demands of the form of its answer, or None.

    Args:
        request: any request.
        schemas: where compiled schemas are kept.
    """
    where = _FORMATS.get(request.shape)
    if where is None or (wanted := request.document.get(where[0])) is None:
        return None
    if where[1]:
        wanted = wanted.get(where[1]) if isinstance(wanted, dict) else None
    if not isinstance(wanted, dict) or not is_checkable(request):
        return None
    if wanted.get("type") == "json_object":
        return _ANY_OBJECT
    if wanted.get("type") != "json_schema":
        return None
    holder = wanted.get("json_schema") if request.shape == "chat" else wanted
    return Expectation(schemas.compiled(holder.get("schema") if isinstance(holder, dict) else None))


def expectation_from(schema: dict[str, Any]) -> Expectation:
    """Return what a schema of the settings demands of an answer.

    It is for requests that are `is_checkable`; those that name a form of their own are held to that.

    Raises:
        ValueError: the schema is invalid, refers to others, or could take too long.
    """
    text = encode_schema(schema).decode()
    return Expectation(compile_schema(schema), text if len(text) <= _MAX_TOLD_SCHEMA else "")


def is_checkable(request: ModelRequest) -> bool:
    """Tell whether the answer to a request can be judged as a whole."""
    if request.stream or request.shape not in _FORMATS:
        return False
    return not request.messages or request.messages[-1].get("role") != "assistant"
