"""Make up a small value for a JSON Schema, the same one every time, for answers without a model."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, islice, repeat
from typing import Any, Final
from urllib.parse import unquote

NODES: Final = 8_000
"""Schema nodes visited for one example: enough for the 5,000 properties OpenAI takes (structured outputs, 2026-02)."""
_SHARE: Final = 64  # entries of a list or an object, or characters of a text, that cost one node more
_DEPTH: Final = 32  # levels of the value; OpenAI refuses strict schemas deeper than 10
_DEEP: Final = 6  # from this level on, or within a repeated reference, only what is required is filled in
_LONGEST: Final = 10_000  # a greater length or number of items is not met
_BOUNDS: Final = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")
_KINDS: Final = ("string", "integer", "number", "boolean", "object", "array", "null")
_HINTS: Final = {"properties": "object", "required": "object", "items": "array", "prefixItems": "array"}
_FORMATS: Final = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "a@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example(schema: object, *, nodes: int = NODES) -> object:
    """Return a small value that `schema` accepts, as far as its keywords are understood.

    Understood are `const`, `enum`, `default` and `examples` (taken unchecked), `type`, `properties`, `required`,
    `items`, `prefixItems`, `$ref` into the document, `allOf`, `anyOf`, `oneOf`, the bounds of numbers, texts and
    arrays, `multipleOf` and a few formats. No other keyword is honoured, `pattern` among them.

    Args:
        schema: A decoded JSON Schema; anything else counts as `{}`.
        nodes: Schema nodes that may be visited; what would come after them is left out or empty.
    """
    return _Maker(schema, nodes).build(schema, 0)


@dataclass(slots=True)
class _Node:
    """A schema with its references, its `allOf` and the options taken, merged into one set of keywords."""

    depth: int
    rules: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, object] = field(default_factory=dict)
    required: dict[str, None] = field(default_factory=dict)
    refs: set[str] = field(default_factory=set)

    def merge(self, schema: dict[str, Any]) -> None:
        """Add the keywords of one more schema."""
        for key, value in schema.items():
            self.rules[key] = _both(key, self.rules[key], value) if key in self.rules else value
        for name, inner in _dict(schema.get("properties")).items():
            self.properties[name] = {"allOf": [self.properties[name], inner]} if name in self.properties else inner
        self.required.update((name, None) for name in _list(schema.get("required")) if isinstance(name, str))

    def kind(self) -> str:
        """Return the type to make: the first one named or hinted at, and null only when alone or deep."""
        kinds = _types(self.rules) or [next((_HINTS[key] for key in _HINTS if key in self.rules), "string")]
        wants_null = self.depth >= _DEEP and "null" in kinds
        return next((kind for kind in kinds if (kind == "null") == wants_null), "null")


class _Maker:
    """Makes one example; `left` is what remains of its nodes, `open` counts the references it is inside of."""

    def __init__(self, root: object, nodes: int) -> None:
        self.root, self.left, self.open = root, nodes, Counter({"#": 1})

    def build(self, schema: object, depth: int) -> object:
        """Return a value the schema names, else one of its type."""
        node = self.gather(schema, depth)
        value = next((value for value in _named(node.rules) if self.is_plain(value, node.depth)), node)
        if value is node:
            makers = {"object": self.mapping, "array": self.array, "string": self.text, "boolean": lambda _: False}
            makers |= {"integer": _number, "number": _number, "null": lambda _: None}
            value = makers[node.kind()](node)
        self.open.subtract(node.refs)
        return value

    def gather(self, schema: object, depth: int) -> _Node:
        """Merge `schema` and all it stands for; a loop, since references and `allOf` may nest without end."""
        node, pending = _Node(depth), [schema]
        while pending and self.left > 0:
            part = _dict(pending.pop())
            size = len(part) + sum(len(value) for value in part.values() if isinstance(value, dict | list))
            self.left -= 1 + size // _SHARE
            node.merge(part)
            pending += reversed(self.parts(part, node))
        return node

    def parts(self, schema: dict[str, Any], node: _Node) -> list[object]:
        """Return what holds beside `schema`: what it refers to, its `allOf` and one option of each choice."""
        ref, parts = schema.get("$ref"), [*_list(schema.get("allOf"))]
        if isinstance(ref, str) and ref not in node.refs:
            node.depth = max(node.depth, _DEEP) if self.open[ref] else node.depth
            node.refs.add(ref)
            self.open[ref] += 1
            self.left -= len(ref) // _SHARE
            parts.insert(0, _pointed_at(self.root, ref))
        choices = filter(None, (_list(schema.get(key)) for key in ("anyOf", "oneOf")))
        return parts + [min(options, key=lambda option: self.rank(option, node)) for options in choices]

    def rank(self, option: object, node: _Node) -> int:
        """Return how late to take an option: false and recursive ones last, null late, but when deep what nests."""
        known = _dict(option)
        required = (_dict(known.get("properties")).get(str(name)) for name in _list(known.get("required"))[:_DEPTH])
        if option is False or any(self.open[str(_dict(inner).get("$ref"))] for inner in (known, *required)):
            return 2
        kinds = set(_types(known))
        return int(not kinds or bool(kinds & {"object", "array"}) if node.depth >= _DEEP else kinds == {"null"})

    def is_plain(self, value: object, depth: int) -> bool:
        """Whether a value is JSON and small enough to be repeated."""
        if isinstance(value, dict | list):
            self.left -= 1 + len(value) // _SHARE
            inner = chain(value, value.values()) if isinstance(value, dict) else value
            return self.left > 0 and depth < _DEPTH and all(self.is_plain(item, depth + 1) for item in inner)
        self.left -= len(value) // _SHARE if isinstance(value, str) else 0
        return value is None or isinstance(value, str | bool) or _fraction(value) is not None

    def mapping(self, node: _Node) -> dict[str, object]:
        """Return an object with the required properties and, unless deep, the optional ones."""
        shallow, made = node.depth < _DEEP, dict[str, object]()
        listed = [n for n, inner in node.properties.items() if n in node.required or (shallow and inner is not False)]
        for name in chain(listed, (name for name in node.required if name not in node.properties)):
            if self.left <= 0 or node.depth >= _DEPTH:
                break
            self.left -= len(name) // _SHARE
            made[name] = self.build(node.properties.get(name), node.depth + 1)
        return made

    def array(self, node: _Node) -> list[object]:
        """Return an array of as few items as are allowed, but unless deep with all its `prefixItems`."""
        prefix, made = _list(node.rules.get("prefixItems")), list[object]()
        least = _count(node.rules.get("minItems"), 0)
        length = least if node.depth >= _DEEP else max(least, len(prefix))
        length = min(length, _count(node.rules.get("maxItems"), length))
        for schema in islice(chain(prefix, repeat(node.rules.get("items"))), length):
            if self.left <= 0 or node.depth >= _DEPTH:
                break
            made.append(self.build(schema, node.depth + 1))
        return made

    def text(self, node: _Node) -> str:
        """Return a text of the format asked for, filled up to the least length."""
        text = _FORMATS.get(str(node.rules.get("format")), "").ljust(_count(node.rules.get("minLength"), 0), "a")
        self.left -= len(text) // _SHARE
        return text[: _count(node.rules.get("maxLength"), _LONGEST)]


def _number(node: _Node) -> int | float:
    """Return the number within the bounds that is nearest to zero among whole steps, else the middle."""
    low, above, high, below, steps = ([n] if (n := _fraction(node.rules.get(key))) else [] for key in _BOUNDS)
    return 0
