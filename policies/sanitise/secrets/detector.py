"""Finds keys, tokens and passwords in one pass, and lets each place be judged by its rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from policies.sanitise.finding import Finding
from policies.sanitise.passes.pattern import Pattern
from policies.sanitise.randomness import entropy, has_drawn_letters, is_dummy
from policies.sanitise.secrets.assignments import ANCHORS, judge_assignment
from policies.sanitise.secrets.catalogue import Format, Vendors, read_formats, read_vendors
from policies.sanitise.secrets.marked import ANCHOR as ANCHOR_OF_MARKED
from policies.sanitise.secrets.marked import find_marked
from policies.sanitise.secrets.structures import STRUCTURES
from policies.sanitise.secrets.vendors import judge_vendor

_Found = tuple[str, int, int, float]
_Judge = Callable[[str, int], _Found | None]

_NEAR: Final = 80
"""Characters before a token in which a word of its gate must stand: a line's worth."""

_LONGEST: Final = 2_304
"""Characters of a token after its beginning; `shape` lets no class go on for more than 2,048."""

_LOOKED_AT: Final = 160
_LEAST_BITS: Final = 2.3


class SecretRules:
    """The rules of the secrets, for a pass that several detectors share.

    Args:
        formats: tokens known by their form; those of the catalogue if None.
        vendors: services known by name; those of the catalogue if None.
        has_unlisted: whether what no list names is judged too: values by their names, tokens by marks.
    """

    name = "secrets"

    def __init__(
        self, formats: Sequence[Format] | None = None, vendors: Vendors | None = None, *, has_unlisted: bool = True
    ) -> None:
        self.patterns: list[Pattern] = []
        self._judges: list[_Judge] = []
        for each in read_formats() if formats is None else formats:
            self._add(Pattern(each.shape.anchor, group="formats"), _by_form(each))
        for structure in STRUCTURES:
            self._add(structure.anchor, _by_structure(structure.name, structure.find))
        if has_unlisted:
            for anchor in ANCHORS:
                self._add(anchor, judge_assignment)
            self._add(ANCHOR_OF_MARKED, _by_mark)
        known = read_vendors() if vendors is None else vendors
        for names, is_distinct in ((known.distinct, True), (known.ambiguous, False)):
            for name in names:
                self._add(
                    Pattern(name.replace(".", r"\."), is_caseless=True, group="vendors"),
                    _by_vendor(name, is_distinct=is_distinct),
                )

    def judge(self, text: str, index: int, end: int) -> Finding | None:
        """Return what a match of `patterns[index]` that ended at `end` amounts to."""
        found = self._judges[index](text, end)
        return None if found is None else Finding(self.name, *found)

    def _add(self, pattern: Pattern, judge: _Judge) -> None:
        self.patterns.append(pattern)
        self._judges.append(judge)


def _by_form(each: Format) -> _Judge:
    name, matcher, near, before = each.name, each.matcher, each.near, each.shape.anchor_length

    def judge(text: str, end: int) -> _Found | None:
        match = matcher.search(text, max(0, end - before), min(len(text), end + _LONGEST))
        if match is None or match.start() >= end or match.end() < end:
            return None
        start = match.start()
        if near is not None and near.search(text, max(0, start - _NEAR), start) is None:
            return None
        value = match.group()[:_LOOKED_AT]
        if is_dummy(value) or entropy(value) < _LEAST_BITS or (value.isalpha() and not has_drawn_letters(value, 9)):
            return None
        return name, start, match.end(), 0.95

    return judge


def _by_structure(name: str, find: Callable[[str, int], tuple[int, int] | None]) -> _Judge:
    def judge(text: str, end: int) -> _Found | None:
        place = find(text, end)
        return None if place is None else (name, *place, 0.85)

    return judge


def _by_mark(text: str, end: int) -> _Found | None:
    place = find_marked(text, end)
    return None if place is None else ("marked_token", *place, 0.6)


def _by_vendor(name: str, *, is_distinct: bool) -> _Judge:
    rule = f"vendor_{name}"

    def judge(text: str, end: int) -> _Found | None:
        start = end - len(name)
        if start > 0 and text[start - 1].isalpha() and text[start - 1].islower() and text[start].islower():
            return None
        place = judge_vendor(text, end, is_distinct=is_distinct)
        return None if place is None else (rule, *place, 0.75)

    return judge
