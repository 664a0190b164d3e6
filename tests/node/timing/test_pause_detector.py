"""A gap between two signs of life is a pause if it is long enough, and is noticed once."""

from __future__ import annotations

from node.timing.pause_detector import PauseDetector


def test_pause_detector_gap_above_the_limit_is_a_pause_and_noticed_once() -> None:
    pauses = PauseDetector(0.5, wall=10.0, monotonic=1.0)
    assert [pauses.note_running(now) for now in (10.25, 10.75, 11.5, 11.5, 12.0)] == [0.0, 0.0, 0.75, 0.0, 0.0]


def test_pause_detector_monotonic_clock_stood_still() -> None:
    pauses = PauseDetector(0.5, wall=10.0, monotonic=1.0)
    assert pauses.note_running(13.0) == 3.0
    pauses.begin_anew(13.0, 1.0)
    assert pauses.compare(13.0, 1.0) == 0.0, "it was noticed once"
    assert pauses.compare(13.25, 1.25) == 0.0


def test_pause_detector_wall_clock_set_back_hides_how_long_it_was() -> None:
    pauses = PauseDetector(0.5, wall=10.0, monotonic=1.0)
    assert pauses.note_running(9.75) == 0.25
    assert pauses.note_running(9.75) == 0.0


def test_pause_detector_wall_clock_set_back_by_as_much_as_the_pause_is_found_by_comparing() -> None:
    pauses = PauseDetector(0.5, wall=10.0, monotonic=1.0)
    assert pauses.note_running(10.0) == 0.0
    assert pauses.compare(10.0, 4.0) == 3.0
    assert pauses.compare(10.25, 4.25) == 0.0
