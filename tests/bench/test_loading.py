"""A load is measured beside single PUTs before and after it."""

from __future__ import annotations

from bench.loading import Told, multiple


def test_load_is_a_multiple_of_the_median_of_single_writes() -> None:
    figure = multiple(Told(seconds=2.0, stored=120_000), [6000.0, 9000.0, 5000.0], 14.2)
    assert (figure.value, figure.met) == (10.0, True)
    assert figure.detail.startswith("60,000 keys/s beside 6,000, 14 us of the nodes' CPU each, 120,000 keys")
