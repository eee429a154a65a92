"""What the settings file says about the cache."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Sharing = Annotated[str, msgspec.Meta(pattern=r"^(user|key|team|org|shared:[A-Za-z0-9_.-]{1,64})(?!\n)$")]
"""Who shares answers; see `cache.scope`."""

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which answers are kept, for whom, and for how long."""

    exact: bool = False
    """Answer a request that is equal to an earlier one, field by field, with the earlier answer, plain or streamed."""
    scope: Sharing = "team"
    """Who shares answers: `user` (one end user of one key), `key`, `team`, `shared:NAME` (whoever has the same name
    here) or `org`."""
    ttl_s: Seconds = 86400.0
    """Seconds an answer may be given again."""
    ttl_of: dict[str, Seconds] = {}
    """Other lives, in seconds, by requested model (`faq`, `auto/simple`) or by operation (`chat`, `responses`,
    `messages`, `completions`, `embeddings`); a model's comes before an operation's."""
    ttl_jitter: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.1
    """Share of its life by which an answer may live shorter, which one it is depends on its key: answers that were
    stored together do not have to be made anew together."""
    tool_calls: bool = True
    """Keep answers that call tools, whose results are the caller's to find out."""
    streaming: Literal["natural", "at_once"] = "natural"
    """How an answer is streamed again: word by word, as a model does, or in one piece, which costs less and which some
    clients show less smoothly. Neither waits between the pieces."""
    max_mb: Annotated[int, msgspec.Meta(ge=1)] = 512
    """Megabytes of answers kept in memory; the least recently used go first."""
