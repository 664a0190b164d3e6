"""The memory of a replication stream: what it sends, in which order, and when it says that something has arrived.

The law, against a dumb oracle: whoever waits is told True only if what was held of the key when it was put in, or
something later, was in a message that the co-owner confirmed, or was there when a comparison began that has ended. And
once the co-owner has got everything, whoever waits is told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from node.replication import outbox as module
from node.replication.outbox import Outbox
from tests.node.parts import on_virtual_time


@pytest.fixture
def small() -> Iterator[None]:
    with patch.object(module, "ENTRIES_MAX", 3):
        yield


def keys(outbox: Outbox, count: int = 100) -> list[bytes]:
    return [entry.key for entry in outbox.head(count)]


def result(future: asyncio.Future[bool]) -> bool | None:
    return future.result() if future.done() else None


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
    outbox.sent(second.position)
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
    outbox.sent(sent.position)
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


def test_outbox_filled_while_there_is_something_to_send() -> None:
    outbox = Outbox()
    assert not outbox.filled.is_set()
    position = outbox.append(b"a", 0.0)
    assert outbox.filled.is_set()
    outbox.confirm(position)
    assert not outbox.filled.is_set()


@on_virtual_time
async def test_outbox_confirmation_is_cumulative() -> None:
    outbox = filled(b"a", b"b", b"c")
    first, second, third = (entry.position for entry in outbox.head(3))
    waiting = [outbox.confirmation(position) for position in (third, second, first, first)]
    outbox.confirm(second)
    assert [result(future) for future in waiting] == [None, True, True, True]
    assert result(outbox.confirmation(first)) is True
    assert result(outbox.confirmation(third)) is None


@on_virtual_time
async def test_outbox_late_confirmation_changes_nothing() -> None:
    outbox = filled(b"a", b"b")
    first, second = (entry.position for entry in outbox.head(2))
    outbox.confirm(second)
    outbox.confirm(first)
    assert result(outbox.confirmation(second)) is True


@on_virtual_time
async def test_outbox_give_up_tells_all_who_wait_and_keeps_the_entries() -> None:
    outbox = filled(b"a", b"b")
    waiting = [outbox.confirmation(entry.position) for entry in outbox.head(2)]
    outbox.give_up()
    assert [result(future) for future in waiting] == [False, False]
    assert keys(outbox) == [b"a", b"b"]
    again = outbox.confirmation(outbox.head(1)[0].position)
    assert result(again) is None
    outbox.confirm(outbox.head(2)[1].position)
    assert result(again) is True


@on_virtual_time
async def test_outbox_waiter_that_went_away_is_no_fault() -> None:
    outbox = filled(b"a")
    gone, left = outbox.confirmation(1), outbox.confirmation(1)
    gone.cancel()
    outbox.withdraw(1, gone)
    outbox.confirm(1)
    outbox.withdraw(1, left)
    assert result(left) is True


# Overflow and comparisons


def test_outbox_overflow_remembers_nothing(small: None) -> None:
    outbox = filled(b"a", b"b", b"c")
    assert not outbox.has_overflowed
    outbox.append(b"d", 0.0)
    assert outbox.has_overflowed and not outbox.filled.is_set()
    outbox.append(b"e", 0.0)
    assert (keys(outbox), outbox.oldest_since(), outbox.position_of(b"d")) == ([], None, None)


def test_outbox_key_written_again_and_again_does_not_overflow(small: None) -> None:
    outbox = Outbox()
    for _ in range(10):
        outbox.append(b"a", 0.0)
    assert not outbox.has_overflowed


@on_virtual_time
async def test_outbox_overflow_who_waits_waits_for_a_comparison() -> None:
    with patch.object(module, "ENTRIES_MAX", 3):
        outbox = filled(b"a", b"b", b"c")
        waiting = [outbox.confirmation(outbox.append(key, 0.0)) for key in (b"c", b"d", b"e")]
    outbox.start_over()
    assert not outbox.has_overflowed
    assert [result(future) for future in waiting] == [None] * 3
    outbox.compared()
    assert [result(future) for future in waiting] == [True] * 3


@on_virtual_time
async def test_outbox_comparison_says_nothing_of_what_came_after_its_start() -> None:
    outbox = filled(b"a")
    before = outbox.confirmation(1)
    outbox.start_over()
    assert keys(outbox) == []
    after = outbox.confirmation(outbox.append(b"a", 1.0))
    outbox.compared()
    assert (result(before), result(after)) == (True, None)
    assert keys(outbox) == [b"a"]


@on_virtual_time
async def test_outbox_stream_during_a_comparison_says_nothing_of_what_was_before_its_start() -> None:
    outbox = filled(b"a")
    before = outbox.confirmation(1)
    outbox.start_over()
    position = outbox.append(b"b", 1.0)
    after = outbox.confirmation(position)
    outbox.sent(position)
    outbox.confirm(position)
    assert (result(before), result(after)) == (None, True)
    assert result(outbox.confirmation(1)) is None
    outbox.compared()
    assert result(before) is True


@pytest.mark.parametrize("compared", [False, True], ids=["during", "after"])
@on_virtual_time
async def test_outbox_confirmed_during_a_comparison_is_remembered(compared: bool) -> None:
    """A write that waits for two co-owners asks for the second one's confirmation when it has the first one's."""
    outbox = filled(b"a")
    outbox.start_over()
    position = outbox.append(b"b", 1.0)
    outbox.sent(position)
    outbox.confirm(position)
    if compared:
        outbox.compared()
    assert result(outbox.confirmation(position)) is True
    assert result(outbox.confirmation(position + 1)) is None


@on_virtual_time
async def test_outbox_late_confirmation_takes_back_nothing_that_a_comparison_has_shown() -> None:
    outbox = filled(b"a")
    outbox.sent(1)
    again = outbox.append(b"a", 1.0)
    outbox.start_over()
    outbox.compared()
    outbox.confirm(1)  # Of a message that was under way.
    assert result(outbox.confirmation(again)) is True


@on_virtual_time
async def test_outbox_comparison_that_failed_is_begun_anew_with_all_that_came_since() -> None:
    outbox = filled(b"a")
    outbox.start_over()
    waiting = [outbox.confirmation(1), outbox.confirmation(outbox.append(b"b", 1.0))]
    outbox.start_over()
    outbox.confirm(2)  # Of a message that was under way.
    assert [result(future) for future in waiting] == [None, None]
    outbox.compared()
    assert [result(future) for future in waiting] == [True, True]


# The law

STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from([b"a", b"b", b"c", b"d"])),
    st.tuples(st.just("wait"), st.integers(0, 9)),
    st.tuples(st.just("send"), st.integers(1, 3)),
    *(st.tuples(st.just(name)) for name in ("confirm", "lose", "give up", "start over", "compared")),
)


class Oracle:
    """What is held here, and what the co-owner has: versions are counted, and a later one is as good."""

    def __init__(self) -> None:
        self.held: dict[bytes, int] = {}
        self.there: dict[bytes, int] = {}

    def arrived(self, versions: Mapping[bytes, int]) -> None:
        for key, version in versions.items():
            self.there[key] = max(version, self.there.get(key, 0))


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=40))
@example([("write", b"a"), ("start over",), ("write", b"b"), ("send", 3), ("confirm",), ("compared",)])
@example([("write", b"a"), ("send", 1), ("write", b"a"), ("start over",), ("compared",), ("confirm",)])
def test_outbox_law_told_true_if_it_has_arrived_and_only_then(steps: list[tuple[Any, ...]]) -> None:
    @on_virtual_time
    async def run() -> None:
        with patch.object(module, "ENTRIES_MAX", 3):
            play(steps)

    run()


def play(steps: list[tuple[Any, ...]]) -> None:
    outbox, oracle, version = Outbox(), Oracle(), 0
    under_way: tuple[int, dict[bytes, int]] | None = None
    comparing: dict[bytes, int] | None = None
    written: list[tuple[int, bytes, int]] = []
    waiting: list[tuple[asyncio.Future[bool], bytes, int]] = []
    for name, *arguments in steps:
        match name:
            case "write":
                version += 1
                oracle.held[arguments[0]] = version
                written.append((outbox.append(arguments[0], 0.0), arguments[0], version))
            case "wait" if written:
                position, key, wanted = written[arguments[0] % len(written)]
                waiting.append((outbox.confirmation(position), key, wanted))
            case "send" if under_way is None and (head := outbox.head(arguments[0])):
                outbox.sent(head[-1].position)
                under_way = head[-1].position, {entry.key: oracle.held[entry.key] for entry in head}
            case "confirm" if under_way is not None:
                oracle.arrived(under_way[1])
                outbox.confirm(under_way[0])
                under_way = None
            case "lose":
                under_way = None
            case "give up":
                outbox.give_up()
            case "start over":
                comparing = dict(oracle.held)
                outbox.start_over()
            case "compared" if comparing is not None and not outbox.has_overflowed:
                oracle.arrived(comparing)
                outbox.compared()
                comparing = None
        for future, key, wanted in waiting:
            assert not (future.done() and future.result()) or oracle.there.get(key, 0) >= wanted
        waiting = [entry for entry in waiting if not entry[0].done()]
    end(outbox, is_comparing=comparing is not None)
    assert all(result(future) for future, *_ in waiting)
    assert all(result(outbox.confirmation(position)) for position, *_ in written)


def end(outbox: Outbox, is_comparing: bool) -> None:
    """The co-owner is well, and gets all there is."""
    has_overflowed = outbox.has_overflowed
    if has_overflowed:
        outbox.start_over()
    if has_overflowed or is_comparing:
        outbox.compared()
    while head := outbox.head(2):
        outbox.sent(head[-1].position)
        outbox.confirm(head[-1].position)
