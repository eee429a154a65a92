"""What parts of the gateway tell of themselves when `/metrics` is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from gateway.caching.stage import CacheStage
from gateway.domain.money import PER_MILLION
from gateway.flights.idempotency import Idempotency
from gateway.state.base import State
from gateway.telemetry import Metric, counter, gauge
from gateway.upstreams.base import Upstream
from policies.effective import window_name
from policies.governor import Governor
from policies.meters import Standing
from policies.rollout import Rollout
from router.learned import Learned
from router.tiers import Router

if TYPE_CHECKING:
    from gateway.caching.likeness import Likeness

_BREAKER: Final = {"closed": 0.0, "half_open": 1.0, "open": 2.0}


def upstream_gauges(upstreams: Mapping[str, Upstream]) -> Iterator[Metric]:
    """Yield calls made and bytes moved, by upstream."""
    moved = {name: upstream.counters() for name, upstream in upstreams.items()}
    for key, text in (
        ("calls", "Calls made to an upstream."),
        ("sent_bytes", "Body bytes sent to an upstream."),
        ("received_bytes", "Body bytes received from an upstream."),
    ):
        values = {name: float(counters[key]) for name, counters in moved.items()}
        yield counter(f"tierway_upstream_{key}", text, "upstream", values)


def state_gauges(state: State) -> Iterator[Metric]:
    """Yield what the stores could not keep."""
    lost = {"responses": float(state.stored.failed)}
    yield counter("tierway_stored_failures", "Records that could not be kept for later calls.", "kind", lost)
    if state.ledger is not None:
        records = {"kept": float(state.ledger.written), "lost": float(state.ledger.failed)}
        yield counter("tierway_ledger_records", "Records of usage, by what became of them.", "result", records)


def cache_gauges(stage: CacheStage) -> Iterator[Metric]:
    """Yield what became of answers that might be given again; nothing where no cache is on."""
    cache, keeper = stage.cache, stage.keeper
    if cache is None or keeper is None:
        return
    yield gauge(
        "tierway_cache_bytes", "What the answers take that are kept.", "part", {"answers": float(cache.kept_bytes)}
    )
    events = {event: float(count) for event, count in cache.counters().items()}
    yield counter("tierway_cache_events", "What happened to answers that are kept.", "event", events)
    unkept = {reason: float(count) for reason, count in keeper.unkept.items()}
    yield counter("tierway_cache_unkept", "Answers that were not kept, by reason.", "reason", unkept)
    saved = {"cache": stage.saved_usd}
    yield counter("tierway_cache_saved_usd", "What the answers had cost that were given again.", "part", saved)
    if stage.likeness is not None:
        yield from likeness_gauges(stage.likeness)


def likeness_gauges(likeness: Likeness) -> Iterator[Metric]:
    """Yield what became of look-ups by meaning, and how many hits are wrong as far as audits tell."""
    yield from likeness.audits.gauges()
    cache = likeness.cache
    if cache is None:
        return
    looked_up = {reason: float(count) for reason, count in (cache.counts + likeness.unlike).items()}
    yield counter("tierway_semantic_lookups", "Look-ups by meaning, by what came of them.", "result", looked_up)
    refused = {rule: float(count) for rule, count in cache.verifier.refusals.items()}
    yield counter("tierway_semantic_refusals", "Near questions that a rule told apart.", "rule", refused)
    added = {"added": float(cache.added), "not_added": float(cache.not_added)}
    yield counter("tierway_semantic_added", "Answers that other questions may find.", "result", added)
    held = {"entries": float(len(cache.entries)), "bytes": float(cache.entries.size)}
    yield gauge("tierway_semantic_index", "What the index of questions holds in memory.", "unit", held)
    if likeness.keeper is None:
        return
    told = likeness.keeper.measured()
    text = "Share of requests answered from a wrong entry: as audited, its bound (confidence 0.95), and the budget."
    shares = {"rate": told.rate, "bound": told.bound, "budget": likeness.error_budget}
    yield gauge("tierway_semantic_false_hits", text, "kind", shares)
    audited = {"audited": float(told.audits), "wrong": float(told.wrong)}
    yield gauge("tierway_semantic_audited_hits", "Audits that the share of wrong hits is told from.", "result", audited)


def once_gauges(once: Idempotency) -> Iterator[Metric]:
    """Yield what became of requests with an idempotency key that were sent again."""
    values = {"replayed": float(once.replayed), "lost": float(once.store.lost)}
    yield counter("tierway_idempotency", "Answers given again by their key, and answers not kept.", "result", values)


def budget_gauges(standings: Sequence[Standing], forecasts: Mapping[str, float], most: int) -> Iterator[Metric]:
    """Yield how the budgets of the organisation and its teams stand; those of keys would be too many series.

    Args:
        standings: of all budgets.
        forecasts: seconds until a budget is empty, by its key.
        most: how many are shown.
    """
    shown = [one for one in standings if not one.meter.key.startswith("key:")][:most]
    for name, text, amount in (
        ("tierway_budget_limit_usd", "What a budget of the organisation or a team allows.", "cap"),
        ("tierway_budget_remaining_usd", "What is left of it, holds counted as spent.", "remaining"),
    ):
        values = {
            (one.meter.key.partition("|")[0], window_name(one.meter.window)): getattr(one, amount) / PER_MILLION
            for one in shown
        }
        yield gauge(name, text, ("level", "window"), values)
    seconds = {one.meter.key: forecasts[one.meter.key] for one in shown if one.meter.key in forecasts}
    text = "Seconds until a budget of the organisation or a team is empty at the rate of now."
    yield gauge("tierway_budget_exhausted_in_seconds", text, "budget", seconds)


def hold_gauges(governor: Governor) -> Iterator[Metric]:
    """Yield what is held, who waits, and who was refused."""
    room = governor.waiting
    yield gauge("tierway_queue_length", "Requests that wait for a limit.", "state", {"waiting": float(room.length)})
    ended = {"admitted": float(room.admitted), "gave_up": float(room.gave_up), "refused": float(room.refused)}
    yield counter("tierway_queue_ended", "Requests that waited for a limit, by what came of it.", "result", ended)
    refused = {pair: float(count) for pair, count in governor.refused.items()}
    yield counter("tierway_limit_refusals", "Requests refused by a limit.", ("level", "unit"), refused)
    yield gauge("tierway_holds", "Holds of this process that are open.", "state", {"open": float(governor.in_flight)})
    happened = {
        "under_reserved": float(governor.under_reserved),
        "expired": float(governor.expired),
        "degraded": float(governor.degraded),
    }
    yield counter("tierway_hold_events", "What became of holds besides being settled.", "event", happened)
    usd = {
        "under_reserved": governor.under_reserved_microusd / PER_MILLION,
        "expired": governor.expired_microusd / PER_MILLION,
    }
    yield counter("tierway_hold_usd", "US dollars above what was held, and charged for expired holds.", "event", usd)


def router_gauges(router: Router, learned: Learned) -> Iterator[Metric]:
    """Yield how models fare, which extra calls were made, and where the thresholds between tiers stand."""
    states = learned.health.states()
    text = "Breakers of a model by class of fault: 0 closed, 1 half-open, 2 open."
    values = {(one.deployment, one.fault): _BREAKER[one.state] for one in states if one.opened or one.locked_out}
    yield gauge("tierway_breaker_state", text, ("model", "fault"), values)
    opened = {(one.deployment, one.fault): float(one.opened) for one in states if one.opened}
    yield counter("tierway_breaker_opened", "How often a breaker opened for everybody.", ("model", "fault"), opened)
    text = "How often a breaker opened for one caller, whose requests alone had failed."
    alone = {(one.deployment, one.fault): float(one.opened_for_one) for one in states if one.opened_for_one}
    yield counter("tierway_breaker_opened_for_one", text, ("model", "fault"), alone)
    for name, text, allowance in (
        ("tierway_router_retries", "Calls to a model that had been asked before.", learned.retries),
        ("tierway_router_hedges", "Second calls beside a slow one.", learned.hedges),
    ):
        made = {"made": float(allowance.taken), "denied": float(allowance.denied)}
        yield counter(name, text, "result", made)
    text = "What the router did besides asking the first candidate."
    yield counter("tierway_router_events", text, "event", {name: float(n) for name, n in learned.events.items()})
    names = [name for candidates in router.settings.tiers.values() for name in candidates]
    room = {name: learned.mirror.headroom(name) for name in names}
    yield gauge("tierway_upstream_headroom", "The share that is left of a provider's tightest limit.", "model", room)
    if learned.traffic.is_used:
        thresholds = learned.traffic.calibrator.thresholds()
        below = {"simple": thresholds.simple_below, "medium": thresholds.medium_below}
        yield gauge("tierway_router_threshold", "Scores below these are for a tier.", "tier", below)


def rollout_gauges(rollout: Rollout) -> Iterator[Metric]:
    """Yield where the last edit of the organisation stands."""
    denied = {limit: float(count) for limit, count in rollout.tally.by_limit.items()}
    yield counter("tierway_staging_would_deny", "Requests that rules on trial would have denied.", "limit", denied)
    text = "Where the last edit of the organisation stands."
    yield gauge("tierway_staging_phase", text, "phase", {rollout.phase: 1.0})
    undone = {"policy": float(rollout.rolled_back)}
    yield counter("tierway_rollbacks", "Edits that were taken back, as they denied too much.", "part", undone)
