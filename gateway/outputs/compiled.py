"""One JSON Schema of answers, compiled: the home of jsonschema-rs.

jsonschema-rs (0.61.2) fetches nothing with `offline=True`, takes linear time for regular expressions with
`RegexOptions`, tells every fault of a schema as a ValueError and breaks off what leads back to itself. It overflows the
stack on values or schemas that are too deep, has no bound on what schemas multiply, and lists all errors at once, each
with a copy of the value: those three are kept from it here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import jsonschema_rs
import msgspec

from gateway.outputs.survey import MAX_DEPTH, Obstacle, Survey, UnboundedError, resolve

MAX_SCHEMA_BYTES: Final = 128 * 1024
"""The largest schema that is compiled: some 2,000 described properties, about 10 ms."""

MAX_PROBLEMS: Final = 8
"""How many problems of one answer are named."""

MAX_EXPRESSIONS: Final = 64
"""The most regular expressions a schema may have; each takes up to 0.2 ms to compile."""

_MAX_WORK: Final = 2_000_000
"""The most evaluations one answer may cost; about 20 ms."""

_MAX_MATCHED_BYTES: Final = 64 * 1024
"""The most text that regular expressions are run over, in bytes times expressions. What makes a large automaton takes
2 us a byte, within `_REGEX_BYTES`; the usual ones a thousandth of it."""

_MAX_TOLD_WORK: Final = 100_000
"""The most evaluations, times the answer's depth, that finding what is wrong may cost; about 50 ms."""

_MAX_TOLD_BYTES: Final = 4_000_000
"""The most text, times evaluations of a value, that the validator may write while it tells what is wrong."""

_REGEX_BYTES: Final = 64 * 1024
"""The size of a compiled regular expression; `^\\p{L}+$` takes between 32 and 64 KB."""

_FEW: Final = 12
"""With fewer brackets than this an answer's depth is not measured: it is no greater than their number."""

_SHOWN: Final = 100
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=_REGEX_BYTES, dfa_size_limit=1024 * 1024)

Why = Literal[Obstacle, "schema_invalid", "answer_too_deep", "answer_too_large", "validator_failed"]
"""Why something was not checked. `schema_invalid` stands for what the validator does not take, be it wrong or not:
a regular expression with look-around, a `$ref` that would have to be fetched, a draft it does not know."""


class Unchecked(msgspec.Struct, frozen=True):
    """An answer that is JSON, but was not held against its schema.

    Attributes:
        why: for the count of them.
    """

    why: Why


class Problem(msgspec.Struct, frozen=True):
    """One way in which an answer does not fit. It may hold some 100 characters out of the answer: not logged.

    Attributes:
        pointer: where, as a JSON pointer (RFC 6901); empty for the whole.
        keyword: which keyword of the schema says so.
        message: what the keyword demands.
    """

    pointer: str
    keyword: str
    message: str


class CompiledSchema:
    """One schema, ready to judge answers.

    Args:
        schema: the schema.
        size: bytes that it takes as JSON.

    Raises:
        UnboundedError: it could take too long.
        ValueError: the validator does not take it.
    """

    __slots__ = ("_schema", "_survey", "_validator")

    def __init__(self, schema: Any, size: int) -> None:
        if size > MAX_SCHEMA_BYTES:
            raise UnboundedError("schema_too_large")
        self._schema = schema
        self._survey = Survey(schema)
        if self._survey.expressions > MAX_EXPRESSIONS:
            raise UnboundedError("schema_too_large")
        self._validator: jsonschema_rs.Validator = _guarded(_compile, schema)

    def problems(self, value: Any, text: str) -> tuple[Problem, ...] | Unchecked:
        """Return what is wrong with an answer; nothing if it fits.

        Args:
            value: the answer.
            text: the same as it was sent.
        """
        brackets = text.count("[") + text.count("{")
        depth = brackets if brackets < _FEW else _depth(value)
        if depth >= MAX_DEPTH:
            return Unchecked("answer_too_deep")
        cost = self._survey.at(depth)
        values = 1 + text.count(",") + brackets
        if cost is None or values * cost > _MAX_WORK or len(text) * self._survey.patterns > _MAX_MATCHED_BYTES:
            return Unchecked("answer_too_large")
        try:
            if _guarded(self._validator.is_valid, value):
                return ()
            if values * cost * (depth + 1) > _MAX_TOLD_WORK or len(text) * cost > _MAX_TOLD_BYTES:
                return (Problem("", "schema", "it does not fit the schema"),)
            return self._told(_guarded(self._validator.evaluate, value))
        except ValueError:
            return Unchecked("validator_failed")

    def _told(self, evaluation: jsonschema_rs.Evaluation) -> tuple[Problem, ...]:
        problems: dict[Problem, None] = {}
        for error in evaluation.errors():
            problems[self._problem(error)] = None
            if len(problems) == MAX_PROBLEMS:
                break
        return tuple(problems) or (Problem("", "schema", "it does not fit the schema"),)

    def _problem(self, error: jsonschema_rs.EvaluationErrorEntry) -> Problem:
        where = error["schemaLocation"]
        if where.rpartition("/")[2].isdecimal():  # an entry of `dependentRequired`
            where = where.rpartition("/")[0]
        keyword = _cut(where.rpartition("/")[2], _SHOWN)
        pointer = _cut(error["instanceLocation"], 2 * _SHOWN)
        if keyword in _NAMING:
            return Problem(pointer, keyword, _cut(error["error"], _SHOWN))
        try:
            demand = encode_schema(resolve(self._schema, where)).decode()
        except (LookupError, ValueError):
            return Problem(pointer, keyword, f'it does not meet "{keyword}" of the schema')
        return Problem(pointer, keyword, f'the schema says "{keyword}": {_cut(demand, 2 * _SHOWN)}')


_NAMING: Final = frozenset({"required", "additionalProperties", "unevaluatedProperties"})
"""Keywords whose messages name the members that are missing or too many, and hold nothing else of the answer."""


def _compile(schema: Any) -> jsonschema_rs.Validator:
    # As an object: read as text, numbers of the schema are decimals that differ from an answer's floats beyond 1e16.
    # A wrong date or address is no reason to ask again: `format` is an annotation since draft 2019-09.
    return jsonschema_rs.validator_for(schema, validate_formats=False, offline=True, pattern_options=_PATTERNS)


def _guarded(call: Callable[[Any], Any], argument: Any) -> Any:
    """Call the validator; a panic in it, which is no Exception, becomes a ValueError."""
    try:
        return call(argument)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError("the validator panicked") from error


def _depth(value: Any) -> int:
    """Return how many arrays and objects enclose the deepest value; `MAX_DEPTH` stands for all that is deeper."""
    level, depth = [value], 0
    while depth < MAX_DEPTH:
        within: list[Any] = []
        for each in level:
            if type(each) is dict:
                within += each.values()
            elif type(each) is list:
                within += each
        if not within:
            break
        level, depth = within, depth + 1
    return depth


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "..."


def encode_schema(document: Any) -> bytes:
    """Return a schema, or a part of one, as JSON.

    Raises:
        ValueError: it cannot be written as JSON.
    """
    try:
        return msgspec.json.encode(document)
    except (RecursionError, TypeError) as error:
        raise ValueError("the schema cannot be written as JSON") from error
