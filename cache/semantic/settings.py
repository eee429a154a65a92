"""What the settings say about the semantic cache."""

from __future__ import annotations

from typing import Annotated

import msgspec


class SemanticSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a look-up may take, how much is kept, and how often hits are checked."""

    look_up_ms: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    """Milliseconds a question that may have a near one waits for its vector; past it the look-up is a miss. Ten times
    what the default embedder takes for 20 tokens."""
    background_ms: Annotated[float, msgspec.Meta(gt=0)] = 2000.0
    """Milliseconds the vector of a miss may take: nobody waits for it, the model is answering meanwhile."""
    max_mb: Annotated[int, msgspec.Meta(ge=1)] = 192
    """Megabytes over vectors and readings: about 150,000 questions of 20 words in one scope. Beyond it the scope that
    was not used for longest goes."""
    exact_up_to: Annotated[int, msgspec.Meta(ge=1)] = 8192
    """See `IndexSettings.exact_up_to`."""
    audit_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01
    """Share of hits that are also asked upstream, off the path, to see whether the stored answer was right."""
    keep_days: Annotated[float, msgspec.Meta(gt=0)] = 7.0
    """Days an entry is known at most, whatever its answer's time to live: what stands in the log for longer is cut."""
    barred: Annotated[int, msgspec.Meta(ge=1)] = 20_000
    """Pairs of questions remembered that must not share an answer, about 130 bytes each; the oldest go first."""
    served: Annotated[int, msgspec.Meta(ge=1)] = 5_000
    """Entries of which the last hits are remembered, so that a report tells which pair was wrong, about 1 kB each."""
