"""A percentile of a histogram is at most a sixty-fourth above that of the times themselves, and never below."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.peers.histogram import NS_PER_MS, Histogram

TIMES_NS = st.lists(st.integers(0, 1 << 50), min_size=1)
SHARES = st.sampled_from([0.001, 0.5, 0.99, 0.999, 1.0])


def exact_ns(taken_ns: list[int], share: float) -> int:
    return sorted(taken_ns)[max(1, math.ceil(share * len(taken_ns))) - 1]


@given(TIMES_NS, SHARES)
def test_percentile_is_that_of_the_times_or_a_little_more(taken_ns: list[int], share: float) -> None:
    expected_ns, told_ns = exact_ns(taken_ns, share), Histogram(taken_ns).percentile_ms(share) * NS_PER_MS
    assert expected_ns * (1 - 1e-9) <= told_ns <= expected_ns * (1 + 1 / 64) + 1e-6


@given(TIMES_NS, TIMES_NS, SHARES)
def test_merged_rounds_are_as_if_counted_in_one(one: list[int], other: list[int], share: float) -> None:
    merged = Histogram.merged([Histogram(one), Histogram(other)])
    assert merged.count == len(one) + len(other)
    assert merged.percentile_ms(share) == Histogram(one + other).percentile_ms(share)


@given(TIMES_NS)
def test_counts_tell_all_of_it(taken_ns: list[int]) -> None:
    histogram = Histogram(taken_ns)
    assert Histogram.counted(histogram.counts()).counts() == histogram.counts()
    assert sum(count for _, count in histogram.counts()) == histogram.count == len(taken_ns)


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="of nothing"):
        Histogram().percentile_ms(0.5)
