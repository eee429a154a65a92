"""Tells values that a machine drew from values that a person wrote."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from operator import add
from typing import Final

_PAIR_TEXT: Final = (
    "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi "
    "ri ro ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us ac ot il tr ly nc "
    "et ut ss so rs un lo wa ge ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai sh ir su id os iv "
    "ia am fi ci vi pl ig tu ev ld ry mp fe bl ab gh ty op wo sa ay ex ke fr oo av ag if ap gr od bo sp rd do "
    "uc bu ei ov by rm ep tt oc fa ef cu rn sc gi da yo cr cl du ga qu ue ff ba ey ls va um pp ua up lu go ht "
    "ru ug ds lt pi rc rr eg au ck ew mu br bi pt ak pu ui rg ib tl ki rk ys ob mm fu ph og ms ye ud mb ip ub "
    "oi rl gu dr hr cc tw ft nu af nn eo vo rv nf fl iz ok my gl aw ju oa ps nv kn gs ks ik"
)
# Two letters that stand beside each other often in English and in names of code. Of a word's pairs about four fifths
# are among them, of letters drawn evenly about a third.
_PAIRS: Final = frozenset(_PAIR_TEXT.split())
_COMMON_SHARE: Final = 0.55
"""Fewer common pairs than this are drawn letters. Words of documentation lie above .6, 16 drawn letters below .5."""

_MANY_PAIRS: Final = 9
_COMMON_SHARE_OF_FEW: Final = 0.45
"""Short words scatter more: `busybox` has every second pair among them."""

_LETTERS: Final = re.compile(r"[a-z]{2,}")
_DIGIT_LETTER: Final = re.compile(r"[0-9](?=[A-Za-z])|[A-Za-z](?=[0-9])")
_RUN: Final = re.compile(r"(.)\1{5,}")
_DUMMY: Final = re.compile(
    r"your|xxx|example|sample|placeholder|dummy|change.?me|replace|insert|redact|\.\.\.|\*\*\*|-here\b|_here\b|todo|"
    r"fake|foobar|lorem|1234567890$|^1234567|^(?:0?123456789|abcdefgh)|deadbeef|\bmy[-_]|goes[-_ ]?here|"
    r"environ|getenv|process\.env|<[a-z]|\{\{|\$\{|undefined|n/?a$|^none$|^null$|^true$|^false$",
    re.IGNORECASE,
)
_REPEAT_SHARE: Final = 0.34

_LONG_COUNT: Final = 10
"""Signs in a row that count up or down, as in a value typed by hand; drawn ones have four at most in a million."""


def entropy(value: str) -> float:
    """Return Shannon's entropy of the characters, bits a character."""
    total = len(value)
    return -sum(count / total * math.log2(count / total) for count in Counter(value).values()) if total else 0.0


def is_dummy(value: str) -> bool:
    """Whether a value stands for a secret that the reader is to fill in."""
    if _DUMMY.search(value) is not None or _RUN.search(value) is not None:
        return True
    return len(set(value)) <= max(3, min(len(value), 18) * _REPEAT_SHARE) or _is_counting(value)


def is_drawn(value: str) -> bool:
    """Whether a value looks drawn by a machine: digits between letters, or letters that form no words."""
    if digit_changes(value) >= 4:
        return True
    return has_drawn_letters(value, 9)


def has_drawn_letters(value: str, least: int) -> bool:
    """Whether the letters form no words; False with fewer than `least` pairs of letters."""
    pairs = common = 0
    for word in _LETTERS.findall(value.lower()):
        pairs += len(word) - 1
        common += sum(map(_PAIRS.__contains__, map(add, word, word[1:])))
    share = _COMMON_SHARE if pairs >= _MANY_PAIRS else _COMMON_SHARE_OF_FEW
    return pairs >= least and common < pairs * share


def digit_changes(value: str) -> int:
    """Return how often a digit stands beside a letter."""
    return len(_DIGIT_LETTER.findall(value))


def _is_counting(value: str) -> bool:
    """Whether half of a value, or a long run in it, goes on as the alphabet or as numbers do, or backwards."""
    lowered = value.lower()
    if _counts(lowered):
        return True
    return digit_changes(value) > 4 and _counts("".join(filter(str.isalpha, lowered)))


def _counts(lowered: str) -> bool:
    if len(lowered) <= 7:
        return False
    signs = lowered.encode("ascii", "replace")
    steps = bytes((second - first) & 255 for first, second in pairwise(signs))
    return any(steps.count(step) * 2 > len(steps) or step * (_LONG_COUNT - 1) in steps for step in (b"\x01", b"\xff"))
