"""What a node remembers of its last quarter of an hour."""

from __future__ import annotations

from node.diagnosis.recorder import INTERVAL_S, KEPT, Counted, Recorder
from node.histogram import SECONDS
from node.net.messages import AskFigures, Interval
from node.storage.disk import Space

LIFE = 7
BEGIN = 100.0


class Hand:
    """A node, by hand: what it has counted so far."""

    def __init__(self) -> None:
        self.counted = Counted()
        self.owed = 0
        self.recorder = Recorder(LIFE, lambda: self.counted, lambda: self.owed, BEGIN)

    def pass_intervals(self, count: int, begin: float = BEGIN) -> float:
        for number in range(count):
            self.recorder.look(begin + (number + 1) * INTERVAL_S)
        return begin + count * INTERVAL_S


def test_recorder_tells_what_was_added_in_each_interval_and_how_many_keys_are_owed_at_its_end() -> None:
    hand = Hand()
    hand.counted, hand.owed = Counted(10, 4, 3, 1, (8, *(0,) * len(SECONDS))), 5
    hand.recorder.look(BEGIN + INTERVAL_S - 0.1)
    assert hand.recorder.figures(AskFigures(), BEGIN).intervals == (), "it has not ended yet"
    hand.recorder.look(BEGIN + 6.0)
    hand.counted, hand.owed = Counted(11, 4, 3, 1, (8, 1, *(0,) * (len(SECONDS) - 1))), 0
    hand.recorder.look(BEGIN + 12.0)
    told = hand.recorder.figures(AskFigures(), BEGIN + 13.5, Space(1, 2, 3))
    assert told.intervals == (
        Interval(6000, 10, 4, 3, 1, 25, 50, 5),
        Interval(6000, 1, 0, 0, 0, 75, 100, 0),
    )
    assert (told.life, told.number, told.ended_ms) == (LIFE, 2, 1500)
    assert (told.store_bytes, told.free_bytes, told.disk_bytes) == (1, 2, 3)


def test_recorder_tells_only_what_is_not_known_yet() -> None:
    hand = Hand()
    now = hand.pass_intervals(3)
    for after, count in [(0, 3), (1, 2), (3, 0), (9, 0)]:
        assert len(hand.recorder.figures(AskFigures(LIFE, after), now).intervals) == count


def test_recorder_tells_all_to_who_knows_of_an_earlier_life() -> None:
    hand = Hand()
    now = hand.pass_intervals(3)
    assert len(hand.recorder.figures(AskFigures(LIFE - 1, 3), now).intervals) == 3


def test_recorder_remembers_no_more_than_a_quarter_of_an_hour() -> None:
    hand = Hand()
    now = hand.pass_intervals(KEPT + 10)
    told = hand.recorder.figures(AskFigures(LIFE, 5), now)
    assert (len(told.intervals), told.number) == (KEPT, KEPT + 10)
    assert KEPT * INTERVAL_S == 15 * 60
