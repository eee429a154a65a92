"""Records of usage for tests."""

from __future__ import annotations

from itertools import count
from typing import Any

from gateway.domain.usage import Usage
from policies.stores.ledgers.base import UsageRecord

START = 1_800_000_000.0
"""A Friday, 08:00:00 UTC."""

_numbers = count()


def usage_record(**fields: Any) -> UsageRecord:
    """Return a record with an id of its own, fields that matter to a test replaced."""
    number = next(_numbers)
    plain: dict[str, Any] = {
        "id": f"hold-{number:06d}",
        "request_id": f"req-{number:06d}",
        "at": START,
        "organisation": "acme",
        "team": "search",
        "key": "ci",
        "user": "",
        "route": "chat",
        "requested_model": "auto",
        "routed_model": "small",
        "answered_model": "small-2026-01-31",
        "upstream": "openai",
        "tier": "simple",
        "cache": "miss",
        "status": 200,
        "usage": Usage(input_tokens=100, cached_tokens=10, output_tokens=20),
        "cost_microusd": 300,
        "is_priced": True,
        "held_microusd": 1000,
        "under_reserved_microusd": 0,
        "kind": "answer",
    }
    return UsageRecord(**(plain | fields))
