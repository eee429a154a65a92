"""How much work a JSON Schema can make of an answer at worst, known before it is run.

The validator has no clock and no budget, and a schema of a few hundred bytes can keep it busy for days: twenty
definitions that name the next one twice are a million evaluations of each value. So what a caller sends is walked
first. A value at depth k of an answer (its root is at 0) is evaluated by at most as many subschemas as there are paths
from the root of the schema that step k times into a member or an item, and any number of times to a schema for the
same value (`$ref`, `anyOf`, ...). These paths are counted level by level.

What cannot be counted this way is not checked: references other than `#` and `#/pointer`, `$id` below the root, dynamic
references, and schemas that lead back to themselves without a step into the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal
from urllib.parse import unquote

MAX_DEPTH: Final = 64
"""The deepest answer that is checked, in arrays and objects within each other. The validator recurses natively."""

MAX_CHAIN: Final = 32
"""The most schemas for one value that may lead to each other. 32 x 64 native frames take about a third of 8 MiB:
jsonschema-rs 0.61.2 overflowed it between 6,000 and 12,800 (measured, x86-64 Linux)."""

MAX_NODES: Final = 2_000
"""The most subschemas that are walked; about 10 ms."""

MAX_PATHS: Final = 100_000
"""Where counting stops: no answer is checked at a depth at which a value is evaluated that often."""

_MAX_STEPS: Final = 40_000
"""The most edges followed while levels are counted; about 10 ms. It cuts short what is counted of recursive schemas of
more than 600 parts."""

_HERE_MANY: Final = ("allOf", "anyOf", "oneOf")
_HERE_ONE: Final = ("not", "if", "then", "else")
_HERE_NAMED: Final = ("dependentSchemas", "dependencies")
_BELOW_ONE: Final = ("contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems")
_DYNAMIC: Final = ("$dynamicRef", "$recursiveRef")
_UNEVALUATED: Final = ("unevaluatedProperties", "unevaluatedItems")

_AGAIN: Final = 3
"""How often the validator runs what stands beside an `unevaluated...` keyword (measured: times 2.6 a level)."""

_ENTRIES_A_PATH: Final = 8
"""How many entries of an `enum`, `required` or `properties` are looked at in the time of one evaluation, at least."""

Obstacle = Literal["reference", "cycle", "schema_too_deep", "schema_too_large"]
"""Why a schema's work cannot be bounded."""


class UnboundedError(Exception):
    """The work of a schema cannot be bounded.

    Attributes:
        why: the first reason found.
    """

    def __init__(self, why: Obstacle) -> None:
        super().__init__(why)
        self.why: Final = why


class _Node:
    """One subschema.

    Attributes:
        here: subschemas for the same value.
        either: subschemas for what is within the value, at most one for each member or item.
        each: subschemas for what is within the value, any number for each member or item.
        weight: evaluations that it counts as, by itself.
        times: how often it is run.
        patterns: regular expressions it runs over the value or the names of its members.
        order: its position among the nodes, those for the same value before it; -1 while it is not known.
    """

    __slots__ = ("each", "either", "here", "order", "patterns", "times", "weight")

    def __init__(self, schema: dict[str, Any]) -> None:
        self.here: list[_Node] = []
        self.either: list[_Node] = []
        self.each: list[_Node] = []
        named = schema.get("patternProperties")
        self.patterns = ("pattern" in schema) + (len(named) if isinstance(named, dict) else 0)
        listed = sum([len(value) for value in schema.values() if isinstance(value, list | dict)])
        self.weight = 1 + self.patterns + listed // _ENTRIES_A_PATH
        self.times = _AGAIN if any(name in schema for name in _UNEVALUATED) else 1
        self.order = -1


class Survey:
    """The bounds of one schema.

    Attributes:
        paths: at position k, how many evaluations a value at depth k or above costs at most. Deeper values cost as
            much as the last entry, unless `is_cut`.
        patterns: how many regular expressions are run over any one text of an answer at most.
        expressions: how many regular expressions there are.
        is_cut: whether counting stopped early: answers deeper than `paths` reaches are not bounded.
    """

    __slots__ = ("expressions", "is_cut", "paths", "patterns")

    def __init__(self, schema: Any) -> None:
        nodes = _Walk(schema).nodes
        ordered = _ordered(nodes)
        levels = min(MAX_DEPTH, _MAX_STEPS // max(1, sum(len(node.either) + len(node.each) + 1 for node in nodes)))
        self.paths, self.is_cut = _count(nodes, ordered, [node.weight for node in ordered], levels)
        self.expressions = sum(node.patterns for node in nodes)
        self.patterns = 0
        if self.expressions:
            counted, _ = _count(nodes, ordered, [node.patterns for node in ordered], len(self.paths))
            self.patterns = counted[-1]

    def at(self, depth: int) -> int | None:
        """Return how many evaluations one value of an answer of this depth costs at most; None: there is no bound."""
        if depth < len(self.paths):
            return self.paths[depth]
        return None if self.is_cut else self.paths[-1]


class _Walk:
    """Finds the subschemas that an evaluation can reach."""

    def __init__(self, schema: Any) -> None:
        self._document = schema
        self._found: dict[int, _Node] = {}
        self._unread: list[tuple[_Node, dict[str, Any]]] = []
        self._add((schema,))
        while self._unread:
            self._read(*self._unread.pop())
        self.nodes = list(self._found.values())

    def _add(self, schemas: Iterable[Any]) -> list[_Node]:
        """Return the nodes of the schemas that are objects; `true`, `false` and what is no schema cost nothing."""
        added = []
        for schema in schemas:
            if not isinstance(schema, dict):
                continue
            node = self._found.get(id(schema))
            if node is None:
                if self._found and isinstance(schema.get("$id", schema.get("id")), str):
                    raise UnboundedError("reference")
                if len(self._found) == MAX_NODES:
                    raise UnboundedError("schema_too_large")
                node = self._found[id(schema)] = _Node(schema)
                self._unread.append((node, schema))
            added.append(node)
        return added

    def _read(self, node: _Node, schema: dict[str, Any]) -> None:
        if any(name in schema for name in _DYNAMIC):
            raise UnboundedError("reference")
        if "$ref" in schema:
            node.here += self._add((self._target(schema["$ref"]),))
        node.here += self._add(_listed(schema, _HERE_MANY))
        node.here += self._add(schema.get(name) for name in _HERE_ONE)
        node.here += self._add(_valued(schema, _HERE_NAMED))
        items = schema.get("items")
        one_of = (schema.get("additionalProperties"), items, schema.get("additionalItems"))
        node.either += self._add(_valued(schema, ("properties",)))
        node.either += self._add((*one_of, *_listed(schema, ("items", "prefixItems"))))
        node.each += self._add(_valued(schema, ("patternProperties",)))
        node.each += self._add(schema.get(name) for name in _BELOW_ONE)

    def _target(self, reference: Any) -> Any:
        """Follow a reference within the document (RFC 6901, its fragment form)."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise UnboundedError("reference")
        try:
            return resolve(self._document, unquote(reference[1:]))
        except LookupError as error:
            raise UnboundedError("reference") from error


def resolve(document: Any, pointer: str) -> Any:
    """Return what a JSON pointer (RFC 6901) names.

    Raises:
        LookupError: nothing is there.
    """
    found = document
    for token in pointer.split("/")[1:]:
        if isinstance(found, dict):
            found = found[token.replace("~1", "/").replace("~0", "~")]
        elif isinstance(found, list) and token.isdecimal() and len(token) < 10:
            found = found[int(token)]
        else:
            raise LookupError(pointer)
    return found


def _listed(schema: dict[str, Any], names: Sequence[str]) -> Iterator[Any]:
    for name in names:
        if isinstance(schemas := schema.get(name), list):
            yield from schemas


def _valued(schema: dict[str, Any], names: Sequence[str]) -> Iterator[Any]:
    for name in names:
        if isinstance(schemas := schema.get(name), dict):
            yield from schemas.values()


def _ordered(nodes: Sequence[_Node]) -> list[_Node]:
    """Return the nodes so that those for the same value come before the one that leads to them."""
    ordered: list[_Node] = []
    waiting: set[int] = set()
    chains: dict[int, int] = {}

    def visit(node: _Node, depth: int) -> int:
        if id(node) in waiting:
            raise UnboundedError("cycle")
        if node.order < 0:
            if depth > MAX_CHAIN:
                raise UnboundedError("schema_too_deep")
            waiting.add(id(node))
            chains[id(node)] = 1 + max((visit(child, depth + 1) for child in node.here), default=0)
            waiting.discard(id(node))
            node.order = len(ordered)
            ordered.append(node)
        return chains[id(node)]

    for node in nodes:
        if visit(node, 1) > MAX_CHAIN:
            raise UnboundedError("schema_too_deep")
    return ordered


def _count(
    nodes: Sequence[_Node], ordered: Sequence[_Node], weights: Sequence[int], levels: int
) -> tuple[list[int], bool]:
    """Count the paths to a value at each depth.

    Returns:
        The largest number down to each depth, and whether there may be more below.
    """
    if not nodes:
        return [0], False
    root = nodes[0].order
    paths: list[int] = []
    above: list[int] = []
    for _ in range(levels):
        here: list[int] = []
        for node, weight in zip(ordered, weights, strict=True):
            total = sum([here[child.order] for child in node.here])
            total += _below(node, above) if paths else weight
            here.append(min(total * node.times, MAX_PATHS + 1))
        if paths and not here[root]:
            return paths, False
        if here[root] > MAX_PATHS:
            return paths or [here[root]], True
        paths.append(max(here[root], paths[-1] if paths else 0))
        above = here
    return paths, True


def _below(node: _Node, above: Sequence[int]) -> int:
    """Return how many paths lead one step further, given those from what is within the value."""
    most = max([above[child.order] for child in node.either]) if node.either else 0
    return most + sum([above[child.order] for child in node.each])
