"""How plain figures become families of Prometheus: a name, what it means, and a value for each set of labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from node.histogram import Histogram

Labelled: TypeAlias = Iterable[tuple[tuple[str, ...], float]]
"""A value for each combination of what the labels say."""


def gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_, value=value)


def gauges(name: str, help_: str, labels: Sequence[str], values: Labelled) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=labels)
    for told, value in values:
        family.add_metric(told, value)
    return family


def counter(name: str, help_: str, value: float) -> Metric:
    return CounterMetricFamily(name, help_, value=value)


def counters(name: str, help_: str, labels: Sequence[str], values: Labelled) -> Metric:
    family = CounterMetricFamily(name, help_, labels=labels)
    for told, value in values:
        family.add_metric(told, value)
    return family


def histogram(
    name: str, help_: str, labels: Sequence[str], found: Iterable[tuple[tuple[str, ...], Histogram]]
) -> Metric:
    family = HistogramMetricFamily(name, help_, labels=labels)
    for told, of_these in found:
        bounds = [*map(floatToGoString, of_these.bounds), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(of_these.counts)), strict=True))
        family.add_metric(told, buckets, of_these.total)
    return family
