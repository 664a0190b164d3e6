"""A client's share is taken round by round: a machine that is slow in one of them is slow for both sides of it."""

from __future__ import annotations

import pytest

from bench.clients import share
from bench.load import Result


def result(per_second: int) -> Result:
    return Result(per_second, 1.0, 1.5, 3.0, 0)


def test_share_is_the_median_of_those_of_each_round() -> None:
    figure = share("GET", [result(200), result(30), result(180)], [result(100), result(10), result(100)])
    assert figure.value == pytest.approx(2.0), "2, 3 and 1.8"
    assert (figure.met, figure.detail) == (True, "180 requests/s, p50 1.5 ms, p99 3.0 ms")
