"""Which content words of two texts have no counterpart in the other."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from cache.verifier.reading import Reading

MOST_PAIRS: Final = 32_768
"""How many comparisons of two words are remembered; about 6 MB when full."""

_LEAST_START: Final = 5
"""Letters that two forms of a word share from the start at least."""


def unmatched(a: Reading, b: Reading) -> tuple[list[str], list[str]]:
    """Return the content words of each text for which the other has neither a synonym nor a form of the word."""
    if a.content == b.content:
        return [], []
    return _without_match(a.content, b.content), _without_match(b.content, a.content)


def additions(a: Reading, b: Reading) -> tuple[list[str], list[str]]:
    """Return those of `unmatched` that decide an answer."""
    ours, theirs = unmatched(a, b)
    return [sense for sense in ours if sense in a.salient], [sense for sense in theirs if sense in b.salient]


def _without_match(ours: frozenset[str], theirs: frozenset[str]) -> list[str]:
    return [one for one in ours - theirs if not any(are_alike(one, other) for other in theirs)]


@lru_cache(maxsize=MOST_PAIRS)
def are_alike(one: str, other: str) -> bool:
    """Return whether two words look like forms or misspellings of one word: invest and investor, recieve."""
    short, long = sorted((len(one), len(other)))
    if short < 4 or long - short > 4:
        return one == other
    shared = _shared_start(one, other)
    if shared == short or (shared >= _LEAST_START and shared >= short - 2):
        return True
    return short >= _LEAST_START and long - short <= 1 and _is_one_slip(one, other, shared)


def _shared_start(one: str, other: str) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _is_one_slip(one: str, other: str, start: int) -> bool:
    """Return whether one letter was changed, left out, added, or swapped with its neighbour."""
    left, right = one[start:], other[start:]
    end = _shared_start(left[::-1], right[::-1])
    left, right = left[: len(left) - end], right[: len(right) - end]
    return max(len(left), len(right)) <= 1 or (len(left) == 2 and left == right[::-1])
