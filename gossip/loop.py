"""The one part of gossip that runs by itself: a task that starts a round at every jittered interval.

The interval is measured from the end of one round to the start of the next, so that a late round is not
followed by a burst of them. A round that raises is logged, and the next one comes in its time: a gossip
task that dies of its first error leaves a node that looks well and never hears of a new view. Nothing else
of this package knows asyncio. Must never import `ring` or `node`.
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
    """Calls `start_round` again and again while the block runs, and no more once it has been left.

    `start_round` must not wait but hand its casts to the links: a peer that hangs would hold up all gossip.
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
