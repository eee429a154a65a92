"""What is known of one request that a shadow was asked about too."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.domain.caller import Caller
from gateway.domain.request import ModelRequest

Result = Literal["win", "loss", "tie", "unreadable", "unjudged", "failed"]
"""Of the shadow's answer: better, worse or as good; a verdict that was none; no verdict; no answer."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was answered, and its answer.

    Attributes:
        chance_id: what the sample is drawn by. An id of the gateway's own: callers may choose `x-request-id`.
        caller: who asked.
        request: as it was sent to who answered: after the checks and redactions of policy.
        routed_model: who answered.
        text: what the answer says, None where it has no text: it is then not judged.
        cost_microusd: what the answer cost, None where that is not known.
        elapsed_s: seconds until the answer was complete.
    """

    chance_id: str
    caller: Caller
    request: ModelRequest
    routed_model: str
    text: str | None
    cost_microusd: int | None
    elapsed_s: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a shadow did beside the model that answered; nothing of what was said.

    Attributes:
        routed_model: who answered the caller.
        shadow_cost_microusd, shadow_elapsed_s: of the shadow's answer, None where it failed.
        first_wins, decided: as in `Judgement`.
    """

    routed_model: str
    result: Result
    cost_microusd: int | None
    elapsed_s: float
    shadow_cost_microusd: int | None = None
    shadow_elapsed_s: float | None = None
    first_wins: int = 0
    decided: int = 0
