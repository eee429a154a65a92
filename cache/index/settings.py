"""What the settings say about indexes."""

from __future__ import annotations

from typing import Annotated

import msgspec


class IndexSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much is kept to search in, and how."""

    max_mb: Annotated[int, msgspec.Meta(ge=1)] = 128
    """Megabytes over all scopes: about 150,000 entries of 384 dimensions in large scopes. Beyond it the scope that was
    not used for longest goes."""
    exact_up_to: Annotated[int, msgspec.Meta(ge=1)] = 8192
    """Entries of a scope up to which each is compared with, in 0.45 ms at most; a graph takes 0.1 to 0.25 ms and finds
    nearly all."""
    stale_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """Removed entries, as a share of those kept, after which a scope's graph is built anew on a thread."""
