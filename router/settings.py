"""What the settings file says about routing."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from gateway.domain.tier import TierName
from router.balancing.base import BalancerName
from router.health.settings import BreakerSettings

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Count = Annotated[int, msgspec.Meta(ge=1)]


def _roles() -> dict[str, TierName]:
    return {"orchestrator": "complex", "specialist": "medium", "formatter": "simple", "classifier": "simple"}


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the thresholds between tiers are set to reach: a mix of tiers, or a quality."""

    simple: _Share | None = None
    """The share of requests that `by_complexity` gives to the simple tier. Shares that stand beside each other are
    taken relative to their sum; one that is absent is what the others leave of 1."""
    medium: _Share | None = None
    """The share of the medium tier."""
    complex: _Share | None = None
    """The share of the complex tier."""
    quality: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    """In place of shares: the expected share of requests whose tier is good enough for them, by the scorer's own
    estimates and what callers report to `/v1/feedback`."""


class RetrySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asking a model again that has failed, before the first byte of an answer."""

    attempts: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2
    """Further calls a request may make to models it has already asked. Other candidates do not count."""
    budget: _Share = 0.1
    """The share of all requests that may be retries; a provider that is down is not asked twice by everybody."""


class HedgeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A second attempt beside one that is slow; the first byte wins, the other is cancelled, both are charged."""

    after: Literal["p95_ttft"] = "p95_ttft"
    """When: once the model has been silent for longer than 95 % of its answers took to begin."""
    allowance: _Share = 0.02
    """The share of all requests that may be attempted twice at once."""
    least_s: _Seconds = 0.1
    """Seconds that are always waited."""


class OutputSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers that must have a form: requests with `response_format`, or its like in other shapes."""

    check: bool = True
    """Check a plain answer against the JSON schema that its request names."""
    repairs: Annotated[int, msgspec.Meta(ge=0, le=1)] = 1
    """Calls that ask the same model to correct an answer that does not have the form, before another one is asked."""


class RouterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a request finds the models that may answer it."""

    strategy: Literal["by_complexity", "fixed", "cheapest_healthy"] = "by_complexity"
    """How `auto` picks a tier. `by_complexity`: the cheapest one that can answer, by a score of the prompt; `fixed`:
    always `default_tier`; `cheapest_healthy`: the tier whose cheapest model that works now costs least."""
    tiers: dict[TierName, tuple[str, ...]] = {}
    """The candidates of each tier in the order they are tried; names of `models`."""
    target: Target = Target(simple=0.5, medium=0.3, complex=0.2)
    """What `by_complexity` sets its thresholds to reach, on the traffic it sees."""
    default_tier: TierName = "complex"
    """The tier of `auto` when nothing else decides; an empty tier passes to the next one up, then down."""
    unknown_model: Literal["reject", "auto"] = "reject"
    """What a model name that is not configured gets: a 404, or the treatment of `auto`."""
    roles: dict[str, TierName] = msgspec.field(default_factory=_roles)
    """The tier of a request to `auto` that names its role in `X-Tierway-Role`, instead of a score."""
    sticky: bool = True
    """Keep the tier of a conversation unless it clearly hardens, or a cheaper one pays for the lost prompt cache."""
    balance: BalancerName | None = None
    """In which order the candidates of a tier are tried. `ordered`, the default: as listed; `weighted`: in shares of
    their `weight`; `least_busy`: fewest calls in flight first; `latency`: the faster of two, by recent times to the
    first byte; `cheapest`, the default of `cheapest_healthy`: by price; `affinity`: the same conversation to the same
    model, for its prompt cache."""
    next_tier: bool = True
    """Go on to the next tier up when no candidate of a tier can answer."""
    retries: RetrySettings = RetrySettings()
    """Asking a model again."""
    breaker: BreakerSettings | None = BreakerSettings()
    """When a model that fails is left alone for a while; null: never."""
    pacing_s: _Seconds = 5.0
    """Seconds a request may wait for the limits that a provider reports (`x-ratelimit-*`) where no other candidate
    has room, rather than be refused by the provider; 0: none."""
    hedge: HedgeSettings | None = None
    """A second attempt beside a slow one; null: none."""
    on_context_overflow: Literal["larger", "refuse"] = "larger"
    """What a provider's refusal of a prompt that is too long for a model gets: a candidate with a larger window, in
    this tier or the next, or to be passed on."""
    on_content_filter: Literal["next", "refuse"] = "refuse"
    """What a provider's refusal of a prompt's content gets: the next candidate, or to be passed on."""
    outputs: OutputSettings = OutputSettings()
    """Answers that must have a form."""
