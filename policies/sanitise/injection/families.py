"""Phrase families: how notions follow one another in attacks of one sort, as patterns over the letters of notions.

A text's words are written as one letter each (`lexicon.WORDS`; a dot for all others), so a pattern holds in every
listed language. Patterns have bounded gaps only: the time is linear in the number of words.
"""

from __future__ import annotations

import re
from typing import Final

PATTERNS: Final[dict[str, tuple[str, str]]] = {
    "override": (
        "Of",
        "O.{0,3}[PAGYQ].{0,3}[IB]|O.{0,2}[IB].{0,4}[PYA]|O.{0,2}[PA][^I]{0,3}[PNDM]|[QO].{0,4}f.{0,5}[PYAIB]",
    ),
    "override_after": ("Of", "[PAY].{0,4}[IB].{0,4}O|[IB].{0,3}f.{0,3}[QO]"),
    "override_then": ("O", "O.{0,8}(?:[GN].{0,3}[VRCGIT]|V)"),
    "extraction": ("R", "R.{0,5}(?:Y.{0,2}|S.{0,1}|P.{0,2}|A.{0,3}[PYS].{0,2})I|R.{0,2}I.{0,4}[PY]"),
    "extraction_after": ("R", "[YSP].{0,2}I.{0,6}R"),
    "secret": ("K", "R.{0,5}[YSA].{0,2}K|[YS].{0,2}K.{0,4}R"),
    "role": ("CN", "N.{0,3}Y?.{0,4}C|Y.{0,4}N.{0,3}[CMSU]|C.{0,3}Y.{0,8}[QUB]"),
    "unbound": ("BZU", "[QU].{0,3}(?:[ZB].{0,3}){1,2}B|U.{0,4}[MB]|[MC].{0,4}U|Q.{0,4}[BZ].{0,6}[BZ]"),
    "no_refusal": ("F", "Q.{0,2}F.{0,6}|Q.{0,4}Q.{0,2}F|F.{0,6}Q.{0,3}[FVR]"),
    "marks": ("#", "#"),
    "encoded": ("E", "E.{0,6}(?:T|V|I)|[VRT].{0,6}E.{0,4}[IVK]"),
    "exfiltration": ("X", "X.{0,6}[DKIA].{0,8}L|[DKI].{0,8}X.{0,5}L|L.{0,6}[DK].{0,4}X|X.{0,3}[YA].{0,3}[DK]"),
    "new_rules": ("IB", "[GY].{0,2}[IB].{0,3}[GYN]|N.{0,6}[GB].{0,3}[IB]"),
    "addressed": ("MW", "[MW].{0,4}[IT].{0,4}[TROCX]|M.{0,3}(?:[OTRXC]|G.{0,3}I)"),
    "pretext": ("JS", "J.{0,3}(?:C|O).{0,6}|S.{0,2}[OJ]"),
    "two_voices": ("V", "V.{0,6}[GC].{0,6}V|V.{0,4}C"),
    "fiction": ("H", "H.{0,8}[MCU].{0,8}[QUBZ]"),
}
"""By a family's name: letters of which a phrase has at least one, and the pattern."""

NAMES: Final = tuple(PATTERNS)
_COMPILED: Final = tuple(
    (index, frozenset(needed.encode()), re.compile(pattern.encode(), re.DOTALL))
    for index, (needed, pattern) in enumerate(PATTERNS.values())
)


def found(notions: bytes) -> list[tuple[int, int, int]]:
    """Return for each phrase its family's index in `NAMES`, the first word and the word after its last."""
    letters = frozenset(notions)
    return [
        (family, match.start(), match.end())
        for family, needed, pattern in _COMPILED
        if not needed.isdisjoint(letters)
        for match in pattern.finditer(notions)
    ]
