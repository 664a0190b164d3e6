"""What Prometheus is told of plain figures, in its own words."""

from __future__ import annotations

from prometheus_client.core import Metric

from node.api.metrics.families import counter, counters, gauge, gauges, histogram
from node.histogram import Histogram


def told(family: Metric) -> dict[tuple[str, ...], float]:
    return {(sample.name, *sample.labels.values()): sample.value for sample in family.samples}


def test_families_of_one_value() -> None:
    assert told(gauge("kvs_keys", "help", 3)) == {("kvs_keys",): 3}
    assert told(counter("kvs_seen_total", "help", 4)) == {("kvs_seen_total",): 4}


def test_families_of_a_value_for_each_label() -> None:
    values = [(("a", "b"), 1), (("a", "c"), 2)]
    assert told(gauges("kvs_x", "help", ("l", "m"), values)) == {("kvs_x", "a", "b"): 1, ("kvs_x", "a", "c"): 2}
    assert told(counters("kvs_x_total", "help", ("l", "m"), iter(values))) == {
        ("kvs_x_total", "a", "b"): 1,
        ("kvs_x_total", "a", "c"): 2,
    }


def test_families_histogram_counts_up_to_each_bound() -> None:
    found = Histogram((0.5, 1.0))
    for value in (0.25, 0.75, 0.75, 9.0):
        found.observe(value)
    assert told(histogram("kvs_x_seconds", "help", ("m",), [(("GET",), found)])) == {
        ("kvs_x_seconds_bucket", "GET", "0.5"): 1,
        ("kvs_x_seconds_bucket", "GET", "1.0"): 3,
        ("kvs_x_seconds_bucket", "GET", "+Inf"): 4,
        ("kvs_x_seconds_count", "GET"): 4,
        ("kvs_x_seconds_sum", "GET"): 10.75,
    }
