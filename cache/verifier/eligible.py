"""Prompts that never go to the semantic cache: what they ask depends on the moment, the person or each character."""

from __future__ import annotations

import re
from typing import Final

from cache.verifier.lexicon.languages import ENGLISH, OTHERS
from cache.verifier.lexicon.notation import words

MOST_TOKENS: Final = 256
"""What the default embedder reads of a text; two long prompts with one beginning look alike to it."""

_CHARACTERS_A_TOKEN: Final = 4
"""Of English text, about (guides of several vendors); what is longer than the limit by this is too long."""

_MOST_OTHER_LETTERS: Final = 0.1
"""The share of letters outside the Latin script from which on a text is in another language."""

_FIRST_OTHER: Final = 0x0370
"""Where Greek begins in Unicode. The letters of Vietnamese with two marks lie beyond, and count as another script: what
reads English does not read them."""

_VOLATILE: Final = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|(?:right|just|by|until|as of) now|now(?=\?)|at (?:the|this) moment"
    r"|at present|currently|nowadays|these days|latest|newest|breaking news|most recent|up to date"
    r"|(?:this|next|last|past) (?:week|weekend|month|year|season|quarter|morning|afternoon|evening|night"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
    r"|what time is it|what(?:'s| is) the (?:time|date|weather)|weather (?:in|for|forecast)|forecast|stock price"
    r"|exchange rate of|who is winning|live score)\b",
    re.IGNORECASE,
)
_DATED: Final = re.compile(r"\b(?:1[0-9]|20)\d\d\b")

_OWNED: Final = words(
    """
    account accounts address appointment balance bill bills booking calendar case claim contract data delivery document
    documents email emails file files flight history inbox invoice invoices licence license location login loan meeting
    meetings membership message messages name notes number order orders package parcel password payment payments payslip
    plan portfolio prescription profile purchase purchases records refund report reservation results salary schedule
    settings shipment statement subscription tasks ticket tickets transaction transactions transfer transfers usage visa
    """,
)
"""What is the asker's own: an answer about it is of no use to anybody else."""

_PERSONAL: Final = re.compile(
    rf"\b(?:my|our)\s+(?:\w+\s+)?(?:{'|'.join(_OWNED)})\b"
    r"|\bam i\b.{0,80}\b(?:eligible|logged|charged)\b|\bwho am i\b",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[^\W\d_]+")
_CODE: Final = re.compile(
    r"```|^\s*(?:(?:def|class|import|public|private|function|const|let|var|SELECT) |from \w+ import |#include|<\?|#!)"
    r"|[{};]\s*$|=>|\bTraceback\b|</\w+>",
    re.MULTILINE,
)
_SUM: Final = re.compile(
    r"\d\s*(?:[+*^\u00d7\u00f7=<>]|\b(?:plus|minus|times|divided by|mod)\b)\s*\(?-?\d"  # 3+4, 7 times 8
    r"|\d\s+[-/%x]\s+\(?-?\d|\d!(?:\s|$)|\u221a\d",  # 9 - 5, 6!, a root
    re.IGNORECASE,
)


def why_not(text: str, *, is_multilingual: bool) -> str | None:
    """Return why a prompt is answered only by an entry of the very same text, in a word; None if likeness will do.

    `long`, `script`, `language`, `code`, `arithmetic`, `volatile` or `personal`. A prompt that names its year is not
    volatile.

    Args:
        text: the last message.
        is_multilingual: whether the embedder reads other languages than English.
    """
    if len(text) > MOST_TOKENS * _CHARACTERS_A_TOKEN:
        return "long"
    if not is_multilingual:
        if not text.isascii() and _is_other_script(text):
            return "script"
        if _is_other_language(text):
            return "language"
    return _why_not_now(text)


def _why_not_now(text: str) -> str | None:
    if _CODE.search(text):
        return "code"
    if _SUM.search(text):
        return "arithmetic"
    if _VOLATILE.search(text) and not _DATED.search(text):
        return "volatile"
    return "personal" if _PERSONAL.search(text) else None


def _is_other_script(text: str) -> bool:
    letters = [ord(letter) for letter in text if letter.isalpha()]
    others = sum(1 for letter in letters if letter >= _FIRST_OTHER)
    return others > _MOST_OTHER_LETTERS * len(letters)


def _is_other_language(text: str) -> bool:
    """Return whether more small words of other languages than of English stand in it; names alone do not tell."""
    said = _WORD.findall(text.lower().replace("\u0131", "i"))
    others = sum(1 for word in said if word in OTHERS)
    return others > 0 and others > sum(1 for word in said if word in ENGLISH)
