"""Finds what a text quotes to the letter: code, quotations, paths, flags, files, addresses, identifiers."""

from __future__ import annotations

import re
from typing import Final

_LITERAL: Final = re.compile(
    r"""`{1,3}([^`]{1,300})`{1,3}"""  # code
    r"""|["\u201c\u201d\u00ab]([^"\u201c\u201d\u00bb\n]{1,200})["\u201d\u201c\u00bb]"""  # double quotes of any kind
    r"""|(?<![\w'])[`'\u2018]([^'\u2019\n]{1,200})['\u2019](?!\w)"""  # single quotes, not an apostrophe
    r"""|(\b(?:https?|ftp|ssh)://[^\s<>"')\]]+)"""
    r"""|((?<![\w.+-])[\w.+-]{1,64}@[\w-]+\.[\w.-]*\w)"""
    r"""|((?<![\w/])(?:~|\.{1,2}|\$\w+)?/[\w.*?$~+/-]*[\w*?/]"""  # paths from a root
    r"""|(?<![\w/.*?$~+-])[\w.*?$~+-]+/(?:[\w.*?$~+-]+/)+[\w.*?-]*)"""  # and from here
    r"""|((?<![\w-])--?[A-Za-z][\w-]*(?=[\s=,.;)]|$))"""  # flags
    r"""|((?<!\w)\*?\.[A-Za-z]\w{0,5}\b"""  # suffixes
    r"""|(?<![\w-])[\w-]+\.(?!com\b|\d)[a-z]\w{0,4}\b(?!\.)|[\w*?]*\*[\w*?.]*)"""  # files and patterns
    r"""|(\$\{?\w+\}?|\b[A-Za-z]+(?:_[A-Za-z0-9]+)+\b|\b[a-z]+[A-Z]\w*\b|\b\w+\(\))""",  # variables, identifiers
)
_MARKS: Final = frozenset("`\"'\u201c\u201d\u00ab\u00bb\u2018\u2019/@*.$_(-")
_QUOTES: Final = str.maketrans("", "", "`\"'\u201c\u201d\u00ab\u00bb\u2018\u2019")


def literals(text: str) -> frozenset[str]:
    """Return what is quoted to the letter, without quotes, a leading `*` or `./` and a trailing slash."""
    if _MARKS.isdisjoint(text) and not _has_inner_capital(text):
        return frozenset()
    found = (_bare(match[match.lastindex or 0]) for match in _LITERAL.finditer(text))
    return frozenset(literal for literal in found if literal)


def flat(text: str) -> str:
    """Return a text in lower case, without quotes and with single spaces: literals are looked for in it."""
    return " ".join(text.lower().translate(_QUOTES).split())


def _bare(literal: str) -> str:
    literal = literal.strip(" \"'`").rstrip(".,;:!?")
    return literal.lstrip("*").removeprefix("./").rstrip("/") or literal


def _has_inner_capital(text: str) -> bool:
    return any(not part.islower() and not part[1:].islower() for part in text.split() if len(part) > 1)
