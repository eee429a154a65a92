"""The form of a placeholder, `[[EMAIL_1_k7q2x]]`, and what of it a model may change.

The last part is drawn for each request, so that nobody can write a placeholder that a text did not get, and one request
cannot ask for what belongs to another.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

LABELS: Final = ("EMAIL", "PHONE", "CARD", "IBAN", "ID", "IP", "MAC", "WALLET", "SECRET", "CUSTOM")
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without letters and digits that are mistaken for each other when copied."""

_SUFFIX_LENGTH: Final = 5
_MOST_DIGITS: Final = 6
_OF_RULES: Final = {
    "email": "EMAIL", "phone": "PHONE", "card": "CARD", "iban": "IBAN", "ip": "IP", "mac": "MAC", "wallet": "WALLET",
}  # fmt: skip
_SPACES: Final = " {0,2}"
_JOINT: Final = "[ _-]{1,2}"


def draw_suffix() -> str:
    """Return five characters from a secure source: one in 28 million is guessed."""
    drawn = secrets.randbelow(len(_ALPHABET) ** _SUFFIX_LENGTH)
    letters = []
    for _ in range(_SUFFIX_LENGTH):
        drawn, at = divmod(drawn, len(_ALPHABET))
        letters.append(_ALPHABET[at])
    return "".join(letters)


def label_of(detector: str, rule: str) -> str:
    """Return the word that stands for findings of a rule."""
    if detector == "secrets":
        return "SECRET"
    return _OF_RULES.get(rule, "ID" if detector == "personal" else "CUSTOM")


def write_placeholder(label: str, number: int, suffix: str) -> str:
    """Return the placeholder of the n-th value with that label."""
    return f"[[{label}_{number}_{suffix}]]"


def longest_placeholder(suffix: str) -> int:
    """Return the most characters that a placeholder takes, changed by a model as far as is tolerated."""
    return 4 + 2 * 2 + max(map(len, LABELS)) + 2 * 2 + _MOST_DIGITS + len(suffix)


def placeholders(text: str, suffix: str) -> Iterator[re.Match[str]]:
    """Yield the placeholders with that suffix in a text, in any letter case, with stray spaces or dashes.

    Their groups are `label` and `number`.
    """
    if "[[" in text:
        yield from (match for match in _whole(len(suffix)).finditer(text) if match["suffix"].casefold() == suffix)


def begins_at(text: str, suffix: str, start: int) -> int:
    """Return where something begins that ends the text and may become a placeholder; the text's length if nothing may.

    Args:
        start: where to look from.
    """
    match = _beginning(len(suffix)).search(text, start)
    if match is None or not suffix.startswith((match["suffix"] or match["part"] or "").casefold()):
        return len(text)
    return match.start()


@lru_cache(maxsize=8)
def _whole(length: int) -> re.Pattern[str]:
    """Return what matches a placeholder with any suffix of that length: made for each suffix it would take 0.5 ms."""
    label, digits = "|".join(LABELS), f"[0-9]{{1,{_MOST_DIGITS}}}"
    return re.compile(
        rf"\[\[{_SPACES}(?P<label>{label}){_JOINT}(?P<number>{digits}){_JOINT}(?P<suffix>[a-z0-9]{{{length}}}){_SPACES}\]\]",
        re.IGNORECASE,
    )


@lru_cache(maxsize=8)
def _beginning(length: int) -> re.Pattern[str]:
    """Return what matches, at the end of a text, what may become a placeholder with some suffix of that length."""
    steps = (
        (r"\[", ""),
        (r"\[", ""),
        (_SPACES, ""),
        (_any_of(LABELS), _heads(LABELS)),
        (_JOINT, ""),
        (f"[0-9]{{1,{_MOST_DIGITS}}}", ""),
        (_JOINT, ""),
        (f"(?P<suffix>[a-z0-9]{{{length}}})", f"(?P<part>[a-z0-9]{{1,{length - 1}}})"),
        (_SPACES, ""),
        (r"\]", ""),
    )
    expression = ""
    for full, partial in reversed(steps):
        expression = f"(?:{full}{expression}|{partial})?" if partial else f"(?:{full}{expression})?"
    return re.compile(expression.removesuffix("?") + r"\Z", re.IGNORECASE)


def _any_of(words: tuple[str, ...]) -> str:
    return "(?:" + "|".join(map(re.escape, words)) + ")"


def _heads(words: tuple[str, ...]) -> str:
    """Return what matches the beginnings of the words, without the words themselves."""
    heads = {word[:length] for word in words for length in range(1, len(word))}
    return _any_of(tuple(sorted(heads, key=len, reverse=True)))
