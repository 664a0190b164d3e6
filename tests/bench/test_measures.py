"""A share is taken round by round: a machine that is slow in one of them is slow for both sides of it."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from bench.lanes import Lane, Sample
from bench.load import Result
from bench.measures import _figure

NODE = Mock()


def sample(per_second: float) -> Sample:
    return Sample(Result(int(per_second), 1.0, 1.5, 3.0, 0), 80.0)


SAMPLES = {
    "bare": [sample(1000), sample(100), sample(1200)],
    "mine": [sample(500), sample(60), sample(480)],
}


def test_figure_of_a_lane_alone_is_the_median_of_its_rates() -> None:
    figure = _figure(Lane("bare", NODE, None), SAMPLES)
    assert (figure.value, figure.unit, figure.target) == (1000, "requests/s", None)


def test_figure_beside_a_yardstick_is_the_median_of_the_shares_of_each_round() -> None:
    figure = _figure(Lane("mine", NODE, None, "bare", 0.45), SAMPLES)
    assert figure.value == pytest.approx(0.5), "0.5, 0.6 and 0.4"
    assert (figure.unit, figure.target, figure.met) == ("of bare", 0.45, True)
    assert "480 requests/s" in figure.detail
