"""Recognises numbers of payment cards."""

from __future__ import annotations

import re
from typing import Final

from policies.sanitise.personal.contexts import compile_words, stands_around

_WORDS: Final = compile_words(
    "card* cc credit debit visa master_card mastercard amex american_express maestro discover jcb diners "
    "payment billing "
    "pan kreditkarte karte carte tarjeta cartão carta cvv cvc expir* atm"
)
_REACH: Final = 80
_GROUPED: Final = re.compile(r"\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5}")
# Issuer prefixes and lengths: ISO/IEC 7812 as the schemes publish it (Visa 4; Mastercard 51-55, 2221-2720; American
# Express 34, 37; Discover 6011, 644-649, 65; JCB 3528-3589 and the old 1800, 2131; Diners 300-305, 36, 38; Maestro 50,
# 56-69; UnionPay 62).
_ISSUERS: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}|"
    r"(?:6011|64[4-9]\d|65\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|(?:1800|2131)\d{11}|3(?:0[0-5]|[68]\d)\d{11}|"
    r"(?:50|5[6-9]|6\d)\d{10,17}"
)


def is_card(text: str, place: tuple[int, int], digits: str) -> bool:
    """Whether a number is a card's: the check digit, and either a word near it or an issuer's prefix in groups of four.

    One in ten numbers has a valid check digit by chance, so it alone proves nothing.
    """
    if not 12 <= len(digits) <= 19 or len(set(digits)) < 2 or not is_luhn(digits):
        return False
    if stands_around(_WORDS, text, place, _REACH):
        return True
    return _GROUPED.fullmatch(text, *place) is not None and _ISSUERS.fullmatch(digits) is not None


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812-1, annex B."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        value = ord(character) - 48
        if position % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0
