"""How long requests wait for one another, and how much is kept for them."""

from __future__ import annotations

from typing import Annotated

import msgspec

Positive = Annotated[float, msgspec.Meta(gt=0)]
Megabytes = Annotated[float, msgspec.Meta(gt=0, le=1024)]


class FlightSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How requests share a call that is under way."""

    limit_s: Positive = 60.0
    """Seconds that a request waits for another one's answer to begin, and that a call whose caller has left goes on for
    those who listen. As long as an upstream may be silent: a call that takes longer is likely to fail."""

    elsewhere_s: Positive = 30.0
    """Seconds that a replica waits for an answer another replica makes, which it sees only once that is whole. Half of
    `limit_s`, so that those who wait here still share the call this replica then makes."""

    lease_s: Positive = 10.0
    """Seconds after which the key of a replica that died is free. It is renewed three times as often, so two lost
    renewals are survived."""

    stream_mb: Megabytes = 4.0
    """Megabytes that are kept of a stream for those who join it: some twenty thousand chunks, which is more than most
    models generate."""

    all_streams_mb: Megabytes = 64.0
    """Megabytes that are kept of all streams together; beyond it those that nobody has joined are kept no longer."""


class IdempotencySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long an answer belongs to its idempotency key."""

    ttl_s: Positive = 86_400.0
    """Seconds that an answer is kept: a day, as Stripe keeps them (docs.stripe.com/api/idempotent_requests)."""

    lease_s: Positive = 15.0
    """Seconds after which the key of a replica that died while it answered is free. It is renewed three times as
    often."""

    record_mb: Megabytes = 4.0
    """Megabytes of the longest answer that is kept, as long as the longest stream that is shared."""

    memory_mb: Megabytes = 64.0
    """Megabytes of all answers together where they are kept in this process's memory; the oldest go first."""
