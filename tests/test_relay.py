"""Is the line of a relay as slow as it says, and no slower on a machine that is busy?"""

from __future__ import annotations

import asyncio

import pytest

from tests.node.parts import on_virtual_time
from tests.relay import CHUNK_BYTES, LATE_S_MAX, Line

BYTES_S = 400_000.0
CHUNKS = 100
DUE_S = CHUNKS * CHUNK_BYTES / BYTES_S


async def carry_all(line: Line) -> float:
    """How long it takes for so many chunks that came at once."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(CHUNKS):
        await line.carry(CHUNK_BYTES, BYTES_S)
    return loop.time() - began


@on_virtual_time
async def test_line_takes_its_time_for_all_that_comes() -> None:
    assert await carry_all(Line()) == pytest.approx(DUE_S, abs=LATE_S_MAX)


@on_virtual_time
async def test_line_that_is_woken_late_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    in_time = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: in_time(seconds + LATE_S_MAX / 2 if seconds > 0 else 0))
    assert await carry_all(Line()) == pytest.approx(DUE_S, abs=LATE_S_MAX)


@on_virtual_time
async def test_line_after_a_rest_has_saved_up_next_to_nothing() -> None:
    line = Line()
    await carry_all(line)
    await asyncio.sleep(10 * DUE_S)
    assert await carry_all(line) == pytest.approx(DUE_S, abs=2 * LATE_S_MAX)
