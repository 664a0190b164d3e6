"""The time by which keys expire: not set back while anything expired is left, and bound to nothing unsure."""

from __future__ import annotations

import pytest

from node.timing.clock import Clocks, HybridClock
from node.timing.expiry_clock import ExpiryClock
from tests.node.fakes.clocks import ClockMemory, HandTime
from tests.node.samples import CONFIG

YEAR_MS = 365 * 86_400_000


class HandClock:
    """Stands in for a hybrid clock that shows what it is told."""

    def __init__(self, agreed_ms: int, is_grounded: bool = True) -> None:
        self.shown_ms = agreed_ms
        self.is_grounded = is_grounded

    def agreed_ms(self) -> int:
        return self.shown_ms


def clock_by(hand: HandClock, told_ms: int = 0, is_alone: bool = False) -> ExpiryClock:
    return ExpiryClock(hand, lambda: is_alone, told_ms)


def test_expiry_clock_goes_with_the_time_that_is_agreed() -> None:
    hand = HandClock(1000)
    clock = clock_by(hand)
    for now_ms in (1000, 1001, 5000):
        hand.shown_ms = now_ms
        assert clock.now_ms() == now_ms


def test_expiry_clock_stands_still_where_the_time_is_set_back_until_all_is_turned() -> None:
    hand = HandClock(5000)
    clock = clock_by(hand)
    assert clock.now_ms() == 5000
    hand.shown_ms = 1000
    assert clock.now_ms() == 5000
    clock.note_turned(4999)
    assert clock.now_ms() == 5000, "what expired in the last millisecond may still be there"
    clock.note_turned(5000)
    assert clock.now_ms() == 1000


def test_expiry_clock_is_not_set_back_by_what_was_turned_while_the_time_goes_on() -> None:
    hand = HandClock(5000)
    clock = clock_by(hand)
    assert clock.now_ms() == 5000
    clock.note_turned(5000)
    hand.shown_ms = 4999
    assert clock.now_ms() == 5000


def test_expiry_clock_begins_where_the_disk_says_that_keys_had_expired() -> None:
    clock = clock_by(HandClock(1000), told_ms=YEAR_MS)
    assert clock.now_ms() == YEAR_MS
    clock.note_turned(YEAR_MS)
    assert clock.now_ms() == 1000, "it was wrong for once, and does not keep what is written now for a year"


def test_expiry_clock_unsure_is_bound_to_nothing_that_it_has_said() -> None:
    hand = HandClock(YEAR_MS, is_grounded=False)
    clock = clock_by(hand)
    assert not clock.is_sure and clock.now_ms() == YEAR_MS
    hand.shown_ms, hand.is_grounded = 1000, True
    assert clock.is_sure and clock.now_ms() == 1000


def test_expiry_clock_of_a_node_that_has_nobody_to_ask_is_sure() -> None:
    assert clock_by(HandClock(1000, is_grounded=False), is_alone=True).is_sure


# By the clocks of several nodes


@pytest.mark.parametrize(
    ("own_ms", "others_ms", "expected_ms"),
    [
        (5000, (), 5000),
        (5000, (5000, 5000), 5000),
        (5000, (5000 + YEAR_MS, 5000), 5000),
        (5000 + YEAR_MS, (5000, 5000), 5000),
        (5000, (35_000, 5000), 5000),
        (35_000, (5000, 5000), 5000),
        (40_000, (40_000 - 35_000, 40_000), 40_000),
        (5000, (4970, 4990), 5000),
        (5000, (4940,), 4940),
        (35_000, (5000,), 5000),
        (5000, (35_000,), 5000),
    ],
    ids=[
        "alone",
        "all alike",
        "one a year ahead",
        "this one a year ahead",
        "one ahead by what is believed",
        "this one ahead by what is believed",
        "one behind",
        "others heard a moment later",
        "no moment any more",
        "of two the slower: this is ahead",
        "of two the slower: the other is ahead",
    ],
)
def test_one_wrong_clock_makes_no_key_vanish(own_ms: int, others_ms: tuple[int, ...], expected_ms: int) -> None:
    kept = ClockMemory()
    clock = HybridClock(CONFIG, HandTime(own_ms), 7, kept.memory, kept.remember)
    for number, wall_ms in enumerate(others_ms):
        clock.hear(str(number), Clocks(0, wall_ms))
    assert clock_by_hybrid(clock).now_ms() == expected_ms


def clock_by_hybrid(clock: HybridClock) -> ExpiryClock:
    return ExpiryClock(clock, lambda: True, 0)
