"""Documents in which one value is not what it should be."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any, Final

_JUNK: Final[tuple[Any, ...]] = (
    *(None, True, 0, -1, 10**30, 1.5, "", "x"),
    *([], [1], [[]], [{}], {}, {"type": 1}, {"type": []}, {"a": {"b": []}}),
)


def spoiled(document: Any, seed: int, number: int) -> Iterator[Any]:
    """Yield copies of a document, each with one value anywhere in it replaced; the same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311  # a test wants the same numbers again
    for _ in range(number):
        found = copy.deepcopy(document)
        _spoil(found, chance)
        yield found


def _spoil(place: Any, chance: random.Random) -> None:
    while True:
        key = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
        if isinstance(place[key], dict | list) and place[key] and chance.random() < 0.8:
            place = place[key]
        else:
            place[key] = chance.choice(_JUNK)
            return
