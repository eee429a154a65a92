"""Tells whether a text is in another language than English, by words that every sentence has."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.sanitise.injection.plain import plain
from policies.sanitise.injection.reading import Reading, hash_of

_ENGLISH: Final = """
    the of to and a in is you that it for with as on be are this have from or by what not can will at we my your me
    about how do an if all was has they which there would should please write tell give show than then who when why
    i our their his her its out up so but any into more other some such only
"""
_OTHERS: Final = """
    der die das den dem des ein eine einen und ist nicht mit fur auf von zu im dass wie ich du er sie wir nur alle aus
    bei
    el los las una unos que de en por para con es un su se lo como mas pero sus le ya o este si cual yo tu
    les et est une pour dans qui sur pas plus par je vous nous ce avec sont au du la ton mon tes mes
    um uma os nao com em do da dos no na ao pelo seu voce eu isso como mas
    il di che per non sono della nel con gli alla piu questo mi ti io dei
    het een van ik je op te zijn voor met niet aan ook als maar bij om hij jij
    nie sie na jest z do w i ze jak co to dla po
    ve bir bu icin ile da ne gibi daha cok ben sen
"""
_BITS: Final = 16
_SHIFT: Final = np.uint32(32 - _BITS)


def _table() -> NDArray[np.int8]:
    found = np.zeros(1 << _BITS, np.int8)
    for words, vote in ((_OTHERS, -1), (_ENGLISH, 1)):
        for word in plain(words).split():
            found[hash_of(word.encode()) >> (32 - _BITS)] = vote
    for word in set(plain(_OTHERS).split()) & set(plain(_ENGLISH).split()):
        found[hash_of(word.encode()) >> (32 - _BITS)] = 0
    return found


_VOTES: Final = _table()


def is_foreign(reading: Reading, raw: bytes, *, is_ascii: bool) -> bool:
    """Tell whether no more words speak for English than against it; words in other scripts speak against it.

    Args:
        reading: of the text.
        raw: its plain copy as UTF-8.
        is_ascii: that it is nothing else.
    """
    votes = int(_VOTES.take(reading.words >> _SHIFT).sum(dtype=np.int64))
    if not is_ascii:
        leads = np.frombuffer(raw, np.uint8)[reading.starts[reading.starts < len(raw)]]
        votes -= int(np.count_nonzero(leads >= 0xCE))
    return votes <= 0
