"""One task for each co-owner of the view in force; begun anew, all of them, when another view is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from node.replication.co_owners import CoOwners
from node.replication.peer_state import PeerState


class CoOwnerTasks:
    """Needs a running event loop."""

    def __init__(self, co_owners: CoOwners) -> None:
        self._co_owners = co_owners
        self._changed = asyncio.Event()

    def restart(self) -> None:
        """Another view is in force: there are other co-owners to attend to."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def run(self, work: Callable[[PeerState], Coroutine[Any, Any, None]]) -> None:
        """Do `work` for each co-owner, for as long as the node runs."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                changed = self._changed
                running = [tasks.create_task(work(state)) for state in self._co_owners.all()]
                await changed.wait()
                for task in running:
                    task.cancel()
