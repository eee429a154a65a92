from __future__ import annotations

from cache.semantic.base import Found
from cache.semantic.served import LAST, Served


def found(entry_id: int, pair: bytes = b"pair") -> Found:
    return Found(
        entry_id=entry_id,
        payload="an answer",
        similarity=0.9,
        age_s=1.0,
        answer=b"",
        scope=b"scope",
        category="",
        counted=0.9,
        pair=pair,
    )


def test_entries_are_counted() -> None:
    served = Served(10)
    for entry_id in (1, 2, 1):
        served.note(found(entry_id))

    assert len(served) == 2


def test_the_last_hits_of_an_entry_are_given_once_without_their_answers() -> None:
    served = Served(10)
    served.note(found(1, b"a"))
    served.note(found(1, b"b"))

    hits = served.take(1)

    assert [(hit.pair, hit.payload) for hit in hits] == [(b"a", None), (b"b", None)]
    assert served.take(1) == []


def test_a_pair_is_remembered_once() -> None:
    served = Served(10)
    for pair in (b"a", b"b", b"a"):
        served.note(found(1, pair))

    assert [hit.pair for hit in served.take(1)] == [b"b", b"a"]


def test_only_the_last_hits_are_remembered() -> None:
    served = Served(10)
    pairs = [bytes([number]) for number in range(LAST + 3)]
    for pair in pairs:
        served.note(found(1, pair))

    assert [hit.pair for hit in served.take(1)] == pairs[-LAST:]


def test_entries_that_answered_nothing_for_longest_are_forgotten_first() -> None:
    served = Served(2)
    for entry_id in (1, 2, 1, 3):
        served.note(found(entry_id, bytes([entry_id])))

    assert [bool(served.take(entry_id)) for entry_id in (1, 2, 3)] == [True, False, True]
