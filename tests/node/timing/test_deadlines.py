"""Limits of time: each wait ends at its own, and whoever else wants a task to end is heard."""

from __future__ import annotations

import asyncio

import pytest

from node.timing.deadlines import CROWDED, Deadlines, SameLimit, Timeouts
from tests.node.parts import on_virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


async def fail() -> None:
    raise KeyError


async def endure(seconds: float) -> str:
    """What an end is not let near, for once."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        return "endured"
    return "rested"


@on_virtual_time
async def test_deadlines_expire_what_still_waits_each_at_its_time() -> None:
    waiting = {1, 2, 3, 4}
    expired: dict[int, float] = {}

    def expire(number: int) -> None:
        waiting.remove(number)
        expired[number] = now()

    deadlines = Deadlines(waiting, expire)
    for number, delay_s in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 2.5)):
        deadlines.set(number, delay_s)
    await asyncio.sleep(0.5)
    waiting.remove(3)
    await asyncio.sleep(3.0)
    assert expired == {2: 1.0, 4: 2.5, 1: 3.0}


@on_virtual_time
async def test_deadlines_keep_nothing_of_what_waits_no_more() -> None:
    waiting: set[int] = set()
    deadlines = Deadlines(waiting, waiting.remove)
    for number in range(1000):
        waiting.add(number)
        deadlines.set(number, 1.0)
        waiting.remove(number)
    assert len(deadlines._due) == 1


@on_virtual_time
async def test_deadlines_keep_little_of_what_waits_no_more_behind_one_that_does() -> None:
    waiting = {0}
    expired: dict[int, float] = {}

    def expire(number: int) -> None:
        waiting.remove(number)
        expired[number] = now()

    deadlines = Deadlines(waiting, expire)
    deadlines.set(0, 2.0)
    for number in range(1, 10 * CROWDED):
        waiting.add(number)
        deadlines.set(number, 3.0)
        if number % 1000:
            waiting.remove(number)
        assert len(deadlines._due) <= 2 * len(waiting) + 2 * CROWDED
    await asyncio.sleep(4.0)
    assert expired == {0: 2.0} | dict.fromkeys(range(1000, 10 * CROWDED, 1000), 3.0)


@on_virtual_time
async def test_within_in_time_gives_the_outcome() -> None:
    limits = Timeouts()
    assert await limits.within(1.0, asyncio.sleep(0.5, "done")) == "done"
    with pytest.raises(KeyError):
        await limits.within(1.0, fail())
    await asyncio.sleep(2.0)
    assert now() == 2.5


@pytest.mark.parametrize("limit_s", [1.0, 0.0, -1.0])
def test_within_too_late_is_cancelled(limit_s: float) -> None:
    @on_virtual_time
    async def run() -> None:
        with pytest.raises(TimeoutError):
            await Timeouts().within(limit_s, asyncio.sleep(5.0))
        assert now() == max(0.0, limit_s)
        await asyncio.sleep(10.0)

    run()


@on_virtual_time
async def test_within_one_limit_inside_another() -> None:
    limits = Timeouts()
    with pytest.raises(TimeoutError):
        await limits.within(1.0, limits.within(2.0, asyncio.sleep(5.0)))
    assert now() == 1.0
    with pytest.raises(TimeoutError):
        await limits.within(2.0, limits.within(1.0, asyncio.sleep(5.0)))
    assert now() == 2.0


@on_virtual_time
async def test_within_who_cancels_the_task_is_heard() -> None:
    task = asyncio.ensure_future(Timeouts().within(1.0, asyncio.sleep(5.0)))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@on_virtual_time
async def test_within_who_cancels_the_task_at_the_limit_is_heard() -> None:
    limits = Timeouts()
    task = asyncio.ensure_future(limits.within(1.0, asyncio.sleep(5.0)))
    await asyncio.sleep(0.5)
    (number,) = limits._tasks
    limits._cancel(number)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@on_virtual_time
async def test_within_work_that_does_not_let_itself_be_cancelled_leaves_the_task_as_it_was() -> None:
    task = asyncio.current_task()
    assert task is not None
    assert await Timeouts().within(1.0, endure(5.0)) == "endured"
    assert not task.cancelling()


# One limit for all


@on_virtual_time
async def test_same_limit_cancels_what_is_not_done_each_at_its_time() -> None:
    loop, limit, ended = asyncio.get_running_loop(), SameLimit(2.0), list[tuple[int, float, bool]]()
    waits = list[asyncio.Future[None]]()

    def note(wait: asyncio.Future[None]) -> None:
        ended.append((waits.index(wait), now(), wait.cancelled()))

    for _ in range(4):
        wait = loop.create_future()
        wait.add_done_callback(note)
        limit.set(wait)
        waits.append(wait)
        await asyncio.sleep(0.5)
    waits[1].set_result(None)
    await asyncio.sleep(5.0)
    assert ended == [(0, 2.0, True), (1, 2.0, False), (2, 3.0, True), (3, 3.5, True)]


@on_virtual_time
async def test_same_limit_goes_by_the_time_that_is_given() -> None:
    loop, limit = asyncio.get_running_loop(), SameLimit(2.0)
    first, second = loop.create_future(), loop.create_future()
    due = limit.set(first)
    await asyncio.sleep(1.0)
    assert SameLimit(2.0).set(second, due) == due == pytest.approx(2.0)
    await asyncio.wait([second])
    assert now() == pytest.approx(2.0) and second.cancelled()


@on_virtual_time
async def test_same_limit_cancels_what_is_due_first_whenever_it_was_set() -> None:
    loop, limit, ended = asyncio.get_running_loop(), SameLimit(2.0), list[float]()
    for at in (1.0, 3.0, 0.5, 2.0, 0.7):
        wait: asyncio.Future[None] = loop.create_future()
        wait.add_done_callback(lambda _: ended.append(now()))
        limit.set(wait, at)
    await asyncio.sleep(4.0)
    assert ended == pytest.approx([0.5, 0.7, 1.0, 2.0, 3.0])


@on_virtual_time
async def test_same_limit_keeps_nothing_of_what_is_done_and_rests_with_nothing_to_do() -> None:
    loop, limit = asyncio.get_running_loop(), SameLimit(1.0)
    for _ in range(1000):
        wait = loop.create_future()
        limit.set(wait)
        wait.set_result(None)
    assert len(limit._due) == 1
    await asyncio.sleep(1.5)
    assert not limit._due and limit._timer is None
