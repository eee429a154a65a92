"""Reads a text once: `read` makes the `Reading` that rules compare."""

from __future__ import annotations

import re
from typing import Final

from cache.verifier.lexicon.quantities import ROMAN, SCALES, SUFFIX_SCALES, UNITS, UNSURE_MONTHS
from cache.verifier.literals import flat, literals
from cache.verifier.reading import Reading
from cache.verifier.words import Word, word

MOST_CHARACTERS: Final = 1024
"""How much of a text is read. Longer prompts are never eligible; the bound keeps a hostile one from costing more."""

_TOKEN: Final = re.compile(
    r"""([A-Za-zÀ-ɏ]+(?:'[A-Za-z]+)*)(\d[\w.]*\w|\d)?"""  # 1: a word; 2: digits glued to it
    r"""|(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)"""  # 3-5: a date
    r"""|(\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(st|nd|rd|th)?([A-Za-z%°]+)?"""  # 6-8: digits, th, a unit
    r"""|([$€£¥₹%])"""  # 9: a sign of money or share
    r"""|([.!?])(?=\s|$)"""  # 10: the end of a sentence
    r"""|([^\W\d_]+)""",  # 11: a word in another script
)
_TAG: Final = re.compile(r"\s+(?:i|you|he|she|it|we|they|there)\s*\?\s*$", re.IGNORECASE)
"""What follows the verb of a tag question."""

_WORD: Final = (1, 2)
_DATE: Final = 5
_DIGITS: Final = (6, 7, 8)
_SIGN: Final = 9
_END: Final = 10

_BEFORE_PLACES: Final = frozenset(["in", "at", "from", "of", "for", "by", "on", "near", "with", "between", "against"])
_TWO_WORD_PLACES: Final = {"states": "place:usa", "us": "place:usa", "kingdom": "place:britain"}
_BEFORE_TWO_WORD_PLACES: Final = frozenset(["united", "in", "the"])
_HOW: Final = frozenset(["how", "how's"])
_AMOUNTS: Final = frozenset(
    ["many", "much", "long", "often", "far", "old", "tall", "big", "fast", "high", "large", "deep", "heavy"],
)
_WHAT: Final = frozenset(["what", "which"])
_WHAT_KIND: Final = {
    **dict.fromkeys(["year", "date", "time", "day", "month", "century", "decade", "years"], "when"),
    **dict.fromkeys(
        ["person", "entity", "man", "woman", "president", "king", "queen", "actor", "actress", "author"], "who"
    ),
    **dict.fromkeys(["place", "location"], "where"),
    **dict.fromkeys(["reason", "reasons"], "why"),
}
"""What is asked for by what or which together with the word after it."""

_POLITE: Final = frozenset(["please", "kindly"])


def read(text: str) -> Reading:
    """Read a text.

    Args:
        text: a prompt, the last message of a request; what is beyond `MOST_CHARACTERS` is not read.
    """
    text = text[:MOST_CHARACTERS].replace("\u2019", "'")
    draft = _Draft()
    for found in _TOKEN.finditer(text):
        group = found.lastindex
        if group in _WORD:
            draft.take_word(found)
        elif group == _END:
            draft.end_sentence()
        elif group in _DIGITS:
            draft.take_digits(found)
        elif group == _SIGN:
            draft.take_unit(UNITS[found[0]])
        elif group == _DATE:
            draft.take_date(found)
        else:
            draft.take_foreign(found[0])
    return draft.finish(text)


class _Draft:
    """What is gathered on the way through one text."""

    __slots__ = (
        "asks", "dates", "degrees", "is_start", "measures", "members", "names", "negations", "number", "numbers",
        "order", "ordinals", "places", "polar", "previous", "salient", "stems", "tokens", "units",
    )  # fmt: skip

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.order: list[str] = []
        self.salient: set[str] = set()
        self.stems: set[str] = set()
        self.numbers: list[str] = []
        self.measures: set[str] = set()
        self.units: set[str] = set()
        self.ordinals: list[str] = []
        self.dates: list[str] = []
        self.polar: set[str] = set()
        self.members: set[str] = set()
        self.degrees: list[str] = []
        self.names: set[str] = set()
        self.places: set[str] = set()
        self.negations = 0
        self.asks = ""
        self.previous = ""
        self.number = ""
        self.is_start = True

    def take_word(self, found: re.Match[str]) -> None:
        written = found[1]
        lower = written.lower()
        if found[2]:
            self._take_model_name(lower, found)
            return
        known = word(lower)
        self.tokens.append(lower)
        self.stems.add(known.stem)
        if known.content:
            self._take_content(lower, written, known)
        if known.rare:
            self._take_rare(lower, written, known, found)
        elif self.number:
            self.number = ""
        if lower in _WHAT_KIND and self.asks == "what" and self.previous in _WHAT:
            self.asks = _WHAT_KIND[lower]
        if lower in _TWO_WORD_PLACES and self.previous in _BEFORE_TWO_WORD_PLACES:
            self._take_member(_TWO_WORD_PLACES[lower])
        if written in ROMAN:
            self.numbers.append(ROMAN[written])
        self.previous = lower
        self.is_start = False

    def end_sentence(self) -> None:
        self.is_start = True
        self.previous = self.number = ""

    def take_foreign(self, text: str) -> None:
        self.tokens.append(text)
        self.order.append(text)
        self.salient.add(text)
        self.is_start = False
        self.previous = ""

    def take_date(self, found: re.Match[str]) -> None:
        self.tokens.append(found[0])
        self.numbers += [found[3], _plain(found[5])]
        self.dates.append(f"m{int(found[4])}")
        self._after_figure("")

    def take_digits(self, found: re.Match[str]) -> None:
        digits, is_ordinal, tail = found[6].replace(",", ""), found[7], (found[8] or "").lower()
        self.tokens.append(found[0].lower())
        value = _plain(digits)
        if is_ordinal and not tail:
            self.ordinals.append(value)
            self._after_figure("")
            return
        if tail in UNITS:
            self.number = value
            self.take_unit(UNITS[tail])
        elif tail in SUFFIX_SCALES:
            value = _times(digits, SUFFIX_SCALES[tail])
        else:
            value += tail
        self.numbers.append(value)
        self._after_figure(value)

    def take_unit(self, unit: str) -> None:
        self.units.add(unit)
        if self.number:
            self.measures.add(f"{self.number} {unit}")
            self.number = ""

    def finish(self, text: str) -> Reading:
        return Reading(
            tokens=tuple(self.tokens),
            order=tuple(self.order),
            content=frozenset(self.order),
            salient=frozenset(self.salient),
            stems=frozenset(self.stems),
            numbers=tuple(sorted(self.numbers)),
            measures=frozenset(self.measures),
            units=frozenset(self.units),
            ordinals=tuple(sorted(self.ordinals)),
            dates=tuple(sorted(self.dates)),
            negations=self.negations,
            polar=frozenset(self.polar),
            members=frozenset(self.members),
            degrees=tuple(sorted(self.degrees)),
            asks=self._what_is_asked(is_question=text.rstrip().endswith("?")),
            names=frozenset(self.names),
            places=frozenset(self.places),
            literals=literals(text),
            flat=flat(text),
        )

    def _after_figure(self, value: str) -> None:
        self.number = value
        self.previous = ""
        self.is_start = False

    def _take_model_name(self, lower: str, found: re.Match[str]) -> None:
        """Take a word with digits glued to it, such as mp3 or python3: content, and no number."""
        name = lower + found[2].lower()
        self.tokens.append(name)
        self.stems.add(name)
        self.order.append(name)
        self.salient.add(name)
        if self.previous in _BEFORE_PLACES:
            self.places.add(name)
        self._after_figure("")

    def _take_content(self, lower: str, written: str, known: Word) -> None:
        self.order.append(known.sense)
        if not known.light:
            self.salient.add(known.sense)
        if self.previous in _BEFORE_PLACES and not lower.endswith("ing"):
            self.places.add(known.sense)
        if not self.is_start and written[0].isupper() and len(written) > 1:
            place = known.contrast.removeprefix("place:")
            self.names.add(known.stem if place == known.contrast else place)

    def _take_rare(self, lower: str, written: str, known: Word, found: re.Match[str]) -> None:
        if known.quantity:
            self._take_quantity(lower, written, known)
        else:
            self.number = ""
        if known.has_opposites:
            self.polar.add(known.stem)
        if known.contrast:
            self._take_member(known.contrast)
        if known.degree:
            self.degrees.append(known.degree)
        if known.negates and not self._is_particle(lower, found):
            self.negations += 1
        if not self.asks:
            self.asks = known.asks
        elif self.asks == "how" and self.previous in _HOW and lower in _AMOUNTS:
            self.asks = "how much" if lower == "many" else f"how {lower}"

    def _take_quantity(self, lower: str, written: str, known: Word) -> None:
        kind, value = known.quantity, known.value
        if kind == "number":
            self._take_spelled(value)
            return
        if kind == "unit":
            self.take_unit(value)
        elif kind == "ordinal":
            self.ordinals.append(value)
        elif kind != "month" or self._is_month(lower, written):
            self.dates.append(value)
        self.number = ""

    def _take_spelled(self, value: str) -> None:
        """Take a number word; a scale multiplies the number before it, and twenty two is one number."""
        before = self.number
        if before and self.numbers and self.numbers[-1] == before and before.replace(".", "", 1).isdigit():
            joined = _joined(before, value)
            if joined:
                self.numbers.pop()
                value = joined
        self.numbers.append(value)
        self.number = value

    def _take_member(self, contrast: str) -> None:
        self.members.add(contrast)
        if contrast.startswith("place:"):
            self.stems.add(contrast.removeprefix("place:"))

    def _is_month(self, lower: str, written: str) -> bool:
        if lower not in UNSURE_MONTHS:
            return True
        return (written[0].isupper() and not self.is_start) or bool(self.number) or self.previous == "of"

    def _is_particle(self, lower: str, found: re.Match[str]) -> bool:
        """Return whether it denies nothing: no, that opens an answer; or not, aren't you, that close a question."""
        following = found.string[found.end() : found.end() + 1]
        if lower == "no":
            return self.is_start and following == ","
        if lower == "not":
            return self.previous == "or" and following in "?.!,"
        return lower.endswith("n't") and _TAG.match(found.string, found.end()) is not None

    def _what_is_asked(self, *, is_question: bool) -> str:
        first = next((token for token in self.tokens[:3] if token not in _POLITE and not token.endswith("ly")), "")
        opens = word(first).opens
        if opens == "whether" or (opens and not self.asks):
            return opens
        return self.asks or ("whether" if is_question else "state")


def _joined(before: str, value: str) -> str:
    """Return what two number words in a row are together, or nothing where they are two numbers."""
    if value in SCALES:
        return _times(before, int(value))
    tens, ones = float(before), float(value)
    if 20 <= tens < 100 and tens % 10 == 0 and 0 < ones < 10:
        return _plain(str(tens + ones))
    return ""


def _times(digits: str, scale: int) -> str:
    return _plain(f"{float(digits) * scale:.6f}")


def _plain(digits: str) -> str:
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return digits.lstrip("0") or "0"
