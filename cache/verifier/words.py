"""What is known of one word by itself: its stem, and the parts it can play."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from cache.verifier.lexicon.contrasts import CONTRASTS
from cache.verifier.lexicon.function_words import (
    ASKING,
    AUXILIARIES,
    COMMANDS,
    DEGREES,
    FUNCTION_WORDS,
    LIGHT_WORDS,
    NEGATIONS,
)
from cache.verifier.lexicon.opposites import OPPOSITES
from cache.verifier.lexicon.quantities import (
    MONTHS,
    NUMBER_WORDS,
    ORDINAL_WORDS,
    RELATIVE_DAYS,
    UNITS,
    UNSURE_MONTHS,
    WEEKDAYS,
)
from cache.verifier.lexicon.synonyms import SYNONYMS
from cache.verifier.stems import IRREGULAR, stem

MOST_WORDS: Final = 16_384
"""How many words are remembered, the least recently met go first; about 8 MB when full."""

_LONGEST: Final = 64
"""Characters of a word that are looked at; what is longer is no word of a language."""


class Word(msgspec.Struct, frozen=True, gc=False):
    """One word, lower case, as the lists and the stemmer know it.

    Attributes:
        stem: the word without its endings.
        sense: the stem of the word that stands for its synonyms.
        content: whether it says something by itself.
        light: whether it is a content word that rarely decides an answer.
        quantity: `number`, `ordinal`, `month`, `weekday`, `day` or `unit`, else empty.
        value: of the quantity, as text.
        asks: what it asks for, else empty.
        opens: `whether` if it begins a question answered by yes or no, `do` if it begins an instruction, else empty.
        negates: whether it denies.
        degree: how it compares, else empty.
        contrast: the family of contrasts it belongs to and what stands for it there, as `place:india`, else empty.
        has_opposites: whether `opposites_of` its stem are known.
        rare: whether any field from `quantity` on says something, `opens` apart.
    """

    stem: str
    sense: str
    content: bool
    light: bool
    quantity: str
    value: str
    asks: str
    opens: str
    negates: bool
    degree: str
    contrast: str
    has_opposites: bool
    rare: bool


@lru_cache(maxsize=MOST_WORDS)
def word(text: str) -> Word:
    """Return what is known of a word.

    Args:
        text: lower case, without spaces.
    """
    text = text[:_LONGEST]
    base = IRREGULAR.get(text, text)
    root = stem(base)
    quantity, value = _quantity(text)
    negates = text in NEGATIONS or text.endswith("n't")
    contrast, degree, asks = _contrast(text, base), DEGREES.get(text, ""), ASKING.get(text, "")
    return Word(
        stem=root,
        sense=_sense(base, root),
        content=not (negates or asks or text in FUNCTION_WORDS or base in FUNCTION_WORDS or _is_figure(text, quantity)),
        light=text in LIGHT_WORDS or base in LIGHT_WORDS or root in _LIGHT_STEMS,
        quantity=quantity,
        value=value,
        asks=asks,
        opens="whether" if text in AUXILIARIES else "do" if root in _COMMAND_STEMS else "",
        negates=negates,
        degree=degree,
        contrast=contrast,
        has_opposites=root in _OPPOSITES,
        rare=bool(quantity or asks or negates or degree or contrast or root in _OPPOSITES),
    )


def opposites_of(root: str) -> frozenset[str]:
    """Return the stems of a stem's opposites."""
    return _OPPOSITES.get(root, _NOTHING)


def _quantity(text: str) -> tuple[str, str]:
    for name, values in _QUANTITIES:
        if text in values:
            return name, values[text]
    return "", ""


def _is_figure(text: str, quantity: str) -> bool:
    """Return whether a rule of its own compares the word: numbers, ordinals and dates are no content besides."""
    return quantity not in ("", "unit") and text not in UNSURE_MONTHS


def _contrast(text: str, base: str) -> str:
    found = CONTRASTS.get(text) or CONTRASTS.get(base) or CONTRASTS.get(text.removesuffix("'s").removesuffix("s"))
    return f"{found[0]}:{found[1]}" if found else ""


def _sense(base: str, root: str) -> str:
    found = SYNONYMS.get(base) or _SYNONYMS.get(root)
    return stem(found) if found else root


def _stem_opposites() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for one, others in OPPOSITES.items():
        found.setdefault(stem(one), set()).update(stem(other) for other in others)
    return {one: frozenset(others - {one}) for one, others in found.items()}


_NOTHING: Final[frozenset[str]] = frozenset()
_OPPOSITES: Final = _stem_opposites()
_SYNONYMS: Final = {stem(one): other for one, other in reversed(SYNONYMS.items())}
_LIGHT_STEMS: Final = frozenset(stem(light) for light in LIGHT_WORDS)
_COMMAND_STEMS: Final = frozenset(stem(command) for command in COMMANDS)
_QUANTITIES: Final = (
    ("number", NUMBER_WORDS),
    ("ordinal", ORDINAL_WORDS),
    ("month", MONTHS),
    ("weekday", WEEKDAYS),
    ("day", RELATIVE_DAYS),
    ("unit", UNITS),
)
