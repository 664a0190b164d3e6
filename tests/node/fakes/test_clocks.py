"""What a process was kept from is no time for the nodes in it, and clocks set by hand go together."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from node.config import Config
from tests.node.fakes.clocks import LOOK_S, MOMENT_S_MAX, SteadyClock, SteadyTime


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
