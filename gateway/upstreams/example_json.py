"""Invent the smallest JSON value that a JSON Schema accepts, the same one every time."""

import math
import re
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from itertools import chain, count
from string import ascii_lowercase
from typing import Any, NamedTuple
from urllib.parse import unquote

STEPS = 40_000
"""Work allowed for one attempt: 4 for a schema node built, 1 for one checked, more for large ones. The
5,000 properties OpenAI takes in a strict schema (structured outputs guide, 2026-02) need less."""
_BUILD = 4
_DEPTH = 32
"""Levels of nesting that are built; OpenAI refuses strict schemas deeper than 10."""
_OPTIONAL_DEPTH = 6
"""Levels down to which properties that are not required are filled in too."""
_LONGEST = 10_000
"""Characters written at most for a `minLength`."""
_LONGEST_MATCH = 2_000
"""Characters written at most for a `pattern`, and read at most of the pattern itself."""

_KINDS = ("string", "integer", "number", "boolean", "object", "array", "null")
_STUBS = {"string": "", "integer": 0, "number": 0, "boolean": False, "object": {}, "array": [], "null": None}
_HINTS = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "minimum": "number",
    "maximum": "number",
    "exclusiveMinimum": "number",
    "exclusiveMaximum": "number",
    "multipleOf": "number",
}
_FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "a@example.com",
    "idn-email": "a@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "iri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uuid4": "00000000-0000-4000-8000-000000000000",
    "json-string": "{}",
}
_COMPOSED = ("$ref", "allOf", "anyOf", "oneOf")


class _NoExampleError(Exception):
    """No value of this schema can be built under the rules of the attempt."""


class _Place(NamedTuple):
    """Where in the answer a node stands: levels below the root, and the references it stands under."""

    depth: int
    refs: tuple[str, ...]

    def below(self) -> "_Place":
        return self._replace(depth=self.depth + 1)


@dataclass(slots=True)
class _Flat:
    """A node with its references and `allOf` merged into `rules`; `choices` (anyOf, oneOf) are open."""

    rules: dict[str, Any]
    choices: list[list[object]]
    place: _Place


def example(schema: object, *, steps: int = STEPS) -> object:
    """Return the smallest JSON value that `schema` accepts.

    What cannot be satisfied, or not within a fixed amount of work, gets a value of the right type instead.
    Formats and patterns are met as far as they are understood; `if`, `contains` and `patternProperties` are
    not looked at.

    Args:
        schema: A decoded JSON Schema (2020-12 or draft 7, a boolean included); anything else counts as `{}`.
        steps: Work allowed for each of at most three attempts; 10,000 take about 0.1 s at worst.

    Returns:
        Decoded JSON at most 32 levels deep, equal for equal schemas.
    """
    root = _Place(0, ("#",))
    for repeats, lenient in ((0, False), (1, False), (0, True)):
        try:
            return _Attempt(schema, repeats=repeats, lenient=lenient, steps=steps).needed(schema, root)
        except (_NoExampleError, RecursionError):
            continue
    return _stub(schema)


@dataclass(slots=True)
class _Attempt:
    """One search for an example.

    A reference may stand at most `repeats` times below itself; the smallest value of a recursive schema needs
    none, but two branches of one `allOf` may name the same reference at different levels.
    A `lenient` attempt puts a stub where a strict one gives up.
    """

    root: object
    repeats: int
    lenient: bool
    steps: int

    def needed(self, schema: object, place: _Place) -> object:
        """Build a value that cannot be left out."""
        try:
            return self.build(schema, place)
        except _NoExampleError:
            if not self.lenient:
                raise
            return _stub(schema)

    def build(self, schema: object, place: _Place) -> object:
        if self.steps <= 0:
            return _stub(schema)
        return self.settle(self.flatten(schema, place), schema)

    def flatten(self, schema: object, place: _Place) -> _Flat:
        """Merge the references and `allOf` branches of `schema` into one set of rules."""
        if schema is False or place.depth > _DEPTH:
            raise _NoExampleError
        if not isinstance(schema, dict):
            return _Flat({}, [], place)
        self.steps -= _BUILD + _weight(schema)
        choices = [options for key in ("anyOf", "oneOf") if (options := _list(schema.get(key)))]
        flat = _Flat(_own_rules(schema), choices, place)
        if isinstance(schema.get("$ref"), str):
            self.join(flat, *self.follow(schema["$ref"], place.below()))
        for part in _list(schema.get("allOf")):
            self.join(flat, part, place.below())
        return flat

    def follow(self, ref: str, place: _Place) -> tuple[object, _Place]:
        """Return what `ref` points at and its place, unless it stands below itself too often."""
        if place.refs.count(ref) > self.repeats:
            raise _NoExampleError
        return _pointed_at(self.root, ref), place._replace(refs=(*place.refs, ref))

    def join(self, flat: _Flat, schema: object, place: _Place) -> None:
        """Merge one more schema into `flat`, which is changed in place."""
        if self.steps <= 0:
            raise _NoExampleError
        more = self.flatten(schema, place)
        _merge(flat.rules, more.rules)
        flat.choices += more.choices
        flat.place = flat.place._replace(refs=tuple(dict.fromkeys(flat.place.refs + more.place.refs)))

    def settle(self, flat: _Flat, schema: object) -> object:
        """Take the first combination of open choices that leads to a value `schema` accepts."""
        if not flat.choices or len(flat.choices) > _DEPTH:
            value = self.plain(flat.rules, flat.place)
            if self.lenient or not _is_composed(schema) or self.accepts(schema, value):
                return value
            raise _NoExampleError
        for option in sorted(flat.choices[0][:_DEPTH], key=_is_null):
            try:
                return self.settle(self.chosen(flat, option), schema)
            except _NoExampleError:
                continue
        raise _NoExampleError

    def chosen(self, flat: _Flat, option: object) -> _Flat:
        """Return a copy of `flat` with its first choice made."""
        self.steps -= _weight(flat.rules)
        settled = _Flat(_own_rules(flat.rules), flat.choices[1:], flat.place.below())
        self.join(settled, option, settled.place)
        return settled

    def plain(self, rules: dict[str, Any], place: _Place) -> object:
        """Build a value from merged rules: one they name, else the smallest of the first possible type."""
        for value in _named_values(rules):
            if self.is_modest(value) and self.accepts(rules, value):
                return value
        if "enum" in rules:
            raise _NoExampleError
        for kind in _kinds(rules):
            try:
                value = self.of_kind(kind, rules, place)
            except _NoExampleError:
                continue
            if "not" not in rules or self.accepts(rules, value):
                return value
        raise _NoExampleError

    def of_kind(self, kind: str, rules: dict[str, Any], place: _Place) -> object:
        if kind == "object":
            return self.mapping(rules, place)
        if kind == "array":
            return self.array(rules, place)
        if kind == "string":
            self.steps -= len(rules["pattern"]) // 2 if isinstance(rules.get("pattern"), str) else 0
            return self.first_accepted(_texts(rules), rules)
        if kind in {"integer", "number"}:
            return self.first_accepted(_numbers(rules, whole=kind == "integer"), rules)
        return _STUBS[kind]

    def first_accepted(self, candidates: Iterator[object], rules: dict[str, Any]) -> object:
        first = None
        for value in candidates:
            self.steps -= len(value) // 64 if isinstance(value, str) else 0
            if self.accepts(rules, value):
                return value
            first = value if first is None else first
        if self.lenient:
            return first
        raise _NoExampleError

    def mapping(self, rules: dict[str, Any], place: _Place) -> dict[str, object]:
        """Build an object: every required property, the optional ones near the root that can be built."""
        properties, required = _dict(rules.get("properties")), _names(rules.get("required"))
        made: dict[str, object] = {}
        for name, schema in properties.items():
            self.steps -= len(name) // 64
            if name in required:
                made[name] = self.needed(schema, place.below())
            elif place.depth < _OPTIONAL_DEPTH and self.steps > 0:
                self.add_optional(made, name, schema, place.below())
        for name in chain((n for n in required if n not in properties), _spare_names(rules, made)):
            self.steps -= len(name) // 64
            made[name] = self.needed(rules.get("additionalProperties", True), place.below())
            if self.steps <= 0:
                break
        return _at_most(made, required, _count(rules.get("maxProperties")))

    def add_optional(self, made: dict[str, object], name: str, schema: object, place: _Place) -> None:
        try:
            made[name] = self.build(schema, place)
        except _NoExampleError:
            return

    def array(self, rules: dict[str, Any], place: _Place) -> list[object]:
        """Build an array: its `prefixItems`, then as few items as are allowed."""
        prefix, rest = _item_schemas(rules)
        least, most = _count(rules.get("minItems")) or 0, _count(rules.get("maxItems"))
        items = [self.needed(schema, place.below()) for schema in prefix[:most]]
        while len(items) < least and self.steps > 0:
            self.steps -= 1
            items.append(self.needed(rest, place.below()))
            if rules.get("uniqueItems") is True:
                items[-1] = self.unlike(items[:-1], items[-1], rest)
        return items

    def unlike(self, others: list[object], value: object, schema: object) -> object:
        """Return `value` or a variant of it that `schema` accepts and that is not among `others`."""
        for variant in chain([value], self.listed(schema), _variants(value)):
            self.steps -= 1 + len(others) // 8
            if self.steps <= 0:
                break
            if not any(_same(variant, other) for other in others) and self.accepts(schema, variant):
                return variant
        if self.lenient:
            return value
        raise _NoExampleError

    def listed(self, schema: object) -> Iterator[object]:
        yield from filter(self.is_modest, _list(self.flatten(schema, _Place(0, ())).rules.get("enum")))

    def is_modest(self, value: object, depth: int = 0) -> bool:
        """Whether a value named by the schema is JSON, shallow, and small enough to be repeated."""
        self.steps -= 1 + (len(value) // 64 if isinstance(value, str) else 0)
        if self.steps <= 0 or depth > _DEPTH:
            return False
        if isinstance(value, dict):
            return all(self.is_modest(k) and self.is_modest(v, depth + 1) for k, v in value.items())
        if isinstance(value, list):
            return all(self.is_modest(v, depth + 1) for v in value)
        return value is None or isinstance(value, str | bool) or _real(value) is not None

    def accepts(self, schema: object, value: object, depth: int = 0) -> bool:
        """Whether `value` meets the rules that are understood; true too once the work allowed is spent."""
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict) or depth > _DEPTH:
            return True
        self.steps -= 1 + _weight(schema) + (50 if "pattern" in schema and isinstance(value, str) else 0)
        if self.steps <= 0:
            return True
        fits = all(fits(schema, value) for fits in _CHECKS)
        fits = fits and self.accepts_inside(schema, value, depth + 1)
        return (fits and self.accepts_composed(schema, value, depth + 1)) or self.steps <= 0

    def accepts_inside(self, schema: dict[str, Any], value: object, depth: int) -> bool:
        if isinstance(value, dict):
            properties, extra = _dict(schema.get("properties")), schema.get("additionalProperties", True)
            return all(self.accepts(properties.get(k, extra), v, depth) for k, v in value.items())
        if isinstance(value, list):
            prefix, rest = _item_schemas(schema)
            wanted = chain(prefix, (rest for _ in count()))
            return all(self.accepts(s, v, depth) for v, s in zip(value, wanted, strict=False))
        return True

    def accepts_composed(self, schema: dict[str, Any], value: object, depth: int) -> bool:
        ref = schema.get("$ref")
        if isinstance(ref, str) and not self.accepts(_pointed_at(self.root, ref), value, depth):
            return False
        if not all(self.accepts(s, value, depth) for s in _list(schema.get("allOf"))):
            return False
        some, one = _list(schema.get("anyOf")), _list(schema.get("oneOf"))
        if some and not any(self.accepts(s, value, depth) for s in some):
            return False
        if one and sum(self.accepts(s, value, depth) for s in one) != 1:
            return False
        return "not" not in schema or not self.accepts(schema["not"], value, depth)


def _stub(schema: object) -> object:
    """Return the emptiest value of the type `schema` names, without looking further into it."""
    kinds = _kinds(schema) if isinstance(schema, dict) else []
    return copy(_STUBS[kinds[0]]) if kinds else None


def _kinds(rules: dict[str, Any]) -> list[str]:
    """Return the types to try, most telling first and null last."""
    named = [rules["type"]] if isinstance(rules.get("type"), str) else rules.get("type")
    if isinstance(named, list):
        known = [kind for kind in named[: len(_KINDS)] if isinstance(kind, str) and kind in _KINDS]
        return sorted(known, key="null".__eq__)
    hinted = next((kind for key, kind in _HINTS.items() if key in rules), "string")
    return [hinted, *(k for k in _KINDS if k != hinted)]


def _own_rules(schema: dict[str, Any]) -> dict[str, Any]:
    """Copy the keywords of one node far enough that merging into the copy leaves the node alone."""
    rules = {key: value for key, value in schema.items() if key not in _COMPOSED}
    if "const" in rules:
        rules["enum"] = [rules.pop("const")]
    if "properties" in rules:
        rules["properties"] = dict(_dict(rules["properties"]))
    if "required" in rules:
        rules["required"] = list(_list(rules["required"]))
    return rules


def _weight(schema: dict[str, Any]) -> int:
    """Return what a node costs beyond a step: its size, so that looking at it many times is bounded too."""
    return (len(schema) + sum(len(v) for v in schema.values() if isinstance(v, dict | list))) // 8


def _is_composed(schema: object) -> bool:
    return isinstance(schema, dict) and any(key in schema for key in _COMPOSED)


def _is_null(schema: object) -> bool:
    return isinstance(schema, dict) and (schema.get("type") == "null" or schema.get("const", 0) is None)


def _pointed_at(root: object, ref: str) -> object:
    """Resolve a reference into the same document (`#/$defs/Name`); anything else allows every value."""
    if not ref.startswith("#"):
        return True
    found = root
    for part in filter(None, unquote(ref[1:]).split("/")):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(key, True)
        elif isinstance(found, list) and key.isdecimal() and len(key) < len("10000") and int(key) < len(found):
            found = found[int(key)]
        else:
            return True
    return found


def _merge(rules: dict[str, Any], more: dict[str, Any]) -> None:
    """Add the keywords of `more` to `rules` so that both sets hold."""
    for key, value in more.items():
        if key not in rules:
            rules[key] = value
        elif key in _BOTH:
            rules[key] = _BOTH[key](rules[key], value)


def _both_properties(ours: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    for name, schema in more.items():
        ours[name] = {"allOf": [ours[name], schema]} if name in ours else schema
    return ours


def _both_types(ours: object, more: object) -> list[str]:
    theirs, allowed = _kinds({"type": ours}), _kinds({"type": more})
    narrowed = ["integer"] if {"integer", "number"} <= {*theirs, *allowed} else []
    return [kind for kind in theirs if kind in allowed] or narrowed


def _both_enums(ours: object, more: object) -> list[object]:
    allowed = {_scalar_key(value) for value in _list(more)}
    return [value for value in _list(ours) if _scalar_key(value) in allowed]


def _scalar_key(value: object) -> tuple[bool, object]:
    """Return a key equal for equal JSON scalars; arrays and objects equal only themselves."""
    return isinstance(value, bool), id(value) if isinstance(value, dict | list) else value


def _both_schemas(ours: object, more: object) -> object:
    return {"allOf": [ours, more]}


def _both_exclusions(ours: object, more: object) -> object:
    return {"anyOf": [ours, more]}


def _larger(ours: object, more: object) -> object:
    return max((n for n in (_real(ours), _real(more)) if n is not None), default=None)


def _smaller(ours: object, more: object) -> object:
    return min((n for n in (_real(ours), _real(more)) if n is not None), default=None)


def _common_multiple(ours: object, more: object) -> object:
    return math.lcm(ours, more) if isinstance(ours, int) and isinstance(more, int) else _larger(ours, more)


def _joined_lists(ours: list[object], more: object) -> list[object]:
    ours += _list(more)
    return ours


_BOTH: dict[str, Callable[[Any, Any], object]] = {
    "properties": _both_properties,
    "required": _joined_lists,
    "type": _both_types,
    "enum": _both_enums,
    "items": _both_schemas,
    "additionalProperties": _both_schemas,
    "not": _both_exclusions,
    "multipleOf": _common_multiple,
    "uniqueItems": lambda ours, more: ours is True or more is True,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), _larger),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), _smaller),
}


def _named_values(rules: dict[str, Any]) -> Iterator[object]:
    """Yield the values the schema itself names, best first and null last."""
    if "default" in rules:
        yield rules["default"]
    for key in ("examples", "enum"):
        values = _list(rules.get(key))
        yield from (value for value in values if value is not None)
        yield from (value for value in values[:_DEPTH] if value is None)
    if "enum" in rules and None in _list(rules["enum"])[_DEPTH:]:
        yield None


def _numbers(rules: dict[str, Any], *, whole: bool) -> Iterator[object]:
    """Yield numbers that may meet the bounds, plainest first."""
    yield 0
    lows = [_real(rules.get(key)) for key in ("minimum", "exclusiveMinimum")]
    highs = [_real(rules.get(key)) for key in ("maximum", "exclusiveMaximum")]
    low = max((n for n in lows if n is not None), default=None)
    high = min((n for n in highs if n is not None), default=None)
    step = _real(rules.get("multipleOf"))
    if step is not None and step > 0:
        yield from _multiples(step, low, high)
    for bound in (n for n in (low, high) if n is not None):
        nearest = (math.ceil(bound), math.floor(bound), math.floor(bound) + 1, math.ceil(bound) - 1)
        yield from nearest if whole else (*nearest, bound)
    if low is not None and high is not None and not whole and math.isfinite(low / 2 + high / 2):
        yield low / 2 + high / 2


def _multiples(step: float, low: float | None, high: float | None) -> Iterator[object]:
    """Yield multiples of `step` next to the bound that lies nearer to zero."""
    downwards = low is None or low <= 0
    bound = high if downwards else low
    if bound is None or not math.isfinite(bound / step):
        return
    start = math.floor(bound / step) if downwards else math.ceil(bound / step)
    for offset in range(_DEPTH):
        value = (start - offset if downwards else start + offset) * step
        yield int(value) if float(value).is_integer() else round(value, 12)
        yield value


def _texts(rules: dict[str, Any]) -> Iterator[object]:
    """Yield texts that may meet the pattern, the format and the lengths, in this order."""
    least = min(_count(rules.get("minLength")) or 0, _LONGEST)
    pattern, form = rules.get("pattern"), rules.get("format")
    if isinstance(pattern, str) and len(pattern) <= _LONGEST_MATCH:
        shortest = _matching(pattern, 0)
        yield shortest
        yield from (_matching(pattern, more) for more in (least - len(shortest), 1, 2, 4, 8) if more > 0)
    if isinstance(form, str) and form in _FORMATS:
        yield _padded(form, least)
    yield "a" * least


def _padded(form: str, least: int) -> str:
    text = _FORMATS[form]
    padding = "a" * (least - len(text))
    return padding + text if form.endswith("email") else text + (padding if text.endswith("/") else "")


def _variants(value: object) -> Iterator[object]:
    """Yield values like `value` but different from it and from one another."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + sign * more for more in count(1) for sign in (1, -1))
    elif isinstance(value, str):
        yield from (value + letter for letter in ascii_lowercase)
        yield from (value[: len(value) - len(str(n))] + str(n) for n in range(_LONGEST_MATCH))
        yield from (value + str(n) for n in range(_LONGEST_MATCH))


def _spare_names(rules: dict[str, Any], made: dict[str, object]) -> Iterator[str]:
    """Yield names nobody asked for until `made` has the `minProperties` it needs."""
    least = _count(rules.get("minProperties")) or 0
    for name in (f"key{n}" for n in count(1)):
        if len(made) >= least:
            return
        if name not in made:
            yield name


def _at_most(made: dict[str, object], required: dict[str, None], most: int | None) -> dict[str, object]:
    """Drop optional properties, last first, until no more than `most` are left."""
    spare = [name for name in made if name not in required]
    while most is not None and len(made) > most and spare:
        del made[spare.pop()]
    return made


def _item_schemas(rules: dict[str, Any]) -> tuple[list[object], object]:
    """Return the schemas of the first items and the one of all others (draft 7: both under `items`)."""
    items = rules.get("items", True)
    if isinstance(items, list):
        return items, rules.get("additionalItems", True)
    return _list(rules.get("prefixItems")), items


def _fits_type(schema: dict[str, Any], value: object) -> bool:
    if "type" not in schema or not isinstance(schema["type"], str | list):
        return True
    kinds = _kinds(schema)
    if isinstance(value, bool) or value is None:
        return ("null" if value is None else "boolean") in kinds
    if isinstance(value, int | float):
        return "number" in kinds or ("integer" in kinds and (isinstance(value, int) or value.is_integer()))
    own_kind = "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
    return own_kind in kinds


def _fits_enum(schema: dict[str, Any], value: object) -> bool:
    if "const" in schema and not _same(schema["const"], value):
        return False
    return "enum" not in schema or any(_same(allowed, value) for allowed in _list(schema["enum"]))


def _fits_bounds(schema: dict[str, Any], value: object) -> bool:
    number = _real(value)
    if number is None:
        return True
    low, high = _real(schema.get("minimum")), _real(schema.get("maximum"))
    above, under = _real(schema.get("exclusiveMinimum")), _real(schema.get("exclusiveMaximum"))
    inside = (low is None or number >= low) and (high is None or number <= high)
    inside = inside and (above is None or number > above) and (under is None or number < under)
    return inside and _is_multiple(number, _real(schema.get("multipleOf")))


def _is_multiple(number: float, step: float | None) -> bool:
    """Whether `number` is a multiple as jsonschema judges it: exact for integers, else by division."""
    if step is None or step <= 0:
        return True
    if isinstance(step, int):
        return number % step == 0
    try:
        return (number / step).is_integer()
    except OverflowError:
        return False


def _fits_text(schema: dict[str, Any], value: object) -> bool:
    if not isinstance(value, str):
        return True
    pattern = schema.get("pattern")
    fits = not isinstance(pattern, str) or _matches(pattern, value)
    return fits and _is_between(len(value), schema.get("minLength"), schema.get("maxLength"))


_LOOP = re.compile(r"[*+?]|\{\d*,")
_UNJUDGED = re.compile(r"\(|\[\[|--|&&|~~|\|\|")
"""Groups, whose loops may nest, and what `re` warns of as a possible set operation."""


def _matches(pattern: str, text: str) -> bool:
    """Whether `text` matches; true too where asking `re` could take long (hostile patterns backtrack)."""
    loops = len(_LOOP.findall(pattern))
    if loops > 2 or len(pattern) > 200 or len(text) > 256 or _UNJUDGED.search(pattern):
        return True
    try:
        return re.search(pattern, text) is not None
    except (re.error, OverflowError, RecursionError):
        return True


def _fits_size(schema: dict[str, Any], value: object) -> bool:
    if isinstance(value, list):
        repeated = schema.get("uniqueItems") is True and len(value) <= _DEPTH and not _is_unique(value)
        return not repeated and _is_between(len(value), schema.get("minItems"), schema.get("maxItems"))
    if isinstance(value, dict):
        complete = all(name in value for name in _names(schema.get("required")))
        return complete and _is_between(len(value), schema.get("minProperties"), schema.get("maxProperties"))
    return True


_CHECKS: tuple[Callable[[dict[str, Any], object], bool], ...] = (
    _fits_type,
    _fits_enum,
    _fits_bounds,
    _fits_text,
    _fits_size,
)


def _is_between(size: int, least: object, most: object) -> bool:
    low, high = _count(least), _count(most)
    return (low is None or size >= low) and (high is None or size <= high)


def _is_unique(items: list[object]) -> bool:
    return not any(_same(a, b) for i, a in enumerate(items) for b in items[:i])


def _same(ours: object, theirs: object, depth: int = 0) -> bool:
    """Whether two JSON values are equal; unlike in Python, 1 and true are not."""
    if depth > _DEPTH or isinstance(ours, bool) != isinstance(theirs, bool):
        return False
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_same(v, theirs[k], depth + 1) for k, v in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        pairs = zip(ours, theirs, strict=False)
        return len(ours) == len(theirs) and all(_same(a, b, depth + 1) for a, b in pairs)
    return not isinstance(ours, dict | list) and ours == theirs


def _real(value: object) -> int | float | None:
    """Return `value` if it is a finite number that JSON and float arithmetic can carry, else nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 1e300 else None


def _count(value: object) -> int | None:
    number = _real(value)
    return None if number is None or number < 0 else int(number)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _names(value: object) -> dict[str, None]:
    """Return the names in a `required` list, each once, in order."""
    return {name: None for name in _list(value) if isinstance(name, str)}


def _matching(pattern: str, more: int) -> str:
    """Return a text that `pattern` probably matches, every loop run `more` times beyond its minimum."""
    return _PatternReader(pattern, more).alternatives(0)


_QUANTIFIER = re.compile(r"(?:([*+?])|\{(\d{1,6})(?:(,)(\d{1,6})?)?\})[?+]?")
_LOOKAROUND = re.compile(r"\?(?:<?[=!])")
_GROUP_HEAD = re.compile(r"\?(?:[:>]|P?<\w*>)")
_CODE_POINT = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,5})\}")
_PROPERTY = re.compile(r"[pP](?:\{[^}]*\}|\w)")
_SETS = {"d": "09", "w": "azAZ09__", "s": "  \t\r", "D": "az", "W": " /", "S": "!~"}
_SET_EXAMPLES = {"d": "0", "w": "a", "s": " ", "D": "a", "W": " ", "S": "a"}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}


class _PatternReader:
    """Reads a regular expression (the part ECMA-262 and Python share) once, writing a text it matches."""

    def __init__(self, pattern: str, more: int) -> None:
        self.pattern, self.more, self.at = pattern, more, 0
        self.groups: list[str] = []

    def taken(self, form: re.Pattern[str]) -> re.Match[str] | None:
        found = form.match(self.pattern, self.at)
        self.at = found.end() if found else self.at
        return found

    def character(self) -> str:
        self.at += 1
        return self.pattern[self.at - 1 : self.at]

    def follows(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    def alternatives(self, depth: int) -> str:
        """Read up to the end of a group and return the shortest branch."""
        texts = [self.sequence(depth)]
        while self.follows("|"):
            self.at += 1
            texts.append(self.sequence(depth))
        return min(texts, key=len)

    def sequence(self, depth: int) -> str:
        text = ""
        while self.at < len(self.pattern) and not self.follows("|") and not (depth and self.follows(")")):
            text = (text + self.repeated(self.atom(depth)))[:_LONGEST_MATCH]
        return text

    def repeated(self, text: str) -> str:
        found = self.taken(_QUANTIFIER)
        if found is None:
            return text
        sign, least, open_ended, most = found.groups()
        low = int(least) if least else int(sign == "+")
        high = int(most) if most else 1 if sign == "?" else math.inf if sign or open_ended else low
        return text * int(min(low + self.more, high, _LONGEST_MATCH))

    def atom(self, depth: int) -> str:
        character = self.character()
        if character == "(" and depth < _DEPTH:
            return self.group(depth + 1)
        if character == "[":
            return self.chosen_from_class()
        if character == "\\":
            return self.escaped()
        return {".": "a", "^": "", "$": ""}.get(character, character)

    def group(self, depth: int) -> str:
        looks_around, silent = self.taken(_LOOKAROUND), self.follows("?:") or self.follows("?>")
        self.taken(_GROUP_HEAD)
        text = self.alternatives(depth)
        self.at += 1
        if looks_around:
            return ""
        self.groups += [] if silent else [text]
        return text

    def escaped(self) -> str:
        if point := self.taken(_CODE_POINT):
            return chr(int(next(filter(None, point.groups())), 16))
        if self.taken(_PROPERTY):
            return "a"
        character = self.character()
        if character in "123456789" and character:
            return self.groups[int(character) - 1] if int(character) <= len(self.groups) else ""
        if character in "bBAZzG":
            return ""
        return _SET_EXAMPLES.get(character) or _CONTROLS.get(character, character)

    def chosen_from_class(self) -> str:
        """Read `[...]` and return its first character, or one outside it when it is negated."""
        negated = self.follows("^")
        self.at += negated
        spans = ""
        while self.at < len(self.pattern) and not (spans and self.follows("]")):
            spans += self.span()
        self.at += 1
        if not negated:
            return spans[:1]
        pairs = list(zip(spans[::2], spans[1::2], strict=False))
        return next((c for c in "a0A _-~é" if not any(low <= c <= high for low, high in pairs)), "")

    def span(self) -> str:
        """Read one member of a class as pairs of its first and last character."""
        low = self.member()
        if len(low) != 1:
            return low
        if not self.follows("-") or self.follows("-]"):
            return low * 2
        self.at += 1
        high = self.member()
        return low + (high if len(high) == 1 else low)

    def member(self) -> str:
        if not self.follows("\\"):
            return self.character()
        self.at += 1
        kind = self.pattern[self.at : self.at + 1]
        if kind in _SETS:
            self.at += 1
            return _SETS[kind]
        return self.escaped() or "\b"
