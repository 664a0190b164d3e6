"""What a process was kept from is no time for the nodes in it, and clocks set by hand go together."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from node.config import Config
from tests.node.fakes.clocks import (
    LOOK_S,
    MOMENT_S_MAX,
    STARTED_S,
    WALL_START_MS,
    HandTime,
    LoopTime,
    SteadyClock,
    SteadyTime,
)
from tests.node.parts import on_virtual_time


def test_steady_clock_counts_moments_and_leaves_out_pauses() -> None:
    machine = 1000.0
    clock = SteadyClock(lambda: machine)
    shown: list[float] = []
    for passed in (0.0, LOOK_S, LOOK_S, 5.0, LOOK_S):
        machine += passed
        shown.append(clock() - 1000.0)
    expected = (0.0, LOOK_S, 2 * LOOK_S, 2 * LOOK_S + MOMENT_S_MAX, 3 * LOOK_S + MOMENT_S_MAX)
    assert shown == pytest.approx(expected)


def test_steady_moment_is_more_than_a_wait_and_less_than_a_pause() -> None:
    config = Config.for_test("a:1", ("a:1",), Path("/nowhere"))
    assert LOOK_S < MOMENT_S_MAX < config.pause_s / 2


async def test_steady_time_of_a_loop_is_one_for_all_its_nodes_and_its_timers() -> None:
    first, second, loop = SteadyTime(), SteadyTime(), asyncio.get_running_loop()
    began = first.monotonic()
    time.sleep(5 * MOMENT_S_MAX)  # noqa: ASYNC251  The pause.
    assert began < loop.time() <= began + MOMENT_S_MAX
    assert began < second.monotonic() <= began + 2 * MOMENT_S_MAX
    await asyncio.sleep(3 * MOMENT_S_MAX)
    assert first.monotonic() >= began + 3 * MOMENT_S_MAX


def test_hand_time_wall_goes_along_unless_it_is_set() -> None:
    time = HandTime(wall_ms=5000)
    time.now += 10
    assert time.wall_ms() == 15_000
    time.set_wall(1000)
    time.now += 0.5
    assert (time.wall_ms(), time.monotonic()) == (1500, STARTED_S + 10.5)


@on_virtual_time
async def test_loop_time_goes_with_the_loop_and_jumps_without_it() -> None:
    loop = asyncio.get_running_loop()
    here, there = LoopTime(), LoopTime(started_s=5.0, wall_start_ms=7000)
    await asyncio.sleep(2.0)
    here.jump(60.0)
    assert (here.monotonic(), here.wall_ms()) == (STARTED_S + 62.0, WALL_START_MS + 62_000)
    assert (there.monotonic(), there.wall_ms()) == (7.0, 9000)
    assert here.of_loop(here.monotonic()) == there.of_loop(there.monotonic()) == loop.time() == 2.0
