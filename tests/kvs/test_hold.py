"""Until when a lock is held: never longer than the store keeps it, by the holder's clock."""

from __future__ import annotations

import pytest

from kvs.hold import MARGIN_SHARE, OVER, WAIT_S_MAX, Hold

TTL_S = 30.0
MARGIN_S = MARGIN_SHARE * TTL_S


def held(sent: float = 100.0, now: float = 100.0) -> Hold:
    hold = Hold(TTL_S)
    hold.confirmed('"1"', sent, TTL_S, now)
    return hold


def test_hold_that_nothing_has_confirmed_is_none() -> None:
    assert not Hold(TTL_S).is_held(0.0)


def test_hold_counts_from_before_the_request_and_ends_a_margin_early() -> None:
    hold = held(sent=100.0, now=105.0)
    assert hold.is_held(129.9 - MARGIN_S)
    assert not hold.is_held(130.0 - MARGIN_S)
    assert hold.reason == OVER


def test_hold_whose_confirmation_took_too_long_is_none() -> None:
    assert not held(sent=100.0, now=125.0).is_held(125.0)


def test_hold_is_longer_after_a_renewal() -> None:
    hold = held()
    hold.confirmed('"2"', 110.0, TTL_S, 111.0)
    assert hold.version == '"2"'
    assert hold.is_held(139.9 - MARGIN_S) and not hold.is_held(140.0 - MARGIN_S)


def test_hold_that_is_shown_with_less_left_is_no_shorter_than_was_confirmed() -> None:
    hold = held()
    hold.confirmed('"2"', 110.0, 19.0, 111.0)
    assert hold.is_held(129.9 - MARGIN_S)


def test_hold_that_was_over_stays_lost_though_a_renewal_succeeds() -> None:
    hold = held()
    hold.confirmed('"2"', 110.0, TTL_S, 130.0)
    assert not hold.is_held(130.0)


def test_hold_keeps_the_first_reason() -> None:
    hold = held()
    hold.end("taken")
    hold.end("later")
    assert not hold.is_held(100.0) and hold.reason == "taken"


@pytest.mark.parametrize(("now", "due"), [(109.9, False), (110.0, True), (124.0, False)])
def test_hold_is_renewed_after_a_third_and_while_it_is_held(now: float, due: bool) -> None:
    assert held().is_due(now) is due


def test_hold_is_renewed_again_soon_after_a_failure_but_not_at_once() -> None:
    hold = held()
    hold.failed(110.0)
    assert not hold.is_due(111.0) and hold.is_due(112.0)


def test_hold_waits_are_short_and_never_beyond_the_end() -> None:
    hold = held()
    assert hold.wait_s(100.0) == WAIT_S_MAX
    assert hold.wait_s(109.5) == pytest.approx(0.5)
    hold.failed(123.5)
    assert hold.wait_s(123.5) == pytest.approx(0.5)
    assert hold.wait_s(140.0) == 0.0


def test_hold_call_leaves_time_for_another_and_never_outlasts_it() -> None:
    assert held().call_s(110.0) == TTL_S / 4
    assert held().call_s(123.0) == pytest.approx(1.0)
