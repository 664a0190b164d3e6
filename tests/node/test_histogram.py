"""Where each value is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.histogram import SECONDS, Histogram, quantile


@pytest.mark.parametrize(
    ("value", "counts"),
    [(0.0, [1, 0, 0]), (1.0, [1, 0, 0]), (1.5, [0, 1, 0]), (2.0, [0, 1, 0]), (2.1, [0, 0, 1])],
)
def test_histogram_counts_what_equals_a_bound_below_it(value: float, counts: list[int]) -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(value)
    assert (histogram.counts, histogram.total) == (counts, value)


@given(st.lists(st.floats(0, 100), max_size=50))
def test_histogram_up_to_each_bound_is_what_is_not_above_it(values: list[float]) -> None:
    histogram = Histogram(SECONDS)
    for value in values:
        histogram.observe(value)
    assert sum(histogram.counts) == len(values) and histogram.total == pytest.approx(sum(values))
    for number, bound in enumerate(SECONDS):
        assert sum(histogram.counts[: number + 1]) == sum(value <= bound for value in values)


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0, 0, 0], 0.5, None),
        ([4, 0, 0], 0.5, 0.5),
        ([2, 2, 0], 0.75, 1.5),
        ([0, 3, 0], 1.0, 2.0),
        ([1, 0, 9], 0.99, 2.0),
    ],
)
def test_quantile_is_spread_within_its_bucket(counts: list[int], share: float, expected: float | None) -> None:
    assert quantile((1.0, 2.0), counts, share) == expected
