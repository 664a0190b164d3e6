"""What stands still with the loop, and what does not."""

from __future__ import annotations

import asyncio
import random
import time
from itertools import pairwise

from node.timing.running import RunningTime
from tests.sim.loop import Host, VirtualLoop

TICK_S = 0.05


def on_a_host(*, paused_at: float, for_s: float) -> list[tuple[float, float]]:
    """The loop's time, and how long a process ran by it: at its pause, at the end of that, then every tick."""
    loop = VirtualLoop(random.Random(1))
    host = Host(loop, "a")
    seen: list[tuple[float, float]] = []

    async def live() -> None:
        running = RunningTime(TICK_S)
        began, ran = loop.now, running.now()
        while True:
            seen.append((loop.now - began, running.now() - ran))
            await asyncio.sleep(TICK_S)

    async def play() -> None:
        host.spawn(live())
        await asyncio.sleep(paused_at)
        host.freeze()
        await asyncio.sleep(for_s)
        host.thaw()
        await asyncio.sleep(1.0)
        host.kill()

    loop.run(play())
    return seen


def test_running_time_goes_with_the_loop_that_turns() -> None:
    assert all(abs(at - ran) < 1e-9 for at, ran in on_a_host(paused_at=0.5, for_s=0.0))


def test_running_time_stands_still_during_a_pause_but_for_a_tick() -> None:
    stood = [(at, at - ran) for at, ran in on_a_host(paused_at=0.52, for_s=0.27)]
    assert all(abs(stood_s) < 1e-9 for at, stood_s in stood if at <= 0.52)
    assert all(0.27 - TICK_S <= stood_s <= 0.27 for at, stood_s in stood if at > 0.52)


def test_running_time_never_steps_back_nor_ahead_of_the_loop() -> None:
    seen = on_a_host(paused_at=0.333, for_s=0.4)
    assert all(before[1] <= after[1] <= after[0] for before, after in pairwise(seen))


async def test_running_time_leaves_out_a_long_turn() -> None:
    """Also before its timer has had its turn."""
    running, loop = RunningTime(0.01), asyncio.get_running_loop()
    began, ran = loop.time(), running.now()
    time.sleep(0.2)  # noqa: ASYNC251  What keeps a loop from turning.
    assert running.now() - ran <= 0.0101 and loop.time() - began >= 0.2
    await asyncio.sleep(0.02)
    running.close()
    assert running.now() - ran <= loop.time() - began - 0.18
