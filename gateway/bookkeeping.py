"""What the usage ledger holds of a request: who consumed how much of what, and nothing of what was said."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from gateway.domain.usage import NO_USAGE, Usage
from gateway.exchange import Exchange
from gateway.upstreams.base import PlainReply
from policies.base import Hold
from policies.stores.holds.base import Expired
from policies.stores.ledgers.base import UsageRecord

_MOST_CHARACTERS: Final = 100
"""Of a model's name as the caller wrote it, and of an end user's."""


def record_answer(exchange: Exchange, hold: Hold) -> UsageRecord:
    """Return the record of an answer that is about to be settled; positional, as keywords cost a microsecond more."""
    caller, request, decision = exchange.caller, exchange.request, exchange.decision
    assert caller is not None  # noqa: S101  nothing is held for strangers
    cost = exchange.cost_microusd or 0
    held = hold.demand.microusd
    return UsageRecord(
        exchange.hold_id,
        exchange.request_id,
        exchange.reserved_at,
        caller.organisation,
        caller.team,
        caller.key,
        (exchange.user or "")[:_MOST_CHARACTERS],
        exchange.route,
        request.model[:_MOST_CHARACTERS] if request else "",
        exchange.routed_model,
        getattr(exchange.reply, "answered_model", ""),
        exchange.upstream,
        (decision.tier or "none") if decision else "",
        "" if decision is None else exchange.cached,
        exchange.status or _status(exchange),
        exchange.usage,
        cost,
        exchange.cost_microusd is not None,
        held,
        max(0, cost - held) if exchange.policy is not None and exchange.policy.counts_money else 0,
    )


def _status(exchange: Exchange) -> int:
    """Return the status of an answer that has not been sent yet."""
    return HTTPStatus.OK if exchange.reply is not None else exchange.error.status if exchange.error else 0


def record_aside(exchange: Exchange, model: str, reply: PlainReply, at: float, cost: int | None) -> UsageRecord:
    """Return the record of an answer that nobody waits for.

    Args:
        exchange: of the call.
        model: that was asked.
        reply: its answer.
        at: when it was asked, seconds since the epoch.
        cost: in micro-dollars, None where the price is not known.
    """
    return UsageRecord(
        id=exchange.hold_id,
        request_id=exchange.request_id,
        at=at,
        organisation="",
        team="",
        key="",
        user="",
        route="shadow",
        requested_model=model,
        routed_model=model,
        answered_model=reply.answered_model,
        upstream=exchange.upstream,
        tier="",
        cache="",
        status=HTTPStatus.OK,
        usage=reply.usage,
        cost_microusd=cost or 0,
        is_priced=cost is not None,
        held_microusd=0,
        under_reserved_microusd=0,
        kind="shadow",
    )


def record_expired(expired: Expired, organisation: str, now: float) -> UsageRecord:
    """Return the record of a hold that ended by its lease. Who held it is not known here: its process was killed."""
    demand = expired.demand
    usage = NO_USAGE
    if expired.charged:
        usage = Usage(input_tokens=demand.input_tokens, output_tokens=demand.output_tokens, provenance="estimated")
    return UsageRecord(
        id=expired.hold_id,
        request_id=expired.hold_id,
        at=now,
        organisation=organisation,
        team="",
        key="",
        user="",
        route="",
        requested_model="",
        routed_model="",
        answered_model="",
        upstream="",
        tier="",
        cache="",
        status=0,
        usage=usage,
        cost_microusd=demand.microusd if expired.charged else 0,
        is_priced=True,
        held_microusd=demand.microusd,
        under_reserved_microusd=0,
        kind="expired",
    )
