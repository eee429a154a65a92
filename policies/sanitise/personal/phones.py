"""Recognises telephone numbers among the numbers that were found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import phonenumbers

from policies.sanitise.personal.contexts import compile_words, stands_before

REGIONS: Final = ("US", "GB", "DE", "FR", "CH", "AT", "IT", "ES", "NL", "AU", "CA", "IN", "BR")
"""Whose national forms are known where a policy names no regions."""

_NOUNS: Final = (
    "phone* telephone* telefon* tel tél téléphone mobile* mobil cellphone handy fax whatsapp sms hotline landline "
    "rufnummer telefono teléfono telefone celular móvil voicemail pager"
)
_STRONG: Final = compile_words(_NOUNS)
_WORDS: Final = compile_words(
    _NOUNS
    + " cell call calling called dial signal text_me texting messages_to reach* contact* ring answering registered "
    "extension ext ph mob"
)
"""With these a number must be grouped: `reached 1250000 users` is none."""

_OTHER_NUMBERS: Final = compile_words(
    "order invoice ticket part sku isbn issn serial model version ref reference case tracking account build commit id "
    "uuid licence license zip postcode plz postal article art_nr bestellnummer rechnung"
)
_OTHER_REACH: Final = 20
_AFTER: Final = re.compile(r"[\s,\-(]{0,4}(?:office|fax|mobile|cell|home|work|desk|tel|phone)\b", re.IGNORECASE)
_LABEL: Final = re.compile(r"(?:office|desk|home|work)[ \t]*[:#][\s(]*\Z", re.IGNORECASE)
_REACH: Final = 32
_DATE: Final = re.compile(
    r"(?:19|20)\d\d[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:[0-2]?\d|3[01])\b|(?:[0-2]?\d|3[01])[-/.](?:[0-2]?\d"
    r"|3[01])[-/.](?:19|20)\d\d\b"
)
_UNLIKELY: Final = re.compile(r"\d+\.\d+|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])(?:\d{4,6})?")
_NORTH_AMERICAN: Final = re.compile(r"(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d([ .-]))[2-9]\d\d(?:\1|[.-])\d{4}")
_GROUPED: Final = re.compile(r"\(?0\d+\)?(?:[ ./-]+\d{2,}){1,5}")


def is_phone(text: str, place: tuple[int, int], digits: str, regions: Sequence[str]) -> bool:
    """Whether a number of 7 to 15 digits is a telephone's.

    An international one must fit a numbering plan. A national one needs a word near it, or the grouping of North
    America, or that of a region and a number that exists there. What is called an order or a ticket is none.
    """
    if not 7 <= len(digits) <= 15 or len(set(digits)) < 3:
        return False
    written = text[place[0] : place[1]]
    if _DATE.match(written) is not None or _UNLIKELY.fullmatch(written) is not None:
        return False
    if written.startswith("+"):
        return _exists(written, None) or _has_word(text, place) or (len(digits) > 9 and _is_possible(written))
    if stands_before(_OTHER_NUMBERS, text, place[0], _OTHER_REACH):
        return False
    return _has_word(text, place) or _is_national(written, regions)


def _is_national(written: str, regions: Sequence[str]) -> bool:
    """Whether a number is grouped as a region does, and exists there; with dashes North American ones need not."""
    if _NORTH_AMERICAN.fullmatch(written) is not None:
        return "-" in written or "." in written or _exists(written, "US")
    return _GROUPED.fullmatch(written) is not None and any(_exists(written, region) for region in regions)


def _has_word(text: str, place: tuple[int, int]) -> bool:
    start, end = place
    words = _STRONG if text[start:end].isdigit() else _WORDS
    if stands_before(words, text, start, _REACH) or _AFTER.match(text, end) is not None:
        return True
    return _LABEL.search(text, max(0, start - 12), start) is not None


def load_regions(regions: Sequence[str]) -> None:
    """Read the numbering plans now; the first number of a region would else wait some milliseconds."""
    for region in regions:
        _exists("+442079460000", None)
        _exists("020 7946 0000", region)


def _is_possible(written: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(written, None))
    except phonenumbers.NumberParseException:
        return False


def _exists(written: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, region))
    except phonenumbers.NumberParseException:
        return False
