"""What the settings file says about the cache."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cache.embedders.artefact import DEFAULT_NAME
from cache.embedders.settings import RemoteEmbedder

Sharing = Annotated[str, msgspec.Meta(pattern=r"^(user|key|team|org|shared:[A-Za-z0-9_.-]{1,64})(?!\n)$")]
"""Who shares answers; see `cache.scope`."""

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class EmbeddingUpstream(RemoteEmbedder, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=False):
    """An embedding model that is asked over HTTP."""

    upstream: str
    """The entry of `upstreams` that serves it, of kind `openai`."""
    dimension: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Length of its vectors; 0: as the first answer has it. Answers of another length are refused."""


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which answers are kept, for whom, and for how long."""

    exact: bool = False
    """Answer a request that is equal to an earlier one, field by field, with the earlier answer, plain or streamed."""
    semantic: bool | Literal["auto"] = "auto"
    """Answer a question also with the answer of one that means the same, where all else is equal. `auto`: where `exact`
    is on, the semantic extra is installed and the embedder's model is there; true: refuse to start otherwise."""
    error_budget: Annotated[float, msgspec.Meta(gt=0, le=0.2)] = 0.01
    """Share of requests that may be answered from the entry of another question, 0.01 for one in a hundred. Thresholds
    follow from it, and from what audits and reports say."""
    embedder: str | EmbeddingUpstream = DEFAULT_NAME
    """What turns questions into vectors: the name of a model that `make setup-semantic` wrote, the path of its folder,
    or `{upstream: ..., model: ...}` for a server."""
    audit_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01
    """Share of the hits by meaning that are also asked upstream, once the caller has its answer, to see whether the
    stored answer says the same."""
    audit_judge: str | None = None
    """The model that is asked whether two answers say the same where their words leave it open. Absent: they are held
    to differ."""
    audit_usd_per_day: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """US dollars that audits may cost in a day (UTC), counted in each process."""
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
