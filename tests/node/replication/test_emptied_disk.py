"""What a disk can be taken to hold, and how long a node waits for others to say more."""

from __future__ import annotations

import pytest

from node.replication.emptied_disk import Filling, OwnFilling


@pytest.mark.parametrize(
    ("is_filled", "holds_keys", "state"),
    [
        (False, False, Filling.EMPTY),
        (False, True, Filling.PARTIAL),
        (True, False, Filling.FULL),
        (True, True, Filling.FULL),
    ],
)
def test_filling_state(is_filled: bool, holds_keys: bool, state: Filling) -> None:
    assert OwnFilling(is_filled, 3.0).state(holds_keys) is state


def test_filling_become_filled_ends_the_wait() -> None:
    filling = OwnFilling(False, 3.0)
    assert filling.is_waiting(2.9) and not filling.is_waiting(3.0)
    filling.become_filled()
    assert filling.is_filled and filling.state(False) is Filling.FULL and not filling.is_waiting(2.9)
    filling.check()


def test_filling_wait_ends_where_nobody_has_anything() -> None:
    filling = OwnFilling(False, 3.0)
    filling.end_wait()
    assert not filling.is_waiting(2.9) and filling.state(False) is Filling.EMPTY


def test_filling_behind_waits_for_as_long_as_it_takes() -> None:
    filling = OwnFilling(True, 3.0)
    filling.become_behind()
    filling.check()
    assert filling.is_behind and not filling.is_filled and filling.is_waiting(1e9)
    filling.become_filled()
    filling.check()
    assert filling.is_filled and not filling.is_behind and not filling.is_waiting(0.0)


def test_filling_behind_since_an_earlier_life_ends_where_nobody_has_anything() -> None:
    filling = OwnFilling(False, 3.0, is_behind=True)
    assert filling.is_waiting(1e9)
    filling.end_wait()
    assert not filling.is_behind and not filling.is_waiting(0.0) and not filling.is_filled


def test_filling_full_from_an_earlier_life_never_waits() -> None:
    assert not OwnFilling(True, 3.0).is_waiting(0.0)
