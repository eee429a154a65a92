"""The seams of the semantic cache: what a look-up gives, and where the answers themselves are kept."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that may be given.

    Attributes:
        entry_id: of the entry that answers.
        payload: the answer, as `Payloads.get` returned it.
        similarity: cosine of the two questions, -1 to 1.
        age_s: seconds since the answer was made, >= 0.
        answer: the digest of the answer that `SemanticCache.add` was given.
        scope, category: of the look-up.
        counted: the similarity less what doubts asked for on top of the threshold; what audits are counted by.
        pair: stands for the two questions; see `cache.semantic.barred`.
    """

    entry_id: int
    payload: Any
    similarity: float
    age_s: float
    answer: bytes
    scope: bytes
    category: str
    counted: float
    pair: bytes


class Missed(msgspec.Struct, frozen=True):
    """No answer may be given.

    Attributes:
        reason: a word for headers and metrics. Of prompts that likeness is never asked about, what `why_not` returns;
            of questions nothing stored resembles, `empty`, `unlike`, `far`, or `warming` while entries are still read;
            of near ones, the rule that refuses them, `barred`, `old`, or `gone` where the answer itself is no longer
            kept; of what went wrong, `late`, `embedder`, `payload`, `failed`, or `off`.
        similarity: cosine of the nearest stored question; -1 where none was compared.
        required: the cosine that was asked for; 1 where a rule refused or none was compared.
    """

    reason: str
    similarity: float = -1.0
    required: float = 1.0


class Payloads(Protocol):
    """Keeps the answers by the numbers of their entries, 0 to 2**63 - 1. What is not there any more is no hit."""

    async def get(self, entry_id: int, scope: bytes) -> Any | None:
        """Return an answer; None where it is not kept, expired, or was made for another scope."""

    async def delete(self, entry_id: int) -> object:
        """Forget an answer; one that is not there is no error."""
