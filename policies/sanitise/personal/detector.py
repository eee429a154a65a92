"""Finds e-mail addresses, telephone numbers, cards, accounts, national ids, machines' addresses and wallets."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from policies.sanitise.finding import Finding
from policies.sanitise.passes.pattern import Pattern
from policies.sanitise.personal.banks import find_iban
from policies.sanitise.personal.cards import is_card
from policies.sanitise.personal.emails import find_email
from policies.sanitise.personal.national import LETTERED, find_lettered, find_numeric
from policies.sanitise.personal.networks import find_v4, find_v6
from policies.sanitise.personal.phones import REGIONS, is_phone, load_regions
from policies.sanitise.personal.wallets import find_ether, find_old, find_segwit

_Place = tuple[int, int]
_Find = Callable[[str, int], _Place | None]

_NUMBER: Final = re.compile(
    r"(?<![0-9A-Za-z_.@#=&/-])(?P<core>[+(]{0,2}\d(?:[ ().\-/]{0,3}+\d){6,23}+)(?P<extension> ?(?:x"
    r"|ext\.? ?)\d{1,6})?(?![0-9A-Za-z_@=%]|[.:/]\d)",
    re.IGNORECASE,
)
_BEFORE: Final = r"(?:^|[^0-9A-Za-z_.@#=&/-])"
_NUMBER_ANCHOR: Final = Pattern(_BEFORE + r"[+(]{0,2}[0-9](?:[ ().\-/]{0,3}[0-9]){6}", group="numbers")
_WINDOW_BEFORE: Final = 40
_WINDOW_AFTER: Final = 64


class PersonalRules:
    """The rules of personal data, for a pass that several detectors share.

    Args:
        regions: whose national telephone numbers are known, as ISO 3166 codes.
    """

    name = "personal"

    def __init__(self, regions: Sequence[str] = REGIONS) -> None:
        self._regions = regions
        load_regions(regions)
        self.patterns: list[Pattern] = [_NUMBER_ANCHOR]
        self._finders: list[tuple[str, float, _Find]] = []
        for rule, score, expression, find in _PLAIN:
            self.patterns.append(Pattern(expression, group="numbers" if find is find_old else "personal"))
            self._finders.append((rule, score, find))
        for each in LETTERED:
            self.patterns.append(Pattern(each.anchor, group="lettered"))
            self._finders.append((each.rule, 0.8, lambda text, end, each=each: find_lettered(each, text, end)))  # type: ignore[misc]

    def judge(self, text: str, index: int, end: int) -> Finding | None:
        """Return what a match of `patterns[index]` that ended at `end` amounts to."""
        if index == 0:
            return self._number(text, end)
        rule, score, find = self._finders[index - 1]
        place = find(text, end)
        return None if place is None else Finding(self.name, rule, *place, score)

    def _number(self, text: str, end: int) -> Finding | None:
        match = _number_at(text, end)
        if match is None:
            return None
        place = match.span("core")
        if match["core"].count(" / ") > 1:
            return None
        digits = "".join(filter(str.isdigit, match["core"]))
        if is_card(text, place, digits):
            return Finding(self.name, "card", *place, 0.9)
        if (rule := find_numeric(text, place, len(digits))) is not None:
            return Finding(self.name, rule, *place, 0.85)
        if is_phone(text, place, digits, self._regions):
            return Finding(self.name, "phone", *match.span(), 0.7)
        return None


def _number_at(text: str, end: int) -> re.Match[str] | None:
    """Return the number that covers where the anchor ended."""
    stop = min(len(text), end + _WINDOW_AFTER)
    match = _NUMBER.search(text, max(0, end - _WINDOW_BEFORE), stop)
    while match is not None and match.end("core") < end:
        match = _NUMBER.search(text, match.end(), stop)
    return match if match is not None and match.start() < end else None


def _mac(text: str, end: int) -> _Place | None:
    written = text[end - 17 : end]
    has_one_sign = len(set(written[2::3])) == 1 and len(set(written)) > 4
    return (
        (end - 17, end)
        if has_one_sign and text[end : end + 1] not in {":", "-"} and not text[end : end + 1].isalnum()
        else None
    )


_PLAIN: Final[tuple[tuple[str, float, str, _Find], ...]] = (
    ("email", 0.95, r"[0-9A-Za-z.!#$%&'*+/=?^_`{|}~-]@[0-9A-Za-z]", find_email),
    ("ip", 0.8, r"(?:^|[^0-9A-Za-z.])[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]", find_v4),
    ("ip", 0.8, r"[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]", find_v6),
    ("iban", 0.95, r"(?:^|[^0-9A-Za-z])[A-Za-z]{2}[0-9]{2}[ -]?[0-9A-Za-z]{4}[ -]?[0-9A-Za-z]", find_iban),
    (
        "mac",
        0.8,
        r"[0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-](?:[0-9A-Fa-f]{2}[:-]){3}[0-9A-Fa-f]{2}",
        _mac,
    ),
    ("wallet", 0.95, r"(?:^|[^0-9A-Za-z])(?:bc1|ltc1|tb1|BC1)[0-9A-Za-z]{11}", find_segwit),
    ("wallet", 0.85, r"0x[0-9a-fA-F]{40}", find_ether),
    ("wallet", 0.95, r"(?:^|[^0-9A-Za-z])[13TLDM][1-9A-HJ-NP-Za-km-z]{18}", find_old),
)
