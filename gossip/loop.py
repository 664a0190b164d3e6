"""The one part of gossip that runs by itself: a task that starts a round after every jittered interval.

The interval is measured from the end of one round to the start of the next, so that a late round is not followed by a
burst of them. A round that raises is logged, and the next one comes when it is due: a gossip task that dies of its
first error leaves behind a node that looks well and never hears of a new view.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from gossip.settings import Settings

log = logging.getLogger(__name__)


@asynccontextmanager
async def rounds(start_round: Callable[[], None], settings: Settings, rng: Random) -> AsyncIterator[None]:
    """Calls `start_round` again and again while the block runs, and never after it has been left.

    `start_round` must hand its messages to the links and not wait for them: one peer that hangs would hold up all
    gossip.
    """
    task = asyncio.create_task(_tick(start_round, settings, rng), name="gossip")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _tick(start_round: Callable[[], None], settings: Settings, rng: Random) -> None:
    while True:
        await asyncio.sleep(settings.interval_s * rng.uniform(1 - settings.jitter, 1 + settings.jitter))
        try:
            start_round()
        except Exception:
            log.exception("a round of gossip failed; the next one comes all the same")
