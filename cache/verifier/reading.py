"""What the guard knows of one text, read once and kept beside the stored vector."""

from __future__ import annotations

from typing import Final

import msgspec


class Reading(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One text, read.

    Every field is plain text or tuples and sets of it, so that readings can be kept, sent and compared anywhere. One of
    a question takes about 2.7 kB in memory and 0.35 kB packed, which is how a store of many should keep it.

    Attributes:
        tokens: all words, lower case, in order; numbers as they are written.
        order: senses of the content words, in order (see `words.Word.sense`).
        content: the same as a set.
        salient: those of them that decide an answer; `lexicon.function_words.LIGHT_WORDS` rarely do.
        stems: stems of all words, content or not.
        numbers: values as decimal texts, sorted, as often as they occur; dates' days and years are among them.
        measures: a number and its unit, as `5 km`.
        units: units that are named, with or without a number.
        ordinals: places in an order, sorted, as often as they occur.
        dates: months, weekdays and words such as today, sorted.
        negations: how many words deny.
        polar: stems that have an opposite.
        members: words of a family of contrasts, as `family:word`.
        degrees: how the text compares, sorted, as often as it occurs.
        asks: what is asked for: `who`, `when`, `where`, `why`, `how`, `how much`, `what`, `whether`; `do`
            in an instruction; `state` when nothing is asked.
        names: words with a capital inside a sentence, their lower-case stems.
        places: content words right after a preposition of place or belonging, where names stand when nothing is
            written with a capital.
        literals: quoted texts, paths, flags, code, addresses, exactly as written but for the quotes.
        flat: the whole text without case, quotes and spacing, in which the other's literals are looked for.
    """

    tokens: tuple[str, ...]
    order: tuple[str, ...]
    content: frozenset[str]
    salient: frozenset[str]
    stems: frozenset[str]
    numbers: tuple[str, ...]
    measures: frozenset[str]
    units: frozenset[str]
    ordinals: tuple[str, ...]
    dates: tuple[str, ...]
    negations: int
    polar: frozenset[str]
    members: frozenset[str]
    degrees: tuple[str, ...]
    asks: str
    names: frozenset[str]
    places: frozenset[str]
    literals: frozenset[str]
    flat: str


def pack(reading: Reading) -> bytes:
    """Return a reading in few bytes, for `unpack`."""
    return _ENCODER.encode(reading)


def unpack(packed: bytes) -> Reading:
    """Return a packed reading, in about 15 us.

    Raises:
        ValueError: these are no bytes of `pack`, or of another version of it: the text is to be read again.
    """
    try:
        return _DECODER.decode(packed)
    except msgspec.DecodeError as error:
        raise ValueError("this is no packed reading") from error


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Reading)
