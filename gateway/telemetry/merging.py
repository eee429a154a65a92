"""One set of metrics out of those of several workers, and of those that have ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

import msgspec
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest

from gateway.telemetry.counts import OTHER

OF_A_PROCESS: Final = ("process_", "python_gc_")
"""How the names of families begin that say something of one process: not added up, but given a label `worker`."""

SAME_EVERYWHERE: Final = frozenset(
    {
        "python_info",
        "tierway_alerts_firing",
        "tierway_breaker_state",
        "tierway_budget_limit_usd",
        "tierway_budget_remaining_usd",
        "tierway_degraded",
        "tierway_router_threshold",
        "tierway_upstream_headroom",
    }
)
"""Gauges that each worker sees for itself or reads from what all share: the highest is shown. So are `*_info`."""

BOUNDED_LABELS: Final = frozenset({"team", "model", "gen_ai_request_model", "code"})
"""Labels of which each worker keeps `label_top_n` values: so many of the merged ones are kept, too."""

Sample = tuple[str, dict[str, str], float]
"""Name, labels and value."""

_Labels = tuple[tuple[str, str], ...]


class Family(msgspec.Struct, frozen=True, array_like=True):
    """A metric family, as it goes from one worker to another."""

    name: str
    text: str
    kind: str
    samples: list[Sample]


class Tally(msgspec.Struct, frozen=True):
    """What one worker has counted.

    Attributes:
        number: how manieth of all workers it is; no two have the same.
        slot: its place among those that serve at a time, from 1; the one that replaces it takes it over.
    """

    number: int
    slot: int
    families: list[Family]


class Ended(msgspec.Struct, frozen=True):
    """What workers that have ended counted together.

    Attributes:
        numbers: whose counts are in it.
    """

    numbers: list[int] = []
    families: list[Family] = []


def as_families(metrics: Iterable[Metric]) -> list[Family]:
    """Return families of prometheus-client in a form that can be sent."""
    return [
        Family(
            m.name, m.documentation, m.type, [(sample.name, dict(sample.labels), sample.value) for sample in m.samples]
        )
        for m in metrics
    ]


def merge(tallies: Iterable[Tally], ended: Ended, *, label_top_n: int) -> list[Family]:
    """Add up what workers have counted, those that have ended first.

    Counters and histograms are added up, and so are gauges, but for those that say the same in every worker. Families
    of a process keep its place as the label `worker`, and are shown of the newest worker in a place.

    Args:
        tallies: of workers that run; those that are in `ended` already count there only.
        ended: the rest.
        label_top_n: values of a bounded label that keep a series of their own.
    """
    running = sorted((t for t in tallies if t.number not in ended.numbers), key=lambda tally: tally.number)
    newest = {tally.slot: tally.number for tally in running}
    merging = _Merging(label_top_n)
    for family in ended.families:
        merging.add(family)
    for tally in running:
        for family in tally.families:
            if not family.name.startswith(OF_A_PROCESS):
                merging.add(family)
            elif newest[tally.slot] == tally.number:
                merging.add(family, worker=str(tally.slot))
    workers = Family(
        "tierway_workers", "Workers that are counted here.", "gauge", [("tierway_workers", {}, len(running))]
    )
    return [*merging.families(), workers]


def lay_aside(tallies: Sequence[Tally], ended: Ended, *, label_top_n: int) -> Ended:
    """Add the counts of workers that have ended to those of the ones before; what they were at is dropped."""
    new = [tally for tally in tallies if tally.number not in ended.numbers]
    merging = _Merging(label_top_n)
    for family in (*ended.families, *(family for tally in new for family in tally.families)):
        if family.kind in ("counter", "histogram") and not family.name.startswith(OF_A_PROCESS):
            merging.add(family)
    return Ended([*ended.numbers, *(tally.number for tally in new)], list(merging.families()))


def exposition(families: Iterable[Family]) -> bytes:
    """Return families in Prometheus's text format."""
    return generate_latest(cast(Any, _Collected(families)))


class _Merging:
    """Families that grow by others of the same name."""

    def __init__(self, label_top_n: int) -> None:
        self._label_top_n = label_top_n
        self._known: dict[str, set[str]] = {label: {"", OTHER} for label in BOUNDED_LABELS}
        self._families: dict[str, Family] = {}
        self._values: dict[str, dict[tuple[str, _Labels], float]] = {}

    def add(self, family: Family, **more_labels: str) -> None:
        """Merge one worker's family in."""
        self._families.setdefault(family.name, family)
        values = self._values.setdefault(family.name, {})
        shows_highest = family.name in SAME_EVERYWHERE or family.name.endswith("_info")
        for name, labels, value in family.samples:
            key = (
                name,
                tuple((label, self._bounded(label, text)) for label, text in (*labels.items(), *more_labels.items())),
            )
            before = values.get(key)
            if before is None:
                values[key] = value
            else:
                values[key] = max(before, value) if shows_highest else before + value

    def families(self) -> Iterator[Family]:
        """Yield what has come together."""
        for name, family in self._families.items():
            samples = [(sample, dict(labels), value) for (sample, labels), value in self._values[name].items()]
            yield Family(name, family.text, family.kind, samples)

    def _bounded(self, label: str, text: str) -> str:
        known = self._known.get(label)
        if known is None or text in known:
            return text
        if len(known) - 2 >= self._label_top_n:  # none and `other` are free
            return OTHER
        known.add(text)
        return text


class _Collected:
    """Stands where prometheus-client expects a registry."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        for family in self._families:
            metric = Metric(family.name, family.text, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, labels, value)
            yield metric
