"""The task that starts rounds: it outlives bad rounds, ends with its block, and keeps to its jittered interval."""

from __future__ import annotations

import asyncio
import logging
from random import Random

import pytest

from gossip.loop import rounds
from gossip.settings import Settings

FAST = Settings(interval_s=0.001)


async def test_loop_starts_rounds_and_stops_with_its_block() -> None:
    count = 0
    three = asyncio.Event()

    def start_round() -> None:
        nonlocal count
        count += 1
        if count == 3:
            three.set()

    async with rounds(start_round, FAST, Random(1)):
        await asyncio.wait_for(three.wait(), 5)
    assert all(task.get_name() != "gossip" for task in asyncio.all_tasks())


async def test_loop_survives_a_bad_round_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    survived = asyncio.Event()

    def start_round() -> None:
        if not caplog.records:
            raise RuntimeError("a bad round")
        survived.set()

    with caplog.at_level(logging.ERROR, logger="gossip.loop"):
        async with rounds(start_round, FAST, Random(1)):
            await asyncio.wait_for(survived.wait(), 5)
    assert "a round of gossip failed" in caplog.text
    assert "a bad round" in caplog.text


async def test_loop_lets_an_error_of_its_block_through() -> None:
    with pytest.raises(ZeroDivisionError):
        async with rounds(lambda: None, FAST, Random(1)):
            raise ZeroDivisionError


async def test_loop_stops_when_its_owner_is_cancelled() -> None:
    started = asyncio.Event()

    async def own() -> None:
        async with rounds(started.set, FAST, Random(1)):
            await asyncio.Event().wait()

    owner = asyncio.create_task(own())
    await asyncio.wait_for(started.wait(), 5)
    owner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await owner
    assert all(task.get_name() != "gossip" for task in asyncio.all_tasks())


async def test_loop_interval_is_jittered_within_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    enough = asyncio.Event()
    sleep = asyncio.sleep

    async def noted(delay: float) -> None:
        slept.append(delay)
        if len(slept) == 200:
            enough.set()
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    settings = Settings(interval_s=0.25, jitter=0.2)
    async with rounds(lambda: None, settings, Random(1)):
        await asyncio.wait_for(enough.wait(), 5)
    assert min(slept) == pytest.approx(0.2, abs=0.01)
    assert max(slept) == pytest.approx(0.3, abs=0.01)
    assert min(slept) >= 0.2 and max(slept) <= 0.3
