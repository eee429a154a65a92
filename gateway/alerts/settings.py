"""What the settings file says about alerts."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from gateway.domain.secret import Secret

_Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
_Positive = Annotated[float, msgspec.Meta(gt=0)]


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When operators are told, and where. A threshold of `null` turns its alert off."""

    webhook: Secret | None = None
    """The http or https address that changes of alerts are posted to, as JSON that Slack understands. It is a secret,
    usually `${NAME}`: only its host is ever shown. Absent: alerts are in the log, `/admin/alerts` and `/metrics`."""
    timeout_rate: _Share | None = 0.05
    """The share of requests that end in a timeout, upstream's or the caller's own deadline."""
    cost_per_workflow_usd: _Positive | None = 0.50
    """US dollars that a request costs on average, over those that were answered and whose price is known."""
    error_rate: _Share | None = 0.10
    """The share of requests that fail here or upstream. Requests that are refused, and callers that leave, are none."""
    p95_latency_s: _Positive | None = 15.0
    """Seconds, from head to last byte, that 95 of 100 requests stay within."""
    window_s: Annotated[int, msgspec.Meta(ge=30, le=1800)] = 300
    """Seconds that a rate, an average or a percentile is taken over."""
    min_count: Annotated[int, msgspec.Meta(ge=1)] = 20
    """Requests in the window below which no alert begins: one failure of two says little."""
    for_s: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    """Seconds for which a threshold must be passed before its alert fires, and kept before it is resolved."""
    resolve_at: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.8
    """The part of its threshold that a value must come down to before its alert is resolved, so that one that stays
    close to it does not fire again and again."""
    forecast_within_s: _Positive | None = 21_600.0
    """Tell of a budget that will be empty within these seconds at the rate it is being spent, and before its window
    ends. Six hours leave a working day's time to act."""

    def __post_init__(self) -> None:
        if self.webhook is not None and not _is_address(self.webhook.reveal()):
            raise ValueError("'webhook' must be an absolute http or https address without a user name in it")


def _is_address(text: str) -> bool:
    if not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and "@" not in url.netloc
    except ValueError:
        return False
