"""Judges a value by what stands before it: how much must speak for a secret depends on the name it is given."""

from __future__ import annotations

import re
from typing import Final

from policies.sanitise.randomness import digit_changes, entropy, has_drawn_letters, is_drawn, is_dummy

_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_DIGEST: Final = re.compile(r"(?:sha|md|blake)-?[0-9][0-9a-z_]{0,5}[=:-]", re.IGNORECASE)
_RUN: Final = re.compile(r"[0-9A-Za-z+/]{16,}={0,2}")
_UUID: Final = re.compile(r"[0-9a-z]{8}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{12}", re.IGNORECASE)
_PATH: Final = re.compile(r"(?:[a-z_-]+[/.]){2,}[a-z_-]+", re.IGNORECASE)
_CODE: Final = re.compile(r"[()\[\]{}<>]|^[$%@&#]|\w\.\w+\.|::|->|^[a-z_]+\.[a-z_.]+$|^(?:https?|os|self|this)\b|[;,]$")
_SYMBOL: Final = re.compile(r"[^0-9A-Za-z\s_-]")

# Shannon's entropy of 16 evenly drawn hexadecimal digits is 3.1 bits on average and above 2.5 in 99 of 100 draws.
_LEAST_BITS: Final = 2.5
_LOOKED_AT: Final = 128
"""Characters of a value that are judged; certificates and the like go on for thousands."""

_TOKEN_LENGTH: Final = 10
_DIGIT_SHARE: Final = 0.15
"""Of drawn letters and digits one in six is a digit, of names of classes and products few are."""

_WEAK_LENGTH: Final = 16
_NUMBER_LENGTH: Final = 20
_PASSWORD_LENGTH: Final = 6
_HEX_LENGTH: Final = 12
_LETTER_HEX_LENGTH: Final = 24


def is_hex(value: str) -> bool:
    """Whether a value is hexadecimal digits, and so may be a digest or a commit."""
    return _HEX.fullmatch(value) is not None


def is_digest(value: str) -> bool:
    """Whether a value says of itself that it is a digest, as in lock files: `sha256=...`, `sha512-...`."""
    return _DIGEST.match(value) is not None


def is_uuid(value: str) -> bool:
    """Whether a value is a UUID, or letters and digits grouped as one."""
    return _UUID.fullmatch(value) is not None


def is_token(value: str) -> bool:
    """Whether a value is one where a name says that a secret follows."""
    head = value[:_LOOKED_AT]
    return len(value) >= _TOKEN_LENGTH and _has_form(head) and not is_dummy(head) and entropy(head) >= _LEAST_BITS


def _has_form(value: str) -> bool:
    if is_drawn(value):
        return _PATH.fullmatch(value) is None
    if is_hex(value):
        least = _NUMBER_LENGTH if value.isdigit() else _LETTER_HEX_LENGTH if value.isalpha() else _HEX_LENGTH
        return len(value) >= least
    return is_uuid(value)


def is_token_of_vendor(value: str) -> bool:
    """Whether a value is one where the name of a service and a word for secrets stand before it."""
    if is_token(value):
        return True
    if len(value) < _WEAK_LENGTH or digit_changes(value) < 1 or is_dummy(value):
        return False
    return entropy(value) >= _LEAST_BITS + 0.5 and not _CODE.search(value)


def is_named_token(value: str) -> bool:
    """Whether a value is one where a word for secrets stands before it."""
    if is_token(value):
        return True
    head = value[:_LOOKED_AT]
    if _RUN.fullmatch(head) is None or is_dummy(head) or entropy(head) < _LEAST_BITS + 0.5:
        return False
    digits = sum(character.isdigit() for character in head)
    return digits >= max(4, len(head) * _DIGIT_SHARE) and digits <= len(head) - 3


def is_named_key(value: str) -> bool:
    """Whether a value is one where `..._key` is set to it: long and drawn; digests of files have other names."""
    return len(value) >= _WEAK_LENGTH and is_token(value)


def is_unmistakable(value: str) -> bool:
    """Whether a value is one where the name says little (`key`): drawn, long, and no digest."""
    if len(value) < _WEAK_LENGTH or is_hex(value) or not is_token(value):
        return False
    return _UUID.fullmatch(value) is None and digit_changes(value) >= 4


def is_password(value: str, *, is_quoted: bool) -> bool:
    """Whether a value is one where the name says password: neither a word nor an expression of a programme."""
    if (
        len(value) < _PASSWORD_LENGTH
        or len(value) > 128
        or is_dummy(value)
        or _is_expression(value, is_quoted=is_quoted)
    ):
        return False
    if value.isdigit() or _is_words(value):
        return False
    has_digit = any(character.isdigit() for character in value)
    has_letter = any(character.isalpha() for character in value)
    return (has_digit and has_letter) or has_drawn_letters(value, 4)


def _is_expression(value: str, *, is_quoted: bool) -> bool:
    if is_quoted:
        return value.startswith(("$", "%", "<", "{", "#{", "/", "./", "../", "http")) or "${" in value or "$(" in value
    return _CODE.search(value) is not None


def _is_words(value: str) -> bool:
    """Whether a value is words joined by spaces or dashes, as a text or a name is."""
    parts = re.split(r"[\s_./:-]+", value)
    return len(parts) > 1 and all(part.isalpha() or not part for part in parts) and not has_drawn_letters(value, 4)
