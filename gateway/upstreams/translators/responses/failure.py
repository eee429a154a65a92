"""What an upstream says when it fails in the middle of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.domain.errors import UpstreamRefusedError
from gateway.upstreams.errors import in_band

_STATUSES: Final[Mapping[str | None, int]] = {
    "server_error": 500,
    "rate_limit_exceeded": 429,
    "vector_store_timeout": 504,
    "invalid_prompt": 400,
    "bio_policy": 400,
    "data_residency_mismatch": 400,
}
"""The status that stands for an error code of Responses; other codes are a fault of an image."""


def upstream_failure(error: Any) -> UpstreamRefusedError:
    """Return the error for an `error` member, with its words and code and the status that fits the code.

    Args:
        error: an error object of either shape, a string, or anything else.
    """
    fields = error if isinstance(error, dict) else {"message": error}
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    if isinstance(fields.get("code"), int) and 400 <= fields["code"] <= 599:
        texts["code"] = fields["code"]
    found = in_band(msgspec.Raw(msgspec.json.encode(texts)), None)
    status = _STATUSES.get(found.code, found.status if isinstance(found, UpstreamRefusedError) else 502)
    kind = found.type
    return UpstreamRefusedError(found.message, status=status, code=found.code, param=found.param, type_=kind)
