"""Which of the nearest stored entries may answer: the decision of the semantic cache, in one place."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

import msgspec

from cache.verifier.reading import Reading
from cache.verifier.verifier import Verifier

LOOKED_AT: Final = 5
"""How many of the nearest entries are judged: when the nearest is refused, a farther one may pass."""

ROOM: Final = 0.1
"""How much farther, in cosine similarity, the nearest entry of another answer should be than the one that answers."""

CROWDING: Final = 0.5
"""How much more likeness is asked for, per 1 of room that is missing. A question that lies close to two entries of
different answers is one of details. Chosen on the public streams together with `cache.verifier.doubts`."""


class Neighbour(msgspec.Struct, frozen=True, gc=False):
    """A stored entry near a query.

    Attributes:
        entry: its id.
        similarity: cosine, -1 to 1.
        reading: of its text.
        answer: what tells its answer from others, such as a hash of it; entries of one answer do not crowd each other.
    """

    entry: int
    similarity: float
    reading: Reading
    answer: Hashable


class Choice(msgspec.Struct, frozen=True, gc=False):
    """What came of a look-up.

    Attributes:
        entry: the one that may answer, or None.
        similarity: its cosine; of the nearest where none may answer, -1 where there was none.
        required: the cosine that was asked for, doubts and crowding included; 1 where a rule refused.
        reason: why none may answer: the name of the rule that refused the nearest, `far`, or `empty`; empty on a hit.
    """

    entry: int | None
    similarity: float
    required: float
    reason: str


_EMPTY: Final = Choice(None, -1.0, 1.0, "empty")


def choose(query: Reading, neighbours: Sequence[Neighbour], threshold: float, verifier: Verifier) -> Choice:
    """Return which neighbour may answer a query.

    One may answer if no rule refuses it and its similarity is at least the threshold, plus what doubts ask for, plus
    what crowding asks for. Of several the one that exceeds what is asked for by most is taken.

    Args:
        query: what was asked.
        neighbours: nearest first; `LOOKED_AT + 1` are enough, the last shows how crowded it is.
        threshold: cosine, see `cache.calibration`.
        verifier: asks the rules.
    """
    best: Choice | None = None
    nearest: Choice = _EMPTY
    for at, neighbour in enumerate(neighbours[:LOOKED_AT]):
        if neighbour.similarity < threshold:
            break
        required = threshold + _crowding(neighbour, neighbours)
        if best is not None and neighbour.similarity - required <= _excess(best):
            continue  # doubts only ever ask for more
        found = _judge(query, neighbour, required, verifier)
        if at == 0:
            nearest = found
        if found.entry is not None and (best is None or _excess(found) > _excess(best)):
            best = found
    if best is not None:
        return best
    if nearest is _EMPTY and neighbours:
        return Choice(None, neighbours[0].similarity, threshold, "far")
    return nearest


def _judge(query: Reading, neighbour: Neighbour, required: float, verifier: Verifier) -> Choice:
    if neighbour.similarity < required:
        return Choice(None, neighbour.similarity, required, "far")
    refused = verifier.judge(query, neighbour.reading)
    if refused is not None:
        return Choice(None, neighbour.similarity, 1.0, refused)
    required += verifier.asks_more(query, neighbour.reading)
    if neighbour.similarity < required:
        return Choice(None, neighbour.similarity, required, "far")
    return Choice(neighbour.entry, neighbour.similarity, required, "")


def _excess(choice: Choice) -> float:
    return choice.similarity - choice.required


def _crowding(chosen: Neighbour, neighbours: Sequence[Neighbour]) -> float:
    for other in neighbours:
        if other.answer != chosen.answer:
            return CROWDING * max(0.0, ROOM - (chosen.similarity - other.similarity))
    return 0.0
