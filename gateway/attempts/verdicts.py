"""What may be done after a call that brought no answer."""

from __future__ import annotations

import re
from typing import Final

from gateway.domain.errors import (
    GatewayError,
    InvalidRequestError,
    UpstreamError,
    UpstreamRefusedError,
    UpstreamTimeoutError,
)

_OF_OUR_ACCOUNT: Final = frozenset({401, 402, 403})
"""Statuses about the gateway's own credential and credit at a provider, which no caller can mend."""

_USED_UP: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "credit_balance_too_low"})
"""Codes of a 429 that waiting does not help against."""

_TOO_LONG_CODES: Final = frozenset({"context_length_exceeded", "string_above_max_length"})
_TOO_LONG: Final = re.compile(
    r"prompt is too long|maximum context length|context window|input is too long", re.IGNORECASE
)
"""How servers without a code for it say that a prompt does not fit (Anthropic, vLLM, Bedrock; 2026-11)."""

_FILTERED_CODES: Final = frozenset(
    {"content_filter", "content_policy_violation", "responsible_ai_policy_violation", "moderation_blocked"}
)


def may_ask_another(error: GatewayError) -> bool:
    """Tell whether another model may answer what this one did not."""
    if isinstance(error, InvalidRequestError):  # the model's upstream has no words for the request
        return True
    if not isinstance(error, UpstreamError):
        return False
    return error.retryable or (isinstance(error, UpstreamRefusedError) and _is_ours(error))


def may_ask_again(error: GatewayError) -> bool:
    """Tell whether the same model may answer when it is asked once more: soon, and at no more than another call costs.

    One that was silent for as long as it may be is not: its caller has waited long enough, and it bills the prompt.
    """
    if not isinstance(error, UpstreamError) or not error.retryable or isinstance(error, UpstreamTimeoutError):
        return False
    if not isinstance(error, UpstreamRefusedError):
        return True
    return error.code not in _USED_UP and (b"x-should-retry", b"false") not in error.headers


def is_too_long(error: GatewayError) -> bool:
    """Tell whether a provider refused a prompt because it is longer than its model reads."""
    if not isinstance(error, UpstreamRefusedError) or error.status not in (400, 413, 422):
        return False
    return error.code in _TOO_LONG_CODES or (error.code is None and _TOO_LONG.search(error.message) is not None)


def is_filtered(error: GatewayError) -> bool:
    """Tell whether a provider refused a prompt for its content."""
    return isinstance(error, UpstreamRefusedError) and error.code in _FILTERED_CODES


def _is_ours(error: UpstreamRefusedError) -> bool:
    return error.status in _OF_OUR_ACCOUNT or (error.status == 404 and error.code == "model_not_found")
