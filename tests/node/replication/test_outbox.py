"""The memory of a replication stream: what it sends, in which order, and when it says that something has arrived.

The law, against a dumb oracle: a position is confirmed only if what was held of the key when it was put in, or
something later, was in a message that the co-owner confirmed, or was there when a comparison began that has ended. And
once the co-owner has got all of it, every position is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings

from node.replication import outbox as module
from node.replication.outbox import Outbox
from tests.node.replication.oracle import HARD, HISTORIES, Play


@pytest.fixture
def small() -> Iterator[None]:
    with patch.object(module, "ENTRIES_MAX", 3):
        yield


def keys(outbox: Outbox, count: int = 100) -> list[bytes]:
    return [entry.key for entry in outbox.head(count)]


def confirmed(outbox: Outbox, *positions: int) -> list[bool]:
    return [outbox.is_confirmed(position) for position in positions]


def filled(*names: bytes) -> Outbox:
    outbox = Outbox()
    for time, key in enumerate(names):
        outbox.append(key, float(time))
    return outbox


def test_outbox_keeps_the_order_in_which_keys_were_put_in() -> None:
    outbox = filled(b"c", b"a", b"b")
    assert keys(outbox) == [b"c", b"a", b"b"]
    assert keys(outbox, 2) == [b"c", b"a"]
    assert len(outbox) == 3


def test_outbox_head_stays_until_it_is_confirmed() -> None:
    outbox = filled(b"a", b"b", b"c")
    first, second = outbox.head(2)
    outbox.mark_sent(second.position)
    assert keys(outbox) == [b"a", b"b", b"c"]
    outbox.confirm(first.position)
    assert keys(outbox) == [b"b", b"c"]


def test_outbox_entry_not_sent_yet_serves_later_writes() -> None:
    outbox = filled(b"a", b"b")
    assert outbox.append(b"a", 9.0) == outbox.head(1)[0].position
    assert keys(outbox) == [b"a", b"b"]


def test_outbox_entry_that_was_sent_does_not() -> None:
    outbox = filled(b"a", b"b")
    (sent,) = outbox.head(1)
    outbox.mark_sent(sent.position)
    again = outbox.append(b"a", 9.0)
    assert keys(outbox) == [b"a", b"b", b"a"]
    assert outbox.position_of(b"a") == again > sent.position
    outbox.confirm(sent.position)
    assert outbox.position_of(b"a") == again


def test_outbox_position_of_what_is_confirmed_or_unknown_none() -> None:
    outbox = filled(b"a")
    outbox.confirm(outbox.head(1)[0].position)
    assert (outbox.position_of(b"a"), outbox.position_of(b"b")) == (None, None)


def test_outbox_oldest_since_is_of_the_first_that_is_not_confirmed() -> None:
    outbox = filled(b"a", b"b")
    outbox.append(b"a", 9.0)
    assert outbox.oldest_since() == 0.0
    outbox.confirm(outbox.head(1)[0].position)
    assert outbox.oldest_since() == 1.0
    outbox.confirm(outbox.head(1)[0].position)
    assert outbox.oldest_since() is None


def test_outbox_confirmation_is_cumulative() -> None:
    outbox = filled(b"a", b"b", b"c")
    assert confirmed(outbox, 1, 2, 3) == [False, False, False]
    outbox.confirm(2)
    assert confirmed(outbox, 1, 2, 3) == [True, True, False]


def test_outbox_late_confirmation_changes_nothing() -> None:
    outbox = filled(b"a", b"b")
    outbox.confirm(2)
    outbox.confirm(1)
    assert confirmed(outbox, 1, 2) == [True, True]


# Overflow and comparisons


def test_outbox_overflow_remembers_nothing(small: None) -> None:
    outbox = filled(b"a", b"b", b"c")
    assert not outbox.has_overflowed
    outbox.append(b"d", 0.0)
    assert outbox.has_overflowed and outbox.awaits_comparison
    outbox.append(b"e", 0.0)
    assert (keys(outbox), outbox.oldest_since(), outbox.position_of(b"d")) == ([], None, None)


def test_outbox_remembers_since_when_it_has_forgotten_until_a_comparison_has_brought_that(small: None) -> None:
    outbox = Outbox()
    for since, key in enumerate([b"a", b"b", b"c", b"d", b"e"], 7):
        assert outbox.missing_since == (None if since < 11 else 7)
        outbox.append(key, since)
    outbox.begin_comparison()
    for key in (b"f", b"g", b"h", b"i"):
        outbox.append(key, 20)
    assert outbox.missing_since == 7, "the comparison will not bring what has been forgotten since"
    outbox.begin_comparison()
    assert outbox.missing_since == 7
    outbox.end_comparison()
    assert outbox.missing_since is None


def test_outbox_key_written_again_and_again_does_not_overflow(small: None) -> None:
    outbox = Outbox()
    for _ in range(10):
        outbox.append(b"a", 0.0)
    assert not outbox.has_overflowed


def test_outbox_overflow_is_confirmed_by_a_comparison(small: None) -> None:
    outbox = filled(b"a", b"b", b"c")
    positions = [outbox.append(key, 0.0) for key in (b"c", b"d", b"e")]
    outbox.begin_comparison()
    assert not outbox.has_overflowed and outbox.awaits_comparison
    assert confirmed(outbox, *positions) == [False] * 3
    outbox.end_comparison()
    assert not outbox.awaits_comparison
    assert confirmed(outbox, *positions) == [True] * 3


def test_outbox_comparison_says_nothing_of_what_came_after_its_start() -> None:
    outbox = filled(b"a")
    outbox.begin_comparison()
    assert keys(outbox) == []
    after = outbox.append(b"a", 1.0)
    outbox.end_comparison()
    assert confirmed(outbox, 1, after) == [True, False]
    assert keys(outbox) == [b"a"]


def test_outbox_stream_during_a_comparison_says_nothing_of_what_was_before_its_start() -> None:
    outbox = filled(b"a")
    outbox.begin_comparison()
    after = outbox.append(b"b", 1.0)
    outbox.mark_sent(after)
    outbox.confirm(after)
    assert confirmed(outbox, 1, after) == [False, True]
    outbox.end_comparison()
    assert confirmed(outbox, 1, after) == [True, True]


@pytest.mark.parametrize("is_over", [False, True], ids=["during", "after"])
def test_outbox_confirmed_during_a_comparison_is_remembered(is_over: bool) -> None:
    """A write that waits for two co-owners asks for the second one's confirmation when it has the first one's."""
    outbox = filled(b"a")
    outbox.begin_comparison()
    position = outbox.append(b"b", 1.0)
    outbox.mark_sent(position)
    outbox.confirm(position)
    if is_over:
        outbox.end_comparison()
    assert confirmed(outbox, position, position + 1) == [True, False]


def test_outbox_late_confirmation_takes_back_nothing_that_a_comparison_has_shown() -> None:
    outbox = filled(b"a")
    outbox.mark_sent(1)
    again = outbox.append(b"a", 1.0)
    outbox.begin_comparison()
    outbox.end_comparison()
    outbox.confirm(1)  # Of a message that was under way.
    assert confirmed(outbox, again) == [True]


def test_outbox_comparison_that_failed_is_begun_anew_with_all_that_came_since() -> None:
    outbox = filled(b"a")
    outbox.begin_comparison()
    since = outbox.append(b"b", 1.0)
    outbox.begin_comparison()
    outbox.confirm(2)  # Of a message that was under way.
    assert confirmed(outbox, 1, since) == [False, False]
    outbox.end_comparison()
    assert confirmed(outbox, 1, since) == [True, True]


# The law


@settings(max_examples=300)
@given(HISTORIES)
@example(HARD[0])
@example(HARD[1])
def test_outbox_law_confirmed_if_it_has_arrived_and_only_then(steps: list[tuple[Any, ...]]) -> None:
    play = Play()
    with patch.object(module, "ENTRIES_MAX", 3):
        for name, *arguments in steps:
            play.step(name, *arguments)
            play.outbox.check()
            for written in play.written:
                assert play.has_arrived(written) or not play.outbox.is_confirmed(written.position)
        play.finish()
    assert all(play.outbox.is_confirmed(written.position) for written in play.written)


# The check


def keep_what_is_forgotten(outbox: Outbox) -> None:
    outbox._has_overflowed = True


def confirm_what_is_to_come(outbox: Outbox) -> None:
    outbox.confirm(9)


def keep_what_is_confirmed(outbox: Outbox) -> None:
    outbox._confirmed = 2


def keep_a_key_twice(outbox: Outbox) -> None:
    outbox._entries.popleft()


@pytest.mark.parametrize(
    "bend", [keep_what_is_forgotten, confirm_what_is_to_come, keep_what_is_confirmed, keep_a_key_twice]
)
def test_outbox_check_notices(bend: Callable[[Outbox], None]) -> None:
    outbox = filled(b"a", b"b")
    outbox.check()
    bend(outbox)
    with pytest.raises(AssertionError):
        outbox.check()
