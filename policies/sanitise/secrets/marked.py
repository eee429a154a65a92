"""Finds tokens by what services have in common: a mark of letters, a sign, and a long drawn part (`acme_live_...`).

It stands in for formats that nobody has listed yet. Ids of objects are built alike and are told by their marks.
"""

from __future__ import annotations

import re
from typing import Final

from policies.sanitise.passes.pattern import Pattern
from policies.sanitise.randomness import digit_changes, is_dummy
from policies.sanitise.secrets.values import is_digest, is_hex

_MARK: Final = "[A-Za-z][0-9A-Za-z]{1,9}(?:[_-][0-9A-Za-z]{2,8}){0,2}[_-]"
_DRAWN: Final = 28
"""Characters of the drawn part that are least: ids of objects have up to 27, and few tokens of today have fewer."""

_LONGEST: Final = 200
_LONGEST_NAME: Final = 12
"""Of a digest: `blake2b_256=` is no shorter."""

_DIGEST_SIGN: Final = re.compile(r"(?:sha|md|blake)-?[0-9][0-9a-z_]{0,5}[=:]\Z", re.IGNORECASE)
_BEFORE: Final = 64
ANCHOR: Final = Pattern(rf"[_-][0-9A-Za-z]{{{_DRAWN}}}", group="marked")
_TOKEN: Final = re.compile(
    rf"(?<![0-9A-Za-z_./%+-]){_MARK}(?P<drawn>[0-9A-Za-z]{{{_DRAWN},{_LONGEST}}})(?![0-9A-Za-z_/+=-]|\.\w)"
)
_NO_TOKEN: Final = re.compile(
    r"(?:call|chatcmpl|cmpl|resp|msg|toolu|file|asst|thread|run|step|req|request|batch|vs|rs|fc|ft|gen|item|conv"
    r"|event|evt|cus|pi|pm|price|prod|sub|in|ch|cs|txn|acct|seti|trace|span|id|uid|hash|commit|etag|build|chunk)[_-]",
    re.IGNORECASE,
)
"""Ids that interfaces for models and for payments give to what they keep."""

_OF_TWO_CASES: Final = 2
_LEAST_DIGITS: Final = 3
_ONE_CASE: Final = 32
"""Characters, where letters have one case: 5 bits a character instead of 6."""

_LEAST_CHANGES: Final = 6


def find_marked(text: str, hit_end: int) -> tuple[int, int] | None:
    """Return start and end of the token in which a match of `ANCHOR` ended, None if it is none."""
    match = _TOKEN.search(text, max(0, hit_end - _BEFORE), min(len(text), hit_end + _LONGEST))
    if match is None or not match.start() < hit_end <= match.end() or _NO_TOKEN.match(match.group()) is not None:
        return None
    start = match.start()
    if is_digest(match.group()) or _DIGEST_SIGN.search(text, max(0, start - _LONGEST_NAME), start) is not None:
        return None
    return match.span() if _is_drawn(match["drawn"]) and not is_dummy(match.group()) else None


def _is_drawn(value: str) -> bool:
    if is_hex(value) or sum(map(str.isdigit, value)) < _LEAST_DIGITS:
        return False
    cases = min(sum(map(str.isupper, value)), sum(map(str.islower, value)))
    return digit_changes(value) >= _LEAST_CHANGES and (cases >= _OF_TWO_CASES or len(value) >= _ONE_CASE)
