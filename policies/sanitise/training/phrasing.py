"""Writes many texts from one: `{a|b}` is a or b, `{a|}` may be left out, braces nest, `<<x>>` is a list."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import Final

_INNERMOST: Final = re.compile(r"\{([^{}]*)\}")
_NAMED: Final = re.compile(r"<<([a-z_]+)>>")
_BLANKS: Final = re.compile(r"[ \t]{2,}")
_BEFORE_SIGNS: Final = re.compile(r" +([,.!?;:])")


def vary(phrase: str, lists: Mapping[str, str], random: Random) -> str:
    """Return one of the texts that a phrase stands for.

    Args:
        phrase: with braces, and `<<name>>` where a phrase of `lists` stands.
        lists: phrases by name; they may name others.
        random: what chooses.
    """
    while named := _NAMED.search(phrase):
        phrase = phrase[: named.start()] + "{" + lists[named[1]].strip() + "}" + phrase[named.end() :]
        phrase = _choose(phrase, random)
    return _tidy(_choose(phrase, random))


def _choose(phrase: str, random: Random) -> str:
    while braces := _INNERMOST.search(phrase):
        if "<<" in braces[1] and "|" not in braces[1]:
            return phrase[: braces.start()] + braces[1] + phrase[braces.end() :]
        phrase = phrase[: braces.start()] + random.choice(braces[1].split("|")) + phrase[braces.end() :]
    return phrase


def _tidy(text: str) -> str:
    text = _BEFORE_SIGNS.sub(r"\1", _BLANKS.sub(" ", text)).strip().replace("<~", "<|").replace("~>", "|>")
    return text[:1].upper() + text[1:] if text[:1].islower() else text
