"""A disk that hangs is noticed once a commit has taken too long, and only then."""

from __future__ import annotations

import asyncio
import random

from node.storage.stall import StallWatch
from tests.node.parts import on_virtual_time
from tests.sim.loop import Host, VirtualLoop

LIMIT_S = 1.0


def watch(refused: list[float]) -> StallWatch:
    loop = asyncio.get_running_loop()
    return StallWatch(loop, LIMIT_S, lambda: refused.append(loop.time()))


@on_virtual_time
async def test_stall_is_found_when_the_commit_has_taken_as_long_and_ends_with_it() -> None:
    refused: list[float] = []
    stall, loop = watch(refused), asyncio.get_running_loop()
    stall.begin()
    await asyncio.sleep(0.7)
    stall.end()
    stall.begin()
    began = loop.time()
    await asyncio.sleep(0.9)
    assert not stall.has_stalled and 0.0 < stall.left_s() < 0.2
    await asyncio.sleep(5.0)
    assert stall.has_stalled and [at - began for at in refused] == [LIMIT_S] and stall.left_s() == 0.0
    stall.end()
    assert not stall.has_stalled


@on_virtual_time
async def test_stall_is_none_while_commits_are_quick_or_there_are_none() -> None:
    refused: list[float] = []
    stall = watch(refused)
    for _ in range(100):
        stall.begin()
        await asyncio.sleep(0.09)
        stall.end()
    await asyncio.sleep(10.0)
    assert not refused and not stall.has_stalled and stall.left_s() == 0.0


@on_virtual_time
async def test_stall_closed_refuses_nothing_any_more() -> None:
    refused: list[float] = []
    stall = watch(refused)
    stall.begin()
    stall.close()
    await asyncio.sleep(10.0)
    assert not refused


def test_stall_is_none_when_this_process_was_paused_in_the_middle_of_a_commit() -> None:
    loop, refused = VirtualLoop(random.Random(1)), list[float]()
    host = Host(loop, "a")

    async def commit() -> StallWatch:
        stall = watch(refused)
        stall.begin()
        await asyncio.sleep(0.5)
        stall.end()
        stall.begin()
        return stall

    async def play() -> None:
        committing = host.spawn(commit())
        await asyncio.sleep(0.6)
        host.freeze()
        await asyncio.sleep(5.0)
        host.thaw()
        await asyncio.sleep(0.5)
        stall = await committing
        assert not refused and not stall.has_stalled
        await asyncio.sleep(1.0)
        assert stall.has_stalled
        stall.close()

    loop.run(play())
