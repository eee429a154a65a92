"""Make up a small value for a JSON Schema, the same one every time, for answers without a model."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import chain, islice, repeat
from typing import Any, Final
from urllib.parse import unquote

NODES: Final = 8_000
"""Schema nodes visited for one example: enough for the 5,000 properties OpenAI takes (structured outputs, 2026-02)."""
_ENTRIES: Final = 16  # of a list or an object, which cost one node more
_CHARACTERS: Final = 64  # of a text, which cost one node more
_DEPTH: Final = 40  # levels of the value; OpenAI refuses strict schemas deeper than 10
_DEEP: Final = 6  # the level from which on only what is required is filled in
_REFERENCE: Final = 2  # levels that a reference counts for, so that recursive schemas soon are deep
_LONGEST: Final = 10_000  # a greater length or number of items is not met
_KINDS: Final = {"string", "integer", "number", "boolean", "object", "array", "null"}
_LINKS: Final = {"$ref", "allOf", "anyOf", "oneOf"}
_BOUNDS: Final = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
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


class _Maker:
    """Makes one example of the schema `root`; `left` is the number of nodes it may still visit."""

    def __init__(self, root: object, nodes: int) -> None:
        self.root, self.left = root, nodes

    def build(self, schema: object, depth: int) -> object:
        """Return a value the schema names, else one of its type."""
        rules, depth = self.gather(schema, depth)
        kind = _kind(rules, deep=depth >= _DEEP)
        if named := [value for value in _named(rules) if self.is_plain(value, depth)]:
            return named[0]
        if kind in {"object", "array"}:
            return self.mapping(rules, depth) if kind == "object" else self.array(rules, depth)
        if kind in {"integer", "number"}:
            return _number(rules, whole=kind == "integer")
        return self.text(rules) if kind == "string" else False if kind == "boolean" else None

    def gather(self, schema: object, depth: int) -> tuple[dict[str, Any], int]:
        """Merge `schema`, its references, its `allOf` and one option of each choice; return its level too."""
        rules: dict[str, Any] = {"properties": {}, "required": {}}
        pending, seen = [schema], set[str]()
        while pending and self.left > 0:
            part = _dict(pending.pop())
            self.left -= 1 + (len(part) + sum(len(v) for v in part.values() if isinstance(v, dict | list))) // _ENTRIES
            _merge(rules, part)
            if not _LINKS.isdisjoint(part):
                pending += self.linked(part, depth + _REFERENCE * bool(seen), seen)
        return rules, depth + _REFERENCE * bool(seen)

    def linked(self, part: dict[str, Any], depth: int, seen: set[str]) -> list[object]:
        """Return what holds beside `part`, last first: options, its `allOf`, and what it refers to unless `seen`."""
        choices = (_list(part.get(key))[:_DEPTH] for key in ("oneOf", "anyOf"))
        found = [*(self.chosen(options, depth) for options in choices if options), *_list(part.get("allOf"))[::-1]]
        refs = set(_texts([part.get("$ref")])) - seen
        seen |= refs
        return found + [_pointed_at(self.root, ref) for ref in refs]

    def chosen(self, options: list[object], depth: int) -> object:
        """Return the first option that is not null or, when deep, one that refers to nothing further."""
        self.left -= len(options) // 4
        if depth >= _DEEP:
            return min(options, key=self.links)
        return min(options, key=lambda option: 2 if option is False else int(_dict(option).get("type") == "null"))

    def links(self, option: object) -> int:
        """Rank an option by whether it, or a property that it requires, is made of other schemas."""
        known = _dict(option)
        known = _dict(_pointed_at(self.root, known["$ref"])) if "$ref" in known else known
        properties, required = _dict(known.get("properties")), _texts(_list(known.get("required"))[:_DEPTH])
        inner = (_dict(properties.get(name)) for name in required)
        return 2 if option is False else int(any(_LINKS & schema.keys() for schema in (known, *inner)))

    def is_plain(self, value: object, depth: int) -> bool:
        """Whether a value is JSON and small enough to be repeated."""
        if isinstance(value, dict | list):
            self.left -= 1 + len(value) // _ENTRIES
            inner = chain(value, value.values()) if isinstance(value, dict) else value
            return self.left > 0 and depth < _DEPTH and all(self.is_plain(item, depth + 1) for item in inner)
        self.left -= len(value) // _CHARACTERS if isinstance(value, str) else 0
        return value is None or isinstance(value, str) or (isinstance(value, int | float) and abs(value) < 1e300)

    def mapping(self, rules: dict[str, Any], depth: int) -> dict[str, object]:
        """Return an object with the required properties and, unless deep, the optional ones."""
        properties, required, made = rules["properties"], rules["required"], dict[str, object]()
        wanted = required if depth >= _DEEP else {n: 0 for n in properties if properties[n] is not False} | required
        for name in wanted if depth < _DEPTH else ():
            if self.left <= 0:
                break
            self.left -= len(name) // _CHARACTERS
            made[name] = self.build(properties.get(name), depth + 1)
        return made

    def array(self, rules: dict[str, Any], depth: int) -> list[object]:
        """Return an array of as few items as are allowed, but unless deep with all its `prefixItems`."""
        prefix, made = _list(rules.get("prefixItems")), list[object]()
        length = max(_count(rules.get("minItems"), 0), 0 if depth >= _DEEP else len(prefix))
        for schema in islice(chain(prefix, repeat(rules.get("items"))), length if depth < _DEPTH else 0):
            if self.left <= 0:
                break
            made.append(self.build(schema, depth + 1))
        return made

    def text(self, rules: dict[str, Any]) -> str:
        """Return a text of the format asked for, filled up to the least length."""
        text = "".join(_FORMATS.get(name, "") for name in _texts([rules.get("format")]))
        text = text.ljust(_count(rules.get("minLength"), 0), "a")[: _count(rules.get("maxLength"), _LONGEST)]
        self.left -= len(text) // _CHARACTERS
        return text


def _merge(rules: dict[str, Any], more: dict[str, Any]) -> None:
    """Add the keywords of one more schema; where two cannot be combined the first counts."""
    for key, value in more.items():
        ours = rules.setdefault(key, value)
        if key == "required":
            ours.update(dict.fromkeys(_texts(value)))
        elif key == "properties":
            ours.update({name: {"allOf": [ours[name], s]} if name in ours else s for name, s in _dict(value).items()})
        elif ours is value:
            continue
        elif key == "items":
            rules[key] = {"allOf": [ours, value]}
        elif key == "type":
            rules[key] = [kind for kind in _types(ours) if kind in _types(value)] or "integer"  # the other is number
        elif key.startswith(("min", "max", "exclusive")) and _exact(ours) and _exact(value):
            rules[key] = max(ours, value) if "min" in key.lower() else min(ours, value)


def _kind(rules: dict[str, Any], *, deep: bool) -> str:
    """Return the type to make: the first one named or hinted at, but null only when alone or deep."""
    kinds = _types(rules.get("type")) or ["object" if rules["properties"] or rules["required"] else "string"]
    return next((kind for kind in kinds if (kind == "null") == (deep and "null" in kinds)), "null")


def _named(rules: dict[str, Any]) -> list[object]:
    """Return the values that a schema itself names, best first."""
    enum = sorted(_list(rules.get("enum"))[:_DEPTH], key=lambda value: value is None)
    const, default = ([rules[key]] if key in rules else [] for key in ("const", "default"))
    return [*const, *enum[:1], *default, *_list(rules.get("examples"))[:1]]


def _pointed_at(root: object, ref: object) -> object:
    """Resolve a reference such as `#/$defs/Name`; what is not found, or elsewhere, allows every value."""
    path = ref if isinstance(ref, str) and ref.startswith("#") and len(ref) < 256 else "#/?"
    for part in filter(None, unquote(path[1:]).split("/", _DEPTH)):
        named = dict(zip("0123456789", root, strict=False)) if isinstance(root, list) else _dict(root)
        root = named.get(part.replace("~1", "/").replace("~0", "~"))
    return root


def _number(rules: dict[str, Any], *, whole: bool) -> int | float:
    """Return the number in the bounds that is a whole number of steps and nearest to zero, else their middle."""
    low, above, high, below = (_exact(rules.get(key)) for key in _BOUNDS)
    given = next((abs(step) for step in _exact(rules.get("multipleOf")) if step), None)
    step = Fraction(given.numerator if whole else given) if given else Fraction(1)
    least = [*(math.ceil(n / step) for n in low), *(math.floor(n / step) + 1 for n in above)]
    most = [*(math.floor(n / step) for n in high), *(math.ceil(n / step) - 1 for n in below)]
    number = min([max([0, *least]), *most]) * step
    if least and most and max(least) > min(most) and not whole and not given:
        number = (max(low + above) + min(high + below)) / 2
    return int(number) if number.denominator == 1 else float(number)


def _exact(value: object) -> list[Fraction]:
    """Return a number exactly as it is written, nothing for what is none or has more than 30 digits."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return []
    return [Fraction(str(value))] if abs(value) < 1e30 else []


def _count(value: object, otherwise: int) -> int:
    return min(value, _LONGEST) if isinstance(value, int) and value >= 0 else otherwise


def _types(named: object) -> list[str]:
    return [kind for kind in _texts([named] if isinstance(named, str) else named)[: len(_KINDS)] if kind in _KINDS]


def _texts(value: object) -> list[str]:
    return [text for text in _list(value) if isinstance(text, str)]


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
