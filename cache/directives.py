"""`x-tierway-cache-control`: what one request, or a policy, says about the cache; and how long an answer lives.

The words are those of HTTP's `Cache-Control` in requests (RFC 9111 section 5.2.1), of which these four make sense here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from cache.settings import CacheSettings
from gateway.domain.errors import InvalidRequestError

HEADER: Final = b"x-tierway-cache-control"

_MOST_BYTES: Final = 256
_MOST_DIGITS: Final = 9
"""Of an age; longer ones are longer than 31 years."""


class Directives(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed.

    Attributes:
        no_cache: do not answer from the cache; the answer may be kept.
        no_store: keep nothing of the answer; one that is there already may be given.
        max_age_s: seconds, the oldest answer that may be given.
        only_if_cached: answer from the cache or not at all.
    """

    no_cache: bool = False
    no_store: bool = False
    max_age_s: float = math.inf
    only_if_cached: bool = False

    def with_those_of(self, policy: Directives) -> Directives:
        """Return what both this and a policy allow.

        Raises:
            InvalidRequestError: nothing would: an answer from the cache only, and never one from the cache.
        """
        if policy is NO_DIRECTIVES or policy == self:
            return self
        both = Directives(
            no_cache=self.no_cache or policy.no_cache,
            no_store=self.no_store or policy.no_store,
            max_age_s=min(self.max_age_s, policy.max_age_s),
            only_if_cached=self.only_if_cached or policy.only_if_cached,
        )
        _refuse_contradiction(both)
        return both


NO_DIRECTIVES: Final = Directives()


def directives_of(headers: Mapping[bytes, bytes]) -> Directives:
    """Return what a request says, `NO_DIRECTIVES` where it says nothing.

    Args:
        headers: names in lower case.

    Raises:
        InvalidRequestError: see `read_directives`.
    """
    sent = headers.get(HEADER)
    return NO_DIRECTIVES if sent is None else read_directives(sent)


@lru_cache(256)
def read_directives(sent: bytes) -> Directives:
    """Read a list such as `max-age=60, no-store`; case and space do not matter.

    Raises:
        InvalidRequestError: it holds a word that is not known here, twice the same word, an age that is no whole number
            of seconds, or two words that contradict each other.
    """
    if len(sent) > _MOST_BYTES:
        raise _unreadable("it is too long")
    told: dict[str, float] = {}
    for word in sent.decode("latin-1").lower().split(","):
        name, equals, value = (part.strip() for part in word.partition("="))
        if not name and not equals:
            continue
        if name in told:
            raise _unreadable(f"'{name}' stands there twice")
        told[name] = _value(name, value, has_value=bool(equals))
    directives = Directives(
        no_cache="no-cache" in told,
        no_store="no-store" in told,
        max_age_s=told.get("max-age", math.inf),
        only_if_cached="only-if-cached" in told,
    )
    _refuse_contradiction(directives)
    return directives


def lifetime_s(settings: CacheSettings, key: bytes, model: str, operation: str) -> float:
    """Return how long the answer of a key lives, seconds: what the settings say, less a share that the key picks.

    The same key lives equally long on every replica.

    Args:
        settings: of the cache.
        key: 16 bytes or more.
        model: as requested.
        operation: `chat`, `responses` and so on.
    """
    ttl_s = settings.ttl_s
    if settings.ttl_of:
        ttl_s = settings.ttl_of.get(model) or settings.ttl_of.get(operation) or ttl_s
    drawn = int.from_bytes(key[-8:], "big") / 2**64
    return ttl_s * (1.0 - settings.ttl_jitter * drawn)


def _value(name: str, value: str, *, has_value: bool) -> float:
    if name == "max-age":
        if not value.isascii() or not value.isdigit() or len(value) > _MOST_DIGITS:
            raise _unreadable("'max-age' needs a whole number of seconds, such as max-age=60")
        return float(value)
    if name not in ("no-cache", "no-store", "only-if-cached"):
        shown = "".join(letter if " " < letter <= "~" else "?" for letter in name[:40])
        raise _unreadable(f"'{shown}' is none of no-cache, no-store, max-age=SECONDS and only-if-cached")
    if has_value:
        raise _unreadable(f"'{name}' takes no value")
    return 1.0


def _refuse_contradiction(directives: Directives) -> None:
    if directives.only_if_cached and directives.no_cache:
        raise _unreadable("'only-if-cached' and 'no-cache' together leave no answer")


def _unreadable(why: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"The header 'x-tierway-cache-control' cannot be read: {why}.",
        code="invalid_cache_control",
        param="x-tierway-cache-control",
    )
