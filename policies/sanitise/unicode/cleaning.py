"""Writes a text without the disguises that were found in it, where a policy asks for that."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from policies.sanitise.copies.mixtures import fold_mixtures
from policies.sanitise.finding import BY_PLACE, Finding
from policies.sanitise.steps import finish
from policies.sanitise.unicode.invisible import without_invisible

_REMOVED: Final = frozenset({"control", "zero_width", "tag", "variation_selector", "bidi", "piled_marks"})
_TURNED: Final = re.compile("[\u202d\u202e]([^\u202a-\u202e\n]*)\u202c?")
_GAP: Final = re.compile(r"( {2,})| ")
_STYLED: Final = re.compile("[\u2100-\u214f\u249c-\u24e9\U0001d400-\U0001d7ff\U0001f110-\U0001f169]+")
_WIDE: Final = re.compile("[\uff01-\uff5e]+")
_FOREIGN: Final = frozenset({"homoglyph", "turned_letters"})


def cleaned(text: str, findings: Iterable[Finding]) -> str:
    """Return the text without what was found: taken out, or written plainly.

    Invisible characters go, letters of other styles and scripts become Latin, and what an override turned round is
    turned back. Once a style was found, its single letters elsewhere go with it. Encoded texts and digits for letters
    stay: they can be read as they are. Without findings the text comes back unchanged.
    """
    found = sorted(findings, key=BY_PLACE)
    rules = {finding.rule for finding in found}
    result = _without(text, found)
    if "wide_letters" in rules:
        result = _WIDE.sub(_compatible, result)
    if rules & _FOREIGN or "styled_letters" in rules:
        result = _STYLED.sub(_compatible, result)
    if rules & _FOREIGN:
        result = finish(fold_mixtures(result))
    if "bidi_override" in rules:
        result = _TURNED.sub(lambda match: match[1][::-1], result).replace("\u202c", "")
    return result


def _without(text: str, findings: Iterable[Finding]) -> str:
    parts: list[str] = []
    position = 0
    for finding in findings:
        if finding.start < position or finding.rule not in _REMOVED | {"spaced_letters", "crowded"}:
            continue
        parts.append(text[position : finding.start])
        position = finding.end
        if finding.rule == "crowded":
            parts.append(without_invisible(text[finding.start : finding.end]))
        if finding.rule == "spaced_letters":
            parts.append(_GAP.sub(lambda gap: " " if gap[1] else "", text[finding.start : finding.end]))
    return "".join([*parts, text[position:]])


def _compatible(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match.group())
