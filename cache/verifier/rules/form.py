"""Rules about what kind of answer is asked for and in which order things stand."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, Final

from cache.verifier.lexicon.notation import words
from cache.verifier.reading import Reading

_FIRM: Final = frozenset(["who", "when", "where", "why", "how"])
"""What is asked for without doubt; what, which and yes or no are ways to ask for any of them."""

_DOWNWARD: Final = frozenset(["less", "least", "worse", "worst", "only"])

_QUANTIFIERS: Final = frozenset(
    words("all every each most majority few both always sometimes only everyone usually often")
)

_ALMOST_ALL: Final = 0.85
"""The share of words that two texts of one content but another order have in common at least. Of word-swapped public
pairs 96 % are refused by it, of paraphrased statements 5 %."""

_ARTICLES: Final = frozenset(["a", "an", "the"])
_JOINING: Final = frozenset(["and", "or", "vs", "versus", "nor"])
_OPENING: Final = frozenset(
    words(
        """
    in on at to of for from by with into under over through during without within against among as if when while
    because since until after before using via per about what which who how why where that you your is are was were
    be been can could should would will may do does did has have
    """
    ),
)
"""Words that open a phrase which may stand elsewhere without saying anything else."""


class WhWords:
    """Refuses when the two ask for different things: where is not when, how is not how much."""

    name: ClassVar = "wh-words"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether what is asked for differs."""
        return a.asks != b.asks and _is_firm(a.asks) and _is_firm(b.asks)


def _is_firm(asks: str) -> bool:
    return asks in _FIRM or asks.startswith("how ")


class Kind:
    """Refuses when one text states what the other asks to be answered by yes or no."""

    name: ClassVar = "kind"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether one states and the other asks."""
        return a.asks != b.asks and {a.asks, b.asks} == {"state", "whether"}


class Quantifiers:
    """Refuses when of two questions for yes or no one is about all, most or few: a tree can, all trees do."""

    name: ClassVar = "quantifiers"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether they speak of another share."""
        if a.asks != "whether" or b.asks != "whether":
            return False
        return _QUANTIFIERS.intersection(a.tokens) != _QUANTIFIERS.intersection(b.tokens)


class Degrees:
    """Refuses unless both go down or neither: most is not least, and only some is not some."""

    name: ClassVar = "degrees"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether one compares downward more often than the other."""
        return a.degrees != b.degrees and _downward(a) != _downward(b)


def _downward(reading: Reading) -> list[str]:
    return [degree for degree in reading.degrees if degree in _DOWNWARD]


class WordOrder:
    """Refuses when two texts of almost the same words have them in another order, so that parts change their roles.

    A paraphrase that moves its parts about changes most of its small words too; a text that swaps two words keeps them.
    That is why texts are compared only from `_ALMOST_ALL` shared words on (measured on public pairs, see
    `cache/calibration`).
    """

    name: ClassVar = "word-order"

    def refuses(self, a: Reading, b: Reading) -> bool:
        """Return whether shared words change places."""
        ours, theirs = a.tokens, b.tokens
        if ours == theirs or not _are_near(len(ours), len(theirs)):
            return False
        shared = Counter(ours) & Counter(theirs)
        if shared.total() < _ALMOST_ALL * max(len(ours), len(theirs)):
            return False
        one, other = _only(ours, shared), _only(theirs, shared)
        return one != other and _phrases(one) != _phrases(other)


def _are_near(one: int, other: int) -> bool:
    return min(one, other) >= _ALMOST_ALL * max(one, other)


def _only(tokens: tuple[str, ...], shared: Counter[str]) -> list[str]:
    """Return the shared tokens in order, without articles and with `x or y` and `y or x` written alike."""
    left = shared.copy()
    kept: list[str] = []
    for token in tokens:
        if left[token] > 0 and token not in _ARTICLES:
            left[token] -= 1
            kept.append(token)
    for at in range(1, len(kept) - 1):
        if kept[at] in _JOINING and kept[at - 1] > kept[at + 1]:
            kept[at - 1], kept[at + 1] = kept[at + 1], kept[at - 1]
    return kept


def _phrases(tokens: list[str]) -> list[list[str]]:
    """Return the phrases, sorted: one that moves as a whole keeps what it says."""
    found: list[list[str]] = [[]]
    for token in tokens:
        if token in _OPENING:
            found.append([])
        found[-1].append(token)
    return sorted(found)
