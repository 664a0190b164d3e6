"""How long nothing has moved."""

from __future__ import annotations

from node.repair.movement import Movement
from tests.node.fakes.clocks import HandTime


def test_movement_is_counted_from_the_start_and_from_what_was_noted_last() -> None:
    time = HandTime()
    movement = Movement(time)
    time.now += 2.5
    assert movement.still_ms() == 2500
    movement.note()
    time.now += 0.25
    assert movement.still_ms() == 250


def test_movement_of_what_is_handed_over_is_counted_too() -> None:
    time = HandTime()
    movement = Movement(time)
    movement.note_handed_over(3)
    time.now += 1
    movement.note_handed_over(4)
    assert (movement.handed_over, movement.still_ms()) == (7, 0)
