"""Rates and quantiles from two looks at counters."""

from __future__ import annotations

import pytest

from kvs.rates import UNKNOWN, Rates, Sample, rates_between, sample_of

METRICS = """\
# HELP kvs_requests_total Requests answered
# TYPE kvs_requests_total counter
kvs_requests_total{route="/kvs/keys/{key}",method="GET",status="200"} 100.0
kvs_requests_total{method="POST",route="/kvs/batch",status="200"} 1e1
kvs_requests_total{route="/kvs/key-count",method="GET",status="200"} 1000.0
kvs_requests_total{method="GET",route="/metrics",status="200"} 2000.0
kvs_requests_created 1.0
kvs_request_duration_seconds_bucket{le="0.001",method="GET",served="owner"} 40.0
kvs_request_duration_seconds_bucket{method="GET",served="owner",le="+Inf"} 50.0
kvs_request_duration_seconds_bucket{le="0.001",method="PUT",served="owner"} 2.0
kvs_request_duration_seconds_bucket{le="+Inf",method="PUT",served="owner"} 5.0
kvs_request_duration_seconds_count{method="PUT",served="owner"} 5.0
garbage {
"""
INF = float("inf")


def test_sample_adds_up_what_is_counted_of_keys_under_all_labels() -> None:
    assert sample_of(METRICS) == Sample(110.0, {0.001: 42.0, INF: 55.0})


def test_sample_of_a_node_that_only_operators_have_asked_has_no_requests() -> None:
    assert sample_of('kvs_requests_total{route="/metrics"} 5') == Sample(0.0, {})


@pytest.mark.parametrize("text", ["", "<html>", "other_total 5", "kvs_requests_total"])
def test_sample_of_what_counts_nothing_is_none(text: str) -> None:
    assert sample_of(text) is None


BEFORE = Sample(100.0, {0.001: 10.0, 0.01: 10.0, INF: 10.0})


@pytest.mark.parametrize(
    ("after", "rates"),
    [
        (Sample(100.0, BEFORE.buckets), Rates(0.0, None, None)),
        (Sample(300.0, {0.001: 110.0, 0.01: 110.0, INF: 110.0}), Rates(100.0, 0.5, 0.99)),
        (Sample(300.0, {0.001: 10.0, 0.01: 110.0, INF: 110.0}), Rates(100.0, 5.5, 9.91)),
        (Sample(300.0, {0.001: 10.0, 0.01: 10.0, INF: 110.0}), Rates(100.0, 10.0, 10.0)),
        (Sample(300.0, {}), Rates(100.0, None, None)),
    ],
    ids=["nothing happened", "all were fast", "none was", "beyond the last bound", "no buckets"],
)
def test_rates_are_those_of_what_happened_in_between(after: Sample, rates: Rates) -> None:
    found = rates_between(BEFORE, after, 2.0)
    assert found == (
        rates.ops_s,
        None if rates.p50_ms is None else pytest.approx(rates.p50_ms),
        None if rates.p99_ms is None else pytest.approx(rates.p99_ms),
    )


@pytest.mark.parametrize(
    ("before", "after", "seconds"),
    [(None, BEFORE, 1.0), (BEFORE, None, 1.0), (BEFORE, Sample(99.0, {}), 1.0), (BEFORE, BEFORE, 0.0)],
    ids=["the first look", "it is gone", "it was started anew", "at once"],
)
def test_rates_are_unknown(before: Sample | None, after: Sample | None, seconds: float) -> None:
    assert rates_between(before, after, seconds) == UNKNOWN
