"""Finds tokens that only the name of a service beside them gives away: `wandb 371a...`, `todoist SECRET 65...`."""

from __future__ import annotations

import re
from typing import Final

from policies.sanitise.secrets.values import is_hex, is_token, is_token_of_vendor, is_uuid

_AFTER: Final = 640
_GLUE: Final = re.compile(
    r"(?P<words>(?:[_\-. ]?(?:api|app|access|secret|auth|private|client|account|user|master|live|personal"
    r"|oauth|bearer|token|"
    r"key|pat|sample|credential|id|io|com|service|admin|project|password|com|security|license|rest|integration|webhook)s?)"
    r"{0,7}+)(?P<joint>[\"'\])`\\]{0,3}+\s{0,3}+[=:>(,|-]{0,2}+\s{0,3}+[\"'`(]{0,2}+)(?P<value>[0-9A-Za-z_+.%~-][0-9A-Za-z_+/.%~:-]{9,512}={0,2})",
    re.IGNORECASE,
)
_LEAVES: Final = re.compile(
    r"[/@?&(){}\[\]]|[\w-]{0,20}\.(?:com|io|org|net|dev|ai|co)\b|[ \t]?[.,;]?[ \t][a-z]+[ \t,.][a-z]"
)
"""Goes on as an address or as a sentence."""

_DIGIT: Final = re.compile(r"[^0-9\n]{0,64}[0-9]|\s")
_FILE: Final = re.compile(r"v?\d+\.\d+")
"""A version, as in names of packages."""

_SECRET_WORD: Final = re.compile(r"secret|token|key|pat\b|bearer|credential|password|access|auth", re.IGNORECASE)


def judge_vendor(text: str, name_end: int, *, is_distinct: bool) -> tuple[int, int] | None:
    """Return where the token stands that follows the name of a service, None if none does.

    Args:
        name_end: where the name ends.
        is_distinct: whether the name means nothing but the service.
    """
    if _LEAVES.match(text, name_end) is not None or _DIGIT.match(text, name_end) is None:
        return None
    match = _GLUE.match(text, name_end, min(len(text), name_end + _AFTER))
    if match is None or not (match["words"] or match["joint"]):
        return None
    value, words = match["value"], match["words"]
    place = match.span("value")
    if words:
        return place if _SECRET_WORD.search(words) is not None and is_token_of_vendor(value) else None
    if _is_other(value) or match["joint"].strip() == "-":
        return None
    is_set = "=" in match["joint"] or ":" in match["joint"]
    needs_more = not is_distinct and (is_hex(value) or not is_set)
    return place if is_token(value) and not needs_more else None


def _is_other(value: str) -> bool:
    """Whether a value beside a bare name is an address, a version in a file's name, or an id."""
    return ":" in value or "/" in value or _FILE.match(value) is not None or is_uuid(value)
