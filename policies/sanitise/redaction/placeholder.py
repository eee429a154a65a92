"""The form of a placeholder, `[[EMAIL_1_k7q2x]]`, and what of it a model may change.

The last part is drawn for each request, so that nobody can write a placeholder that a text did not get, and one request
cannot ask for what belongs to another.
"""

from __future__ import annotations

import re
import secrets
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
    return "".join(secrets.choice(_ALPHABET) for _ in range(_SUFFIX_LENGTH))


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


@lru_cache(maxsize=256)
def whole(suffix: str) -> re.Pattern[str]:
    """Return what matches a placeholder with that suffix in any letter case, with stray spaces or dashes."""
    label, digits = "|".join(LABELS), f"[0-9]{{1,{_MOST_DIGITS}}}"
    return re.compile(
        rf"\[\[{_SPACES}(?P<label>{label}){_JOINT}(?P<number>{digits}){_JOINT}{re.escape(suffix)}{_SPACES}\]\]",
        re.IGNORECASE,
    )


@lru_cache(maxsize=256)
def beginning(suffix: str) -> re.Pattern[str]:
    """Return what matches, at the end of a text, what may become a placeholder with that suffix."""
    steps = (
        (r"\[", ""),
        (r"\[", ""),
        (_SPACES, ""),
        (_any_of(LABELS), _heads(LABELS)),
        (_JOINT, ""),
        (f"[0-9]{{1,{_MOST_DIGITS}}}", ""),
        (_JOINT, ""),
        (re.escape(suffix), _heads((suffix,))),
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
