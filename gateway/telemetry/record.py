"""What is told of one request, as it is logged and counted."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.usage import Usage
from gateway.telemetry.digest import Digest


class Record(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One request, as it is logged and counted. It holds no prompt, no answer and no key."""

    at: float
    """Seconds since the epoch at which the request ended."""
    request_id: str
    route: str
    status: int
    team: str = ""
    key: str = ""
    requested_model: str = ""
    routed_model: str = ""
    answered_model: str = ""
    upstream: str = ""
    tier: str = ""
    stream: bool = False
    code: str = ""
    source: str = ""
    cache: str = ""
    attempts: int = 0
    usage: Usage | None = None
    cost_microusd: int | None = None
    duration_us: int = 0
    overhead_us: int = 0
    first_byte_us: int = 0
    retries: int = 0
    reason: str = ""
    """Why the router chose the tier."""
    kind: str = ""
    """Of task, where the prompt was scored."""
    score: float | None = None
    guard: dict[str, Any] | None = None
    """What the guard found, where it looked: `counts` by direction, detector and action with dots between them, and of
    the first findings, their rules, places and ranges. Never what was found."""
    prompt: Digest | None = None
    """Of the last message, where `telemetry.log.content` asks for it."""
