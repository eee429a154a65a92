# ruff: noqa: RUF001  signs and letters that look like others are meant
"""Cuts from a text what it says about how it should be answered, rather than about what is asked.

"This is very complex, use the best model" says nothing about the task it stands beside. Clauses that speak of models,
tiers and routing, or call the request hard, urgent or trivial, are left out of what is scored, and so are words of
politeness. The text that goes upstream is untouched.
"""

from __future__ import annotations

import re
from typing import Final

from router.scoring.pleas import POLITE, POLITENESS, TRIGGERS, is_plea

_BREAKS: Final = re.compile(r"((?:[.!?;:,](?=[\s\"'*_)\]])|[\n()\[\]—–…。！？，；：、]|\s-+(?=\s))[\s\"'*_)\]]*)")
_MOST_CLAUSES: Final = 64
"""How many clauses that might be pleas are looked at: a text of more of them is about the matter."""

_AROUND: Final = " \t\r\"'*_#>.!-~"


def without_politeness(text: str) -> str:
    """Return a text, already in lower case, without words of politeness; as it came where it is nothing else."""
    if not any(word in text for word in POLITENESS):
        return text
    return _unless_blank(POLITE.sub("", text), text)


def strip(text: str) -> str:
    """Return a text, already in lower case, without its pleas and politeness; as it came where it is nothing else."""
    found = without_politeness(text)
    said = [trigger for trigger in TRIGGERS if trigger in found]
    return _unless_blank(_without_pleas(found, said), text) if said else found


def _unless_blank(found: str, text: str) -> str:
    return found if found and not found.isspace() else text


def _without_pleas(text: str, triggers: list[str]) -> str:
    pieces = _BREAKS.split(text)
    kept: list[str] = []
    was_plea = False
    left = _MOST_CLAUSES
    for start in range(0, len(pieces), 2):
        clause = pieces[start]
        may_be = left > 0 and (was_plea or any(trigger in clause for trigger in triggers))
        was_plea = may_be and is_plea(clause.strip(_AROUND))
        left -= may_be
        if not was_plea:
            kept += pieces[start : start + 2]
    return "".join(kept)
