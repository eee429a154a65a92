"""Takes JSON out of what models like to put around it."""

from __future__ import annotations

from typing import Final

_FENCE: Final = "```"
_BLANKS: Final = " \t\r\n\ufeff"


def unwrap(text: str) -> str | None:
    """Return what stands in a text's one Markdown fence (CommonMark 0.31, section 4.5), or the text without a BOM.

    A fence with words around it is left alone: they may say that what it holds is an example, or a guess.

    Returns:
        The inner text; None if there is nothing to take away, or another fence within.
    """
    inner = text.strip(_BLANKS)
    if inner.startswith(_FENCE) and inner.endswith(_FENCE) and len(inner) > 2 * len(_FENCE):
        inner = _without_language(inner[len(_FENCE) : -len(_FENCE)]).strip(_BLANKS)
        if inner.startswith("`") or inner.endswith("`"):
            return None
    return inner if inner and inner != text else None


def _without_language(fenced: str) -> str:
    """Drop the language of a fence: the rest of its first line, or the word `json` where all stands on one line."""
    first, newline, rest = fenced.partition("\n")
    if newline and first.strip().isalnum():
        return rest
    return fenced[4:] if fenced[:4].lower() == "json" else fenced
