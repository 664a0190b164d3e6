"""What a disk can be taken to hold."""

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
    assert OwnFilling(is_filled).state(holds_keys) is state


def test_filling_become_filled_ends_the_wait() -> None:
    filling = OwnFilling(False)
    assert filling.is_waiting(1e9)
    filling.become_filled()
    assert filling.is_filled and filling.state(False) is Filling.FULL and not filling.is_waiting(0.0)
    filling.check()


def test_filling_wait_ends_where_nobody_has_anything() -> None:
    filling = OwnFilling(False)
    filling.end_wait()
    assert not filling.is_waiting(0.0) and filling.state(False) is Filling.EMPTY


def test_filling_of_a_new_store_is_full_and_seen_as_empty_until_it_holds_a_key() -> None:
    filling = OwnFilling(False)
    assert filling.is_empty(False) and not filling.is_empty(True)
    filling.hear_that_all_are_empty(False)
    filling.check()
    assert filling.is_filled and filling.is_empty(False) and not filling.is_empty(True)
    assert filling.take_news() and not filling.take_news()
    assert not OwnFilling(True).is_empty(False)


def test_filling_behind_waits_to_be_filled_again() -> None:
    filling = OwnFilling(True)
    filling.become_behind()
    filling.check()
    assert filling.is_behind and not filling.is_filled and filling.is_waiting(1e9)
    filling.become_filled()
    filling.check()
    assert filling.is_filled and not filling.is_behind and not filling.is_waiting(0.0)


def test_filling_behind_since_an_earlier_life_ends_where_nobody_has_anything() -> None:
    filling = OwnFilling(False, is_behind=True)
    assert filling.is_waiting(1e9)
    filling.hear_that_all_are_empty(True)
    assert not filling.is_behind and not filling.is_waiting(0.0) and not filling.is_filled


def test_filling_full_from_an_earlier_life_never_waits() -> None:
    assert not OwnFilling(True).is_waiting(0.0)


def test_filling_where_another_one_is_empty_too_waits_only_so_long() -> None:
    filling = OwnFilling(False)
    filling.end_wait_by(3.0)
    filling.end_wait_by(4.0)
    assert filling.is_waiting(2.9) and not filling.is_waiting(3.0)
