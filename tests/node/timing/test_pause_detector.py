"""A gap between two signs of life is a pause if it is long enough, and is noticed once."""

from __future__ import annotations

from node.timing.pause_detector import PauseDetector


def test_pause_detector_gap_above_the_limit_is_a_pause_and_noticed_once() -> None:
    pauses = PauseDetector(0.5, now=10.0)
    assert [pauses.note_running(now) for now in (10.25, 10.75, 11.5, 11.5, 12.0)] == [0.0, 0.0, 0.75, 0.0, 0.0]
