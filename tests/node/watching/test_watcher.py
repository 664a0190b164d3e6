"""What waits to be told to one client."""

from __future__ import annotations

import asyncio

import pytest

from node.values.record import Record
from node.values.version import make_version
from node.watching.joint import Event
from node.watching.watcher import TOO_SLOW, Gap, Position, Told, Watcher

START = Position("p0", {"a:1": 0})


def event(key: bytes, clock: int, at: int, bytes_: int = 1) -> Event:
    record = Record(make_version(clock << 16, 1), b"1" * bytes_, False).encode()
    return Event(key, record, (("a:1", at),))


def position(at: int) -> Position:
    return Position(f"p{at}", {"a:1": at})


@pytest.fixture
def watcher() -> Watcher:
    return Watcher(b"", False, START, 10_000)


async def told(watcher: Watcher) -> list[tuple[bytes, int, str]]:
    found = [item for item in await watcher.take() if isinstance(item, Told)]
    return [(item.event.key, int.from_bytes(item.event.record[:6]), item.position.text) for item in found]


async def test_watcher_takes_all_that_waits_and_waits_for_more(watcher: Watcher) -> None:
    taking = asyncio.ensure_future(told(watcher))
    await asyncio.sleep(0)
    assert not taking.done()
    watcher.tell(event(b"k", 1, 1), position(1))
    watcher.tell(event(b"k", 2, 2), position(2))
    assert await taking == [(b"k", 1, "p1"), (b"k", 2, "p2")]


async def test_watcher_that_reads_nothing_has_a_gap_and_ends(watcher: Watcher) -> None:
    for number in range(20):
        watcher.tell(event(b"k", number, number, 1000), position(number))
    assert watcher.is_over
    assert await watcher.take() == [Gap(TOO_SLOW, position(8))]
    assert await watcher.take() == []


async def test_watcher_is_told_nothing_that_came_before_a_gap(watcher: Watcher) -> None:
    watcher.tell(event(b"k", 1, 1), position(1))
    watcher.tell_gap("why", position(2))
    watcher.tell(event(b"k", 2, 3), position(3))
    gap, after = await watcher.take()
    assert gap == Gap("why", position(2)) and isinstance(after, Told) and not watcher.is_over


async def test_watcher_that_goes_on_is_told_nothing_twice(watcher: Watcher) -> None:
    """Its node is behind the one that it came from."""
    watcher.tell(event(b"k", 2, 2), position(2))
    watcher.tell_missed([event(b"k", 3, 3), event(b"j", 9, 6)], position(4))
    watcher.tell(event(b"k", 3, 3), position(3))
    watcher.tell(event(b"k", 5, 5), position(5))
    watcher.tell(event(b"j", 9, 6), position(6))
    assert await told(watcher) == [(b"k", 3, "p0"), (b"j", 9, "p0"), (b"k", 5, "p5")]


async def test_watcher_goes_on_from_where_it_was_told_while_its_node_is_behind(watcher: Watcher) -> None:
    watcher.tell_missed([], position(7))
    assert watcher.reached(position(3)) == position(7)
    other = Event(b"k", event(b"k", 1, 0).record, (("b:1", 1),))
    watcher.tell(other, position(6))
    watcher.tell(event(b"k", 2, 8), position(8))
    assert [place for *_, place in await told(watcher)] == ["p7", "p8"]
    assert watcher.reached(position(9)) == position(9)


async def test_watcher_is_told_no_more_of_what_it_missed_than_of_the_rest(watcher: Watcher) -> None:
    watcher.tell(event(b"k", 21, 21), position(21))
    assert not watcher.tell_missed([event(b"k", number, number, 1000) for number in range(20)], position(20))
    assert await told(watcher) == [(b"k", 21, "p21")] and not watcher.is_over


async def test_watcher_with_a_gap_is_not_told_what_it_missed(watcher: Watcher) -> None:
    watcher.tell_gap("why", position(3))
    watcher.tell_missed([event(b"k", 1, 1)], position(2))
    assert await watcher.take() == [Gap("why", position(3))]


async def test_watcher_wakes_whom_it_is_attached_to_for_whatever_comes(watcher: Watcher) -> None:
    woken: list[bool] = []
    watcher.attach(lambda: woken.append(watcher.has_news))
    assert not watcher.has_news and watcher.taken() == []
    watcher.tell(event(b"k", 1, 1), position(1))
    watcher.tell_gap("why", position(2))
    assert woken == [True, True] and watcher.taken() == [Gap("why", position(2))] and not watcher.has_news
    watcher.end()
    assert woken == [True, True, True] and watcher.taken() == []
