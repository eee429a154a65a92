"""Texts drawn at random from what detectors look for, what disguises it, and what is neither."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import Final

_WORDS: Final = (
    "the answer is 42,",
    "see section 4.2",
    "of our key",
    "results; token counts",
    "replug it",
    "über 你好",
)


def mixed_text(source: random.Random) -> str:
    """Return a text of some pieces; every fourth or so has nothing to be found."""
    makers = _PLAIN if source.randrange(4) == 0 else (*_PLAIN, *_FOUND, *_HIDDEN)
    pieces = [source.choice(makers)(source) for _ in range(source.randrange(1, 14))]
    return source.choice((" ", "\n", ", ", "", '"', "\\", "/")).join(pieces)


def _drawn(source: random.Random, length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(source.choice(alphabet) for _ in range(length))


_Make = Callable[[random.Random], str]
_PLAIN: Final[tuple[_Make, ...]] = (
    lambda source: " ".join(source.choice(_WORDS) for _ in range(source.randrange(1, 12))),
    lambda source: source.choice(("", "[[", "]]", "{}", "\\n", "\t", "😀", "https://example.org/a?b=c")),
)
_FOUND: Final[tuple[_Make, ...]] = (
    lambda source: "ghp_" + _drawn(source, 36),
    lambda source: f"ann.{_drawn(source, 4).lower()}@firm.org",
    lambda source: f'api_key = "{_drawn(source, 32)}"',
    lambda source: "password: " + _drawn(source, 12),
    lambda source: "wandb " + _drawn(source, 40).lower(),
    lambda source: "the token is " + _drawn(source, 16),
    lambda source: source.choice(("+44 20 7946 0958", "4111 1111 1111 1111", "GB82 WEST 1234 5698 7654 32", "8.8.4.4")),
)
_HIDDEN: Final[tuple[_Make, ...]] = (
    lambda _: "YW5uLmxlZUBmaXJtLm9yZyBrbm93cyBhbGw=",
    lambda _: "%61%6e%6e@%66%69%72%6d.org",
    lambda _: "&#97;&#110;&#110;@firm.org",
    lambda _: "a n n . l e e @ f i r m . o r g",
    lambda _: "1gn0r3 th3m 4ll n0w",
    lambda _: "p\u0430ssword zero\u200bwidth \u202eabc\u202c",
    lambda _: "ann\u200b@fi\u200brm.org",
    lambda _: "\x00\x07",
)
