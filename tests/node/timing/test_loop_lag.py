"""The worst of the last seconds is told, and nothing that is longer ago."""

from __future__ import annotations

import pytest

from node.timing.loop_lag import WINDOW_S, LoopLag


@pytest.mark.parametrize(
    ("asked_at", "expected"),
    [(10.0, 0.7), (WINDOW_S + 9.9, 0.7), (2 * WINDOW_S + 10.0, 0.0), (100 * WINDOW_S, 0.0)],
)
def test_loop_lag_worst_is_that_of_this_window_and_the_one_before(asked_at: float, expected: float) -> None:
    lag = LoopLag()
    for late_s in (0.1, 0.7, 0.2):
        lag.note(late_s, 10.0)
    assert lag.worst_s(asked_at) == expected


def test_loop_lag_of_two_windows_the_worse_counts() -> None:
    lag = LoopLag()
    lag.note(0.1, 10.0)
    lag.note(0.9, 10.0 + WINDOW_S)
    assert lag.worst_s(10.0 + WINDOW_S) == 0.9
    assert lag.worst_s(10.0 + 2 * WINDOW_S) == 0.9
    assert lag.worst_s(10.0 + 3 * WINDOW_S) == 0.0


def test_loop_lag_counts_every_tick_and_none_as_early() -> None:
    lag = LoopLag()
    for late_s in (-0.001, 0.0, 0.3):
        lag.note(late_s, 1.0)
    assert sum(lag.ticks.counts) == 3 and lag.ticks.total == pytest.approx(0.3)
    assert lag.ticks.counts[0] == 2
