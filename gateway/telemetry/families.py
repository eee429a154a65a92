"""Metric families with one label or none, for parts that tell of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


def info(name: str, text: str, labels: Mapping[str, str]) -> Metric:
    """Return a gauge of value 1 that carries facts in its labels."""
    family = GaugeMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family


def gauge(name: str, text: str, label: str | Sequence[str], values: Mapping[Any, float]) -> Metric:
    """Return a gauge: its values by the value of its label, or by a tuple of those of its labels."""
    return _filled(GaugeMetricFamily(name, text, labels=_labels(label)), values)


def counter(name: str, text: str, label: str | Sequence[str], values: Mapping[Any, float]) -> Metric:
    """Return a counter; see `gauge`."""
    return _filled(CounterMetricFamily(name, text, labels=_labels(label)), values)


def _labels(label: str | Sequence[str]) -> list[str]:
    return [label] if isinstance(label, str) else list(label)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[Any, float]) -> Metric:
    for key, value in values.items():
        family.add_metric([key] if isinstance(key, str) else list(key), value)
    return family
