"""Seeds of the simulator, one after the other in a process of their own, for as long as is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from tests.sim.simulation import Result, quieten, simulate


async def simulate_until(until: float, first: int, told: Callable[[Result], None]) -> None:
    """From seed `first` on, until the loop's time is `until`: `told` of each result."""
    loop, seed = asyncio.get_running_loop(), first
    with ProcessPoolExecutor(max_workers=1, initializer=quieten) as pool:
        while loop.time() < until:
            told(await loop.run_in_executor(pool, simulate, seed))
            seed += 1
