"""Finds secrets by what surrounds them: keys in PEM, passwords in addresses and on command lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from policies.sanitise.passes.pattern import Pattern
from policies.sanitise.randomness import is_dummy
from policies.sanitise.secrets.values import is_password


class Structure(NamedTuple):
    """A surrounding.

    Attributes:
        name: of the rule.
        anchor: where the engine reports.
        find: given text and the anchor's end, returns start and end of the secret or None.
    """

    name: str
    anchor: Pattern
    find: Callable[[str, int], tuple[int, int] | None]


_LONGEST_KEY: Final = 16_384
"""Characters of a key in PEM; RSA with 16,384 bits takes 12,700."""

_PEM_END: Final = re.compile(r"-----END[A-Z0-9 ]{0,40}-----")
_ADDRESS: Final = re.compile(
    r"://(?P<user>[^\s/:@\"'<>{}\[\]$]{0,80}):(?P<password>[^\s@\"'<>{}/]{3,120})@(?P<host>[^\s/:@\"'<>]{1,80})"
)
_OPTIONS: Final = re.compile(
    r"-(?:-?u(?:ser(?:name)?)?|h|S)[ =]\S{1,80}\s+--?p(?:ass(?:word)?)?[ =]?[\"']?(?P<value>[^\s\"']{4,80})",
    re.IGNORECASE,
)
_BASIC_USER: Final = re.compile(r"(?:-u|--user)[ =]?[\"']?(?P<user>[^\s:\"'$]{1,80}):(?P<value>[^\s\"'$<{]{4,120})")
_CALL: Final = re.compile(
    r"(?:NetworkCredential|DirectoryEntry|PSCredential|BasicAWSCredentials|HTTPBasicAuth|basic_auth|login)\s*\("
    r"[^()\n]{0,160}?[\"'](?P<value>[^\"'\s(){}]{4,80})[\"']\s*\)",
    re.IGNORECASE,
)
_SAID: Final = re.compile(
    r"pass(?:word|code|phrase)[^\n\"'`]{0,40}[\"'`]?[^\n\"'`]{0,40}[\"'`]? is:? [\"'`](?P<value>[^\"'`\s]{5,64})[\"'`]",
    re.IGNORECASE,
)


def _private_key(text: str, hit_end: int) -> tuple[int, int] | None:
    start = text.rfind("-----BEGIN", max(0, hit_end - 64), hit_end)
    end = _PEM_END.search(text, hit_end, min(len(text), hit_end + _LONGEST_KEY))
    stop = end.end() if end else min(len(text), hit_end + _LONGEST_KEY)
    body = text[hit_end + 5 : hit_end + 400].strip().removesuffix("-----END")
    letters = re.sub(r"[^0-9A-Za-z]", "", body)
    return (start, stop) if start >= 0 and len(letters) >= 40 and not is_dummy(letters[:40]) else None


def _address(text: str, hit_end: int) -> tuple[int, int] | None:
    match = _ADDRESS.search(text, max(0, hit_end - 280), min(len(text), hit_end + 80))
    if match is None or match["password"].startswith(("$", "%(", "[", "*")) or is_dummy(match["password"]):
        return None
    word = match["password"].lower()
    if word in _FILLER or word == match["user"].lower() or match["host"].startswith("example."):
        return None
    return match.span("password")


def _by(expression: re.Pattern[str], before: int, *, is_quoted: bool) -> Callable[[str, int], tuple[int, int] | None]:
    """Return a finder for expressions with a group `value` that must look like a password."""

    def find(text: str, hit_end: int) -> tuple[int, int] | None:
        match = expression.search(text, max(0, hit_end - before), min(len(text), hit_end + 160))
        if match is None or match["value"].lower() in _FILLER or not is_password(match["value"], is_quoted=is_quoted):
            return None
        return match.span("value")

    return find


_FILLER_WORDS: Final = (
    "password passwd pass secret pwd user username admin root test postgres mysql redis guest changeme token key pw"
)
_FILLER: Final = frozenset(_FILLER_WORDS.split())

STRUCTURES: Final = (
    Structure("private_key", Pattern(r"-----BEGIN[A-Z0-9 ]{0,30}PRIVATE KEY"), _private_key),
    Structure("password_in_url", Pattern(r"://[^\s/:@\"'<>{}]{0,80}:[^\s@\"'<>{}]{3,120}@[0-9A-Za-z\[]"), _address),
    Structure(
        "command_line_password",
        Pattern(r"[ ]-{1,2}p(?:ass(?:word)?)?[ =]", is_caseless=True),
        _by(_OPTIONS, 96, is_quoted=True),
    ),
    Structure(
        "command_line_user",
        Pattern(r"[ ](?:-u|--user)[ =]?[\"']?[^\s:\"'$]{1,80}:"),
        _by(_BASIC_USER, 96, is_quoted=True),
    ),
    Structure(
        "credential_call",
        Pattern(r"(?:NetworkCredential|DirectoryEntry|PSCredential|HTTPBasicAuth)\s?\(", is_caseless=True),
        _by(_CALL, 32, is_quoted=True),
    ),
    Structure(
        "password_in_words",
        Pattern(r"pass(?:word|code|phrase)[^\n]{0,80} is:? [\"'`]", is_caseless=True),
        _by(_SAID, 120, is_quoted=True),
    ),
)
