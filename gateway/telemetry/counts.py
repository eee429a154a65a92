"""Every metric of requests, by name and label.

A request is counted with plain additions on the loop's own thread; the families of prometheus-client are built
when `/metrics` is read. A child's `inc` or `observe` takes a lock and 0.4 to 0.9 us (measured, CPython 3.11), and
a request has a dozen of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway.domain.money import PER_MILLION
from gateway.domain.usage import Usage
from gateway.telemetry.families import counter
from gateway.telemetry.log import LogWriter
from gateway.telemetry.record import Record

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
OVERHEAD_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
TOKENS: Final = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0)
"""Bucket bounds; those of the gen_ai metrics follow OpenTelemetry's semantic conventions for generative AI, 1.37."""

OTHER: Final = "other"
"""The label value that takes the rest once `label_top_n` values have a series of their own."""

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class _Histogram:
    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        running, out = 0, []
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            running += count
            out.append(("+Inf" if bound == float("inf") else repr(bound), float(running)))
        return out


class _Series:
    """Counters of one combination of team, model and tier."""

    __slots__ = ("cost_microusd", "tokens")

    def __init__(self) -> None:
        self.tokens = dict.fromkeys(_CLASSES, 0)
        self.cost_microusd = 0

    def add(self, usage: Usage, cost_microusd: int) -> None:
        """Add one answer's. Classes that most answers have none of cost a comparison, not an addition."""
        tokens = self.tokens
        tokens["input_tokens"] += usage.input_tokens
        tokens["output_tokens"] += usage.output_tokens
        for name in _RARE_CLASSES:
            if count := getattr(usage, name):
                tokens[name] += count
        self.cost_microusd += cost_microusd


class _ModelTimes:
    """Histograms of one model."""

    __slots__ = ("duration", "first_byte", "input_tokens", "output_tokens")

    def __init__(self) -> None:
        self.duration = _Histogram(SECONDS)
        self.first_byte = _Histogram(SECONDS)
        self.input_tokens = _Histogram(TOKENS)
        self.output_tokens = _Histogram(TOKENS)


_CLASSES: Final = tuple(name for name in Usage.__struct_fields__ if name.endswith("_tokens"))
_RARE_CLASSES: Final = tuple(name for name in _CLASSES if name not in ("input_tokens", "output_tokens"))


class _TopLabels:
    """Bounds the values of a label: the first N are kept, later ones become `other`."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._known: dict[str, str] = {}

    def __call__(self, value: str) -> str:
        known = self._known.get(value)
        if known is None:
            if len(self._known) >= self._bound:
                return OTHER
            known = self._known[value] = value
        return known


class Telemetry:
    """Counts requests, shows the counts, and writes the request log.

    Args:
        label_top_n: values of a label that get a series of their own.
        log_to: where log lines go, None for no log.
        log_is_shared: whether other processes write there too.
    """

    def __init__(self, label_top_n: int = 50, log_to: BinaryIO | None = None, *, log_is_shared: bool = False) -> None:
        self._team = _TopLabels(label_top_n)
        self._model = _TopLabels(label_top_n)
        self._code = _TopLabels(label_top_n)
        self._requests: dict[tuple[str, str, str, str, int], int] = {}
        self._errors: dict[tuple[str, str], int] = {}
        self._cache: dict[str, int] = {}
        self._guard: dict[tuple[str, ...], int] = {}
        self._series: dict[tuple[str, str, str], _Series] = {}
        self._models: dict[str, _ModelTimes] = {}
        self._overhead = _Histogram(OVERHEAD_SECONDS)
        self.in_flight = 0
        self.wire_refusals: dict[int, int] = {}
        """By status: what connections refused before it was a request; it is not logged, as nobody asked."""
        self.reloads = {"ok": 0, "failed": 0}
        self.log = LogWriter(log_to, is_shared=log_is_shared) if log_to is not None else None
        self.label_top_n = label_top_n
        self._gauges: Callable[[], Iterable[Metric]] = tuple
        self._read_all: Callable[[], Awaitable[bytes]] | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._registry.register(self)

    def show_also(self, gauges: Callable[[], Iterable[Metric]]) -> None:
        """Add families that are made at each reading, such as states of upstreams."""
        self._gauges = gauges

    def read_with(self, read_all: Callable[[], Awaitable[bytes]]) -> None:
        """Have `read` answer for the other workers too."""
        self._read_all = read_all

    def record(self, record: Record) -> None:
        """Count one request and log it."""
        team, model = self._team(record.team), self._model(record.routed_model)
        counted = (record.route, team, model, record.tier, record.status)
        self._requests[counted] = self._requests.get(counted, 0) + 1
        if record.code:
            failed = (self._code(record.code), record.source)
            self._errors[failed] = self._errors.get(failed, 0) + 1
        if record.cache:
            self._cache[record.cache] = self._cache.get(record.cache, 0) + 1
        if record.guard is not None:
            self._record_guard(record.guard.get("counts", {}))
        if model:
            self._record_model(record, team, model)
        if self.log is not None:
            self.log.write(record)

    def _record_guard(self, counts: Mapping[str, int]) -> None:
        for name, count in counts.items():
            direction, _, rest = name.partition(".")
            detector, _, action = rest.rpartition(".")
            key = (detector, action, direction)
            self._guard[key] = self._guard.get(key, 0) + count

    def _record_model(self, record: Record, team: str, model: str) -> None:
        times = self._models.get(model)
        if times is None:
            times = self._models[model] = _ModelTimes()
        times.duration.observe(record.duration_us / 1e6)
        if record.first_byte_us:
            self._overhead.observe(record.overhead_us / 1e6)
            times.first_byte.observe(record.first_byte_us / 1e6)
        usage = record.usage
        if usage is None:
            return
        series = self._series.get((team, model, record.tier))
        if series is None:
            series = self._series[(team, model, record.tier)] = _Series()
        series.add(usage, record.cost_microusd or 0)
        times.input_tokens.observe(usage.prompt_tokens)
        times.output_tokens.observe(usage.completion_tokens)

    async def read(self) -> bytes:
        """Return the metrics of this process, or of all workers together, in Prometheus's text format."""
        return self.exposition() if self._read_all is None else await self._read_all()

    def exposition(self) -> bytes:
        """Return the metrics of this process in Prometheus's text format."""
        return generate_latest(self._registry)

    def families(self) -> Iterable[Metric]:
        """Return the metrics of this process."""
        return self._registry.collect()

    def close(self) -> None:
        """Write what is still to be logged."""
        if self.log is not None:
            self.log.close()

    def collect(self) -> Iterator[Metric]:
        """Build the metric families; called by prometheus-client."""
        yield from self._counters()
        yield from self._histograms()
        yield GaugeMetricFamily("tierway_in_flight", "Requests being answered now.", value=self.in_flight)
        reloads = CounterMetricFamily(
            "tierway_config_reloads", "Edits of the settings file, by what became of them.", labels=["result"]
        )
        for result, count in self.reloads.items():
            reloads.add_metric([result], count)
        yield reloads
        if self.log is not None:
            yield CounterMetricFamily(
                "tierway_log_dropped_lines", "Log lines dropped because nobody took them.", value=self.log.dropped
            )
        refused = {str(status): float(count) for status, count in self.wire_refusals.items()}
        text = "What was refused before it was a request, or while its body came."
        yield counter("tierway_wire_refusals", text, "status", refused)
        yield from self._gauges()

    def _counters(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "tierway_requests", "Requests ended.", labels=["route", "team", "model", "tier", "status"]
        )
        for (route, team, model, tier, status), count in self._requests.items():
            requests.add_metric([route, team, model, tier, str(status)], count)
        yield requests
        errors = CounterMetricFamily("tierway_errors", "Requests answered with an error.", labels=["code", "source"])
        for pair, count in self._errors.items():
            errors.add_metric(pair, count)
        yield errors
        cache = CounterMetricFamily("tierway_cache_lookups", "Cache look-ups by result.", labels=["result"])
        for result, count in self._cache.items():
            cache.add_metric([result], count)
        yield cache
        text = "What the guard found; `monitor` had no effect."
        yield counter("tierway_guard_findings", text, ("detector", "action", "direction"), self._guard)
        tokens = CounterMetricFamily(
            "tierway_tokens", "Tokens by class; the classes are disjoint.", labels=["team", "model", "tier", "class"]
        )
        cost = CounterMetricFamily("tierway_cost_usd", "US dollars spent.", labels=["team", "model", "tier"])
        for key, series in self._series.items():
            for name, count in series.tokens.items():
                if count:
                    tokens.add_metric([*key, name.removesuffix("_tokens")], count)
            cost.add_metric(key, series.cost_microusd / PER_MILLION)
        yield tokens
        yield cost

    def _histograms(self) -> Iterator[Metric]:
        overhead = HistogramMetricFamily(
            "tierway_overhead_seconds", "The gateway's own time, up to the first byte sent."
        )
        overhead.add_metric([], self._overhead.buckets(), self._overhead.total)
        yield overhead
        own = ["model"]
        conventional = ["gen_ai_operation_name", "gen_ai_request_model"]
        for name, text, pick in (
            ("request_duration_seconds", "Time of a request.", "duration"),
            ("time_to_first_token_seconds", "Time to the first byte of an answer.", "first_byte"),
        ):
            ours = HistogramMetricFamily(f"tierway_{name}", text, labels=own)
            theirs = HistogramMetricFamily(f"gen_ai_server_{name.removesuffix('_seconds')}", text, labels=conventional)
            for model, times in self._models.items():
                histogram: _Histogram = getattr(times, pick)
                buckets = histogram.buckets()
                ours.add_metric([model], buckets, histogram.total)
                theirs.add_metric(["chat", model], buckets, histogram.total)
            yield ours
            yield theirs
        usage = HistogramMetricFamily(
            "gen_ai_client_token_usage", "Tokens of a request.", labels=[*conventional, "gen_ai_token_type"]
        )
        for model, times in self._models.items():
            for kind, histogram in (("input", times.input_tokens), ("output", times.output_tokens)):
                usage.add_metric(["chat", model, kind], histogram.buckets(), histogram.total)
        yield usage
